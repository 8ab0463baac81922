"""Ranges of addresses that are held, found by any address inside them."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from emu.hints import Generic, TypeVar

T = TypeVar("T")


class Ranges(Generic[T]):
    """Values by the range that they stand for; ranges may overlap, but no two begin at the same address.

    >>> ranges = Ranges[str]()
    >>> ranges.add(0x1000, 0x40, "first"), ranges.add(0x1040, 0x40, "second")
    ((), ())
    >>> ranges.holding(0x1048), ranges.holding(0x1080)
    ('second', None)
    >>> list(ranges.overlapping(0x1030, 0x20))
    ['first', 'second']
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: dict[int, int] = {}
        self._values: dict[int, T] = {}
        """By the starts: where ranges end, and what they stand for."""
        self._longest = 1
        self._disjoint = True
        """Whether no two have overlapped since the last `clear`: then only the nearest one below can reach up."""

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, start: int, size: int, value: T) -> Sequence[T]:
        """Hold a range, of at least one byte; one that begins at the same address is replaced.

        The values of those that share an address with it, lowest first.
        """
        starts, ends, end = self._starts, self._ends, start + (size or 1)
        if size > self._longest:
            self._longest = size
        index = bisect_left(starts, start)
        if (
            self._disjoint
            and (index == len(starts) or starts[index] >= end)
            and (not index or ends[starts[index - 1]] <= start)
        ):
            starts.insert(index, start)
            ends[start] = end
            self._values[start] = value
            return ()
        overlapping = list(self.overlapping(start, size))
        is_replaced = start in ends
        if len(overlapping) > is_replaced:
            self._disjoint = False
        if not is_replaced:
            starts.insert(index, start)
        ends[start] = end
        self._values[start] = value
        return overlapping

    def remove(self, start: int) -> T:
        """Let go of the range that begins here: its value."""
        del self._starts[bisect_left(self._starts, start)]
        del self._ends[start]
        return self._values.pop(start)

    def holding(self, address: int) -> T | None:
        """The value of the nearest range that an address lies in."""
        return next((self._values[start] for start in self._reaching(address, address + 1)), None)

    def overlapping(self, start: int, size: int) -> Iterator[T]:
        """The values of all ranges that share an address with this one, lowest first."""
        touching = list(self._reaching(start, start + max(size, 1)))
        yield from (self._values[at] for at in reversed(touching))

    def clear(self) -> None:
        """Hold nothing."""
        self._starts.clear()
        self._ends.clear()
        self._values.clear()
        self._longest, self._disjoint = 1, True

    def copy(self) -> "Ranges[T]":
        """The same ranges, independent of these."""
        other = Ranges[T]()
        other._starts, other._ends, other._values = list(self._starts), dict(self._ends), dict(self._values)
        other._longest, other._disjoint = self._longest, self._disjoint
        return other

    def _reaching(self, first: int, end: int) -> Iterator[int]:
        """The starts of ranges that share an address with [first, end), from the highest down."""
        for index in range(bisect_left(self._starts, end) - 1, -1, -1):
            start = self._starts[index]
            if first < self._ends[start]:
                yield start
            elif self._disjoint or start + self._longest <= first:
                return


def holes(held: Mapping[int, int], low: int | None = None, high: int | None = None) -> Iterator[tuple[int, int]]:
    """Address and size of what lies between blocks, which are given by address and size, and up to both ends.

    >>> list(holes({0x1000: 16, 0x1040: 16}, high=0x1060))
    [(4112, 48), (4176, 16)]
    """
    at = low
    for address in sorted(address for address, size in held.items() if size):
        if at is not None and at < address:
            yield at, address - at
        at = max(at or 0, address + held[address])
    if at is not None and high is not None and at < high:
        yield at, high - at
