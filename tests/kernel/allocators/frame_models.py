"""What each frame allocator has to do, in Python: the document's own words, slow and obvious.

A model numbers frames from 0 as the policies do. `take` answers with the number of the first of n frames, or None;
`books` compares what the guest has written down with what it should have written.
"""

from abc import ABC, abstractmethod

from tests.kernel.allocators.guest import Guest

FREE, USED = 0x2E, 0x23  # "." and "#", so that a failing test shows a map of memory


class FrameModel(ABC):
    """Which frames are free, and which of them is next."""

    owners_stride = 4
    owners_offset = 0

    def __init__(self, count: int) -> None:
        self.map = bytearray([FREE]) * count

    def take(self, n: int) -> int | None:
        """Hand out n consecutive frames."""
        first = self.choose(n) if 0 < n <= self.map.count(FREE) else None
        if first is None:
            return None
        assert self.map[first : first + n] == bytearray([FREE]) * n, "the model hands out what is free"
        self.map[first : first + n] = bytearray([USED]) * n
        self.taken(first, n)
        return first

    def give(self, first: int, n: int) -> None:
        """Take frames back."""
        assert self.map[first : first + n] == bytearray([USED]) * n
        self.map[first : first + n] = bytearray([FREE]) * n
        self.given(first, n)

    @abstractmethod
    def choose(self, n: int) -> int | None:
        """The number of the first of n free frames in a row."""

    def taken(self, first: int, n: int) -> None:  # noqa: B027 - without books there is nothing to do
        """Keep book of frames that were handed out."""

    def given(self, first: int, n: int) -> None:  # noqa: B027
        """Keep book of frames that came back."""

    @abstractmethod
    def check_books(self, guest: Guest) -> None:
        """Compare the guest's data structure with the model's."""

    def lowest_run(self, n: int) -> int | None:
        """Where the lowest run of n free frames begins."""
        return _found(self.map.find(bytearray([FREE]) * n))


class StackModel(FrameModel):
    """003: `current`, `end`, `recycled`."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.current = 0
        self.recycled: list[int] = []

    def choose(self, n: int) -> int | None:
        if n == 1 and self.recycled:
            return self.recycled[-1]
        return self.current if self.current + n <= len(self.map) else self.lowest_run(n)

    def taken(self, first: int, n: int) -> None:
        self.recycled = [frame for frame in self.recycled if not first <= frame < first + n]
        self.current = max(self.current, first + n)

    def given(self, first: int, n: int) -> None:
        self.recycled += range(first, first + n)

    def check_books(self, guest: Guest) -> None:
        assert guest.variable("stack_current") == self.current
        assert guest.variable("stack_end") == len(self.map)
        length = guest.variable("stack_recycled_length")
        assert guest.words(guest.variable("stack_recycled"), length) == self.recycled


class IntervalsModel(FrameModel):
    """000, 001: a list of intervals, used as a stack, at first [(0, n)]."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.list = [(0, count)]

    def choose(self, n: int) -> int | None:
        long_enough = [start for start, end in self.list if end - start >= n]
        return long_enough[-1] if long_enough else self.lowest_run(n)

    def taken(self, first: int, n: int) -> None:
        for index, (start, end) in enumerate(self.list):
            if start == first and end - start >= n:
                self.list[index : index + 1] = [(first + n, end)] if end > first + n else []
                return
        runs = []
        for number, state in enumerate([*self.map, USED]):
            if state == FREE and (number == 0 or self.map[number - 1] != FREE):
                runs.append((number, self.map.find(USED, number) % (len(self.map) + 1)))
        self.list = runs[::-1]

    def given(self, first: int, n: int) -> None:
        self.list.append((first, first + n))

    def check_books(self, guest: Guest) -> None:
        words = guest.words(guest.variable("intervals"), 2 * guest.variable("intervals_length"))
        assert list(zip(words[::2], words[1::2], strict=True)) == self.list


class SegmentTreeModel(FrameModel):
    """001: the lowest free run; node i has the children 2i and 2i + 1."""

    def choose(self, n: int) -> int | None:
        return self.lowest_run(n)

    def check_books(self, guest: Guest) -> None:
        for number, (left, right) in self.nodes().items():
            assert segment_tree_node(guest, number) == self.node(left, right), f"node {number}: {left} to {right}"

    def nodes(self) -> dict[int, tuple[int, int]]:
        """The first and the last frame of each node, by its number."""
        nodes = {1: (0, len(self.map) - 1)}
        todo = [1]
        while todo:
            number = todo.pop()
            left, right = nodes[number]
            if left != right:
                middle = (left + right) // 2
                nodes[2 * number], nodes[2 * number + 1] = (left, middle), (middle + 1, right)
                todo += [2 * number, 2 * number + 1]
        return nodes

    def node(self, left: int, right: int) -> tuple[int, int, int, int]:
        """Length, longest free run, free run at the left edge, free run at the right edge of these frames."""
        part = self.map[left : right + 1].decode()
        runs = part.split(chr(USED))
        return len(part), max(map(len, runs)), len(runs[0]), len(runs[-1])


def segment_tree_node(guest: Guest, number: int) -> tuple[int, ...]:
    """A node of the guest: length, max, left, right."""
    return tuple(guest.words(guest.variable("segment_tree_nodes") + 16 * number, 4))


class TrackerModel(FrameModel):
    """002: an array of {physical address, reference count, in use}, searched from the start."""

    owners_stride = 16
    owners_offset = 8

    def choose(self, n: int) -> int | None:
        return self.lowest_run(n)

    def check_books(self, guest: Guest) -> None:
        words = guest.words(guest.variable("frame_entries"), 4 * len(self.map))
        first = guest.variable("frame_first_ppn")
        assert words[0::4] == [(first + number) << 12 & 0xFFFF_FFFF for number in range(len(self.map))]
        assert words[1::4] == [(first + number) >> 20 for number in range(len(self.map))]
        assert words[3::4] == [int(state == USED) for state in self.map]


class BitmapModel(FrameModel):
    """004: the highest free frame, found through four levels of 64 bits each; bit 0 stands for the last frame."""

    def choose(self, n: int) -> int | None:
        return _found(self.map.rfind(bytearray([FREE]) * n))

    def check_books(self, guest: Guest) -> None:
        bits = [int(state == FREE) for state in reversed(self.map)]
        for level in range(4):
            groups = [bits[start : start + 64] for start in range(0, len(bits), 64)]
            expected = [sum(bit << place for place, bit in enumerate(group)) for group in groups]
            assert guest.doublewords(guest.variable("bitmap_level", level), len(groups)) == expected, f"level {level}"
            bits = [int(group != 0) for group in expected]
        assert len(bits) == 1


def _found(index: int) -> int | None:
    return None if index < 0 else index


FRAME_MODELS: dict[str, type[FrameModel]] = {
    "bitmap": BitmapModel,
    "intervals": IntervalsModel,
    "segment_tree": SegmentTreeModel,
    "stack": StackModel,
    "tracker": TrackerModel,
}
"""The model of each frame allocator, by the name of its source."""
