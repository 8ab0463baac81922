"""What each heap has to do, in Python: which block it hands out, and what it has written down after each call.

A model names places by their offset from the start of the heap, which it needs for alignment alone. `alloc` answers
with the offset of what is handed out, or None.
"""

from abc import ABC, abstractmethod
from array import array
from typing import NamedTuple

from tests.kernel.allocators.guest import Guest

PAGE = 4096


class Block(NamedTuple):
    """An allocated block, kept by the offset of what was handed out of it."""

    start: int
    length: int
    size: int
    align: int


class HeapModel(ABC):
    """Which blocks there are."""

    granule: int
    """The smallest block: a heap is a multiple of it."""

    def __init__(self, start: int, size: int) -> None:
        self.start = start
        self.size = size // self.granule * self.granule
        self.used: dict[int, Block] = {}

    def alloc(self, size: int, align: int) -> int | None:
        """Allocate a block."""
        if align & (align - 1) or size > self.size:
            return None
        block, offset = self.choose(size, align)
        if block is None:
            return None
        assert all(
            block.start + block.length <= b.start or b.start + b.length <= block.start for b in self.used.values()
        )
        assert (self.start + offset) % max(align, 1) == 0
        assert block.start <= offset <= offset + size <= block.start + block.length <= self.size
        self.used[offset] = block
        return offset

    def dealloc(self, offset: int) -> Block:
        """Free a block."""
        block = self.used.pop(offset)
        self.free(block)
        return block

    @abstractmethod
    def choose(self, size: int, align: int) -> tuple[Block | None, int]:
        """Take a block out of the free ones, and say where in it the caller's bytes begin."""

    @abstractmethod
    def free(self, block: Block) -> None:
        """The block goes back to the free ones."""

    @abstractmethod
    def largest_free(self) -> int:
        """Bytes of the largest free block."""

    @abstractmethod
    def complaint_about_size(self, offset: int, wrong: int) -> str | None:
        """What the guest says when a block is freed with a wrong size; None when it cannot know."""

    @abstractmethod
    def check_books(self, guest: Guest) -> None:
        """Compare the guest's data structure with the model's."""


class FitModel(HeapModel):
    """003: one list of free blocks; the three strategies differ in which of those with room they take."""

    granule = 16

    def __init__(self, start: int, size: int) -> None:
        super().__init__(start, size)
        self.blocks = [(0, self.size)]

    @abstractmethod
    def pick(self, candidates: list[tuple[int, int]]) -> tuple[int, int]:
        """One of the free blocks that have room, lowest address first."""

    def choose(self, size: int, align: int) -> tuple[Block | None, int]:
        length = max(-(-size // 16) * 16, 16)
        candidates = [block for block in self.blocks if self.aligned(block[0], align) + length <= sum(block)]
        if not candidates:
            return None, 0
        start, free = self.pick(candidates)
        offset = self.aligned(start, align)
        rest = [(start, offset - start), (offset + length, start + free - offset - length)]
        self.blocks.remove((start, free))
        self.blocks = sorted(self.blocks + [part for part in rest if part[1]])
        return Block(offset, length, size, align), offset

    def aligned(self, place: int, align: int) -> int:
        """The first place from here on whose address is a multiple of align."""
        return place + -(self.start + place) % max(align, 16)

    def free(self, block: Block) -> None:
        joined: list[tuple[int, int]] = []
        for start, length in sorted([*self.blocks, (block.start, block.length)]):
            if joined and sum(joined[-1]) == start:
                joined[-1] = (joined[-1][0], joined[-1][1] + length)
            else:
                joined.append((start, length))
        self.blocks = joined

    def largest_free(self) -> int:
        return max((length for _, length in self.blocks), default=0)

    def complaint_about_size(self, offset: int, wrong: int) -> str | None:
        length = self.used[offset].length
        return (
            None
            if max(-(-wrong // 16) * 16, 16) == length
            else f" of {length} bytes is freed with another size: {wrong} bytes"
        )

    def check_books(self, guest: Guest) -> None:
        found = []
        address = guest.variable("heap_free_list", 1)
        while address != self.start + self.size:
            length, following = guest.doublewords(address, 2)
            found.append((address - self.start, length))
            address = following
        assert found == self.blocks
        used = [block.start for block in self.used.values()]
        map_bytes = self.size // 16 // 8 + 1
        begins = [*used, *(block[0] for block in self.blocks), self.size]
        assert _bits(guest.read(guest.symbol("heap_begins"), map_bytes)) == sum(1 << place // 16 for place in begins)
        assert _bits(guest.read(guest.symbol("heap_used"), map_bytes)) == sum(1 << place // 16 for place in used)


class FirstFitModel(FitModel):
    def pick(self, candidates: list[tuple[int, int]]) -> tuple[int, int]:
        return candidates[0]


class BestFitModel(FitModel):
    def pick(self, candidates: list[tuple[int, int]]) -> tuple[int, int]:
        return min(candidates, key=lambda block: block[1])


class WorstFitModel(FitModel):
    def pick(self, candidates: list[tuple[int, int]]) -> tuple[int, int]:
        return max(candidates, key=lambda block: block[1])


class BuddyModel(HeapModel):
    """A list of free blocks for each order; the block that was freed last is taken first."""

    granule = 32

    def __init__(self, start: int, size: int) -> None:
        super().__init__(start, size)
        self.lists: dict[int, list[int]] = {order: [] for order in range(64)}
        start = 0
        for order in reversed(range(5, 32)):
            while self.size - start >= 1 << order:
                self.lists[order].append(start)
                start += 1 << order

    def choose(self, size: int, align: int) -> tuple[Block | None, int]:
        if align > PAGE:
            return None, 0
        wanted = max((max(size, align, 1) - 1).bit_length(), 5)
        order = next((order for order in range(wanted, 32) if self.lists[order]), None)
        if order is None:
            return None, 0
        start = self.lists[order].pop()
        while order > wanted:
            order -= 1
            self.lists[order].append(start + (1 << order))
        return Block(start, 1 << order, size, align), start

    def free(self, block: Block) -> None:
        start, order = block.start, block.length.bit_length() - 1
        while start ^ 1 << order in self.lists[order]:
            self.lists[order].remove(start ^ 1 << order)
            start &= ~(1 << order)
            order += 1
        self.lists[order].append(start)

    def largest_free(self) -> int:
        return max((1 << order for order, blocks in self.lists.items() if blocks), default=0)

    def complaint_about_size(self, offset: int, wrong: int) -> str | None:
        block = self.used[offset]
        if 1 << max((max(wrong, block.align, 1) - 1).bit_length(), 5) == block.length:
            return None
        return f" of order {block.length.bit_length() - 1} is freed with another size: {wrong} bytes"

    def check_books(self, guest: Guest) -> None:
        states = bytearray(self.size // 32)
        for order, blocks in self.lists.items():
            for place in blocks:
                states[place // 32] = 0x40 | order
            if order < 32:
                head = address = guest.symbol("heap_free_lists") + 16 * order
                found = []
                while (address := guest.doublewords(address, 1)[0]) != head:
                    found.append(address - self.start)
                assert found == blocks[::-1], f"order {order}"
        for block in self.used.values():
            states[block.start // 32] = 0x80 | block.length.bit_length() - 1
        assert guest.read(guest.symbol("heap_states"), len(states)) == states


class BuddyTreeModel(HeapModel):
    """002: free lists by the id of a block in a binary tree; the buddy of i is i ^ 1."""

    granule = 64

    def __init__(self, start: int, size: int) -> None:
        super().__init__(start, size)
        self.root_order = min(self.size.bit_length() - 1, 20)
        self.lists: dict[int, list[int]] = {}
        start = 0
        for order in reversed(range(6, self.root_order + 1)):
            while self.size - start >= 1 << order:
                self.lists.setdefault(self.id_of(start, order), []).append(start)
                start += 1 << order

    def id_of(self, start: int, order: int) -> int:
        """The id of a block: its number among those of its size in the largest block, counted from 1 << depth."""
        return (1 << self.root_order | start & (1 << self.root_order) - 1) >> order

    def order_of(self, number: int) -> int:
        return self.root_order - number.bit_length() + 1

    def choose(self, size: int, align: int) -> tuple[Block | None, int]:
        offset = max(32, align)
        wanted = max((size + offset - 1).bit_length(), 6)
        fitting = [number for number in self.lists if self.order_of(number) >= wanted]
        if align > PAGE or not fitting:
            return None, 0
        number = min(fitting, key=lambda number: (self.order_of(number), number))
        start = self.take(number)
        while self.order_of(number) > wanted:
            number *= 2
            self.lists.setdefault(number + 1, []).append(start + (1 << self.order_of(number)))
        return Block(start, 1 << wanted, size, align), start + offset

    def take(self, number: int, start: int | None = None) -> int:
        blocks = self.lists[number]
        start = blocks[-1] if start is None else start
        blocks.remove(start)
        if not blocks:
            del self.lists[number]
        return start

    def free(self, block: Block) -> None:
        start, length = block.start, block.length
        number = self.id_of(start, length.bit_length() - 1)
        while number > 1 and start ^ length in self.lists.get(number ^ 1, []):
            self.take(number ^ 1, start ^ length)
            start, length, number = start & ~length, 2 * length, number // 2
        self.lists.setdefault(number, []).append(start)

    def largest_free(self) -> int:
        return max((1 << self.order_of(number) for number in self.lists), default=0)

    def complaint_about_size(self, offset: int, wrong: int) -> str | None:
        size = self.used[offset].size
        return None if size == wrong else f" of {size} bytes is freed with another size: {wrong} bytes"

    def check_books(self, guest: Guest) -> None:
        ids = 2 << self.root_order - 6
        heads, masks = array("Q", bytes(8 * ids)), array("H", bytes(2 * ids))
        for number, blocks in self.lists.items():
            heads[number] = self.start + blocks[-1]
            address, previous = heads[number], 0
            for place in reversed(blocks):
                assert address == self.start + place, f"id {number}"
                words = guest.doublewords(address, 6)
                assert words[:3] == [number, address, 1 << self.order_of(number)]
                assert words[5] == previous
                previous, address = address, words[4]
            assert address == 0
            node, depth = number, number.bit_length() - 1
            while node:
                masks[node] |= 1 << depth
                node //= 2
        assert guest.read(guest.symbol("heap_lists"), 8 * ids) == heads.tobytes()
        assert guest.read(guest.symbol("heap_masks"), 2 * ids) == masks.tobytes()
        for offset, block in self.used.items():
            number = self.id_of(block.start, block.length.bit_length() - 1)
            header = [number | offset - block.start << 32, self.start + block.start, block.length, block.size]
            assert guest.doublewords(self.start + block.start, 4) == header


def _bits(data: bytes) -> int:
    return int.from_bytes(data, "little")


HEAP_MODELS: dict[str, type[HeapModel]] = {
    "best_fit": BestFitModel,
    "buddy": BuddyModel,
    "buddy_tree": BuddyTreeModel,
    "first_fit": FirstFitModel,
    "worst_fit": WorstFitModel,
}
"""The model of each heap, by the name of its source."""
