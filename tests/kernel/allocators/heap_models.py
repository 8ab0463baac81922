"""What each heap has to do, in Python: which block it hands out, and what it has written down after each call.

A model names places by their offset from the start of the heap, which it needs for alignment alone; places in regions
that were made of frames are further away. `alloc` answers with the offset of what is handed out, or None.
"""

from abc import ABC, abstractmethod
from array import array
from dataclasses import dataclass
from typing import NamedTuple

from tests.kernel.allocators.frame_models import FrameModel
from tests.kernel.allocators.guest import Guest

PAGE = 4096
REGION_HEADER = 48


class Block(NamedTuple):
    """An allocated block, kept by the offset of what was handed out of it."""

    start: int
    length: int
    size: int
    align: int


@dataclass
class Region:
    """Where blocks lie. One that was made of frames has a header of one or more pages before it."""

    start: int
    size: int
    frames: range
    """Numbers of the frames that it was made of, in the allocator's own counting."""

    @property
    def end(self) -> int:
        return self.start + self.size


class HeapModel(ABC):
    """Which blocks there are."""

    granule: int
    """The smallest block: a heap is a multiple of it."""
    states_shift: int
    """One byte is kept for so many bytes of a region: 1 << states_shift."""

    def __init__(self, start: int, size: int, frames: FrameModel | None = None, first_frame: int = 0) -> None:
        self.start = start
        self.frames = frames
        self.first_frame = first_frame
        self.regions = [Region(0, size // self.granule * self.granule, range(0))]
        self.used: dict[int, Block] = {}
        self.open(self.regions[0])

    @property
    def size(self) -> int:
        """Bytes of all regions."""
        return sum(region.size for region in self.regions)

    def region_of(self, place: int) -> Region:
        return next(region for region in self.regions if region.start <= place < region.end)

    def frames_in_use(self) -> int:
        """Frames that the heap holds."""
        return sum(len(region.frames) for region in self.regions)

    def alloc(self, size: int, align: int) -> int | None:
        """Allocate a block; grow when none is large enough."""
        if align & (align - 1):
            return None
        block, offset = self.choose(size, align)
        if block is None and self.grow(self.need(size, align)):
            block, offset = self.choose(size, align)
            assert block is not None
        if block is None:
            return None
        region = self.region_of(block.start)
        assert all(
            block.start + block.length <= b.start or b.start + b.length <= block.start for b in self.used.values()
        )
        assert (self.start + offset) % max(align, 1) == 0
        assert region.start <= block.start <= offset
        assert offset + max(size, 1) <= block.start + block.length <= region.end
        self.used[offset] = block
        return offset

    def grow(self, need: int) -> bool:
        """Take frames for a block of that size: a quarter of the heap, or half of that and so on."""
        if self.frames is None or not 0 < need <= 1 << 40:
            return False
        least = -(-need // PAGE) * PAGE
        wanted = self.size // 4
        sizes = [max(least, (wanted >> halved) // PAGE * PAGE) for halved in range(wanted.bit_length())]
        for size in sizes or [least]:
            head = (REGION_HEADER + 8 + (size >> self.states_shift) + PAGE - 1) // PAGE
            count = head + size // PAGE
            first = self.frames.take(count)
            if first is not None:
                start = (self.first_frame + first + head) * PAGE - self.start
                self.regions.insert(1, Region(start, size, range(first, first + count)))
                self.open(self.regions[1])
                return True
        return False

    def dealloc(self, offset: int) -> Block:
        """Free a block, and give frames back when it was the last one in a region that was made of them."""
        block = self.used.pop(offset)
        self.free(block)
        region = self.region_of(block.start)
        if region.frames and not any(region.start <= other.start < region.end for other in self.used.values()):
            self.close(region)
            self.regions.remove(region)
            assert self.frames is not None
            self.frames.give(region.frames.start, len(region.frames))
        return block

    def resize(self, offset: int, new: int) -> bool:
        """Whether the block has the new size now, in its place."""
        block = self.used[offset]
        length = self.length_in_place(block, new)
        if length is None:
            return False
        self.cut(block, length)
        self.used[offset] = Block(block.start, length, new, block.align)
        return True

    @abstractmethod
    def open(self, region: Region) -> None:
        """All of the region is free from now on."""

    @abstractmethod
    def close(self, region: Region) -> None:
        """Nothing of the region is used: it has no free blocks any more, either."""

    @abstractmethod
    def need(self, size: int, align: int) -> int:
        """Bytes of a region that is surely large enough; 0 when none is."""

    @abstractmethod
    def choose(self, size: int, align: int) -> tuple[Block | None, int]:
        """Take a block out of the free ones, and say where in it the caller's bytes begin."""

    @abstractmethod
    def free(self, block: Block) -> None:
        """The block goes back to the free ones."""

    @abstractmethod
    def length_in_place(self, block: Block, new: int) -> int | None:
        """Bytes that the block has when it is resized, None when it cannot grow so far."""

    @abstractmethod
    def cut(self, block: Block, length: int) -> None:
        """Free blocks behind it become its own, or what is behind its new end a free block."""

    @abstractmethod
    def largest_free(self) -> int:
        """Bytes of the largest free block."""

    @abstractmethod
    def complaint_about_size(self, offset: int, wrong: int) -> str | None:
        """What the guest says when a block is freed with a wrong size; None when it cannot know."""

    @abstractmethod
    def check_blocks(self, guest: Guest) -> None:
        """Compare the guest's free blocks and states with the model's."""

    def check_books(self, guest: Guest) -> None:
        """Compare the guest's regions and blocks with the model's."""
        address = guest.symbol("heap_region")
        for region in self.regions:
            start, end, following, states, allocated, frames = guest.doublewords(address, 6)
            assert (start - self.start, end - start, frames) == (region.start, region.size, len(region.frames))
            if region.frames:
                assert address == (self.first_frame + region.frames.start) * PAGE
                assert states == address + REGION_HEADER
            used = [block for block in self.used.values() if region.start <= block.start < region.end]
            assert allocated == sum(block.length for block in used)
            address = following
        assert address == 0
        self.check_blocks(guest)

    def states_of(self, guest: Guest, region: Region) -> bytes:
        """What the guest has written down of a region's blocks, and the eight bytes behind it."""
        address = guest.symbol("heap_states")
        if region.frames:
            address = (self.first_frame + region.frames.start) * PAGE + REGION_HEADER
        return guest.read(address, (region.size >> self.states_shift) + 8)


class FitModel(HeapModel):
    """003: one list of free blocks; the three strategies differ in which of those with room they take."""

    granule = 16
    states_shift = 6

    def __init__(self, start: int, size: int, frames: FrameModel | None = None, first_frame: int = 0) -> None:
        self.blocks: list[tuple[int, int]] = []
        super().__init__(start, size, frames, first_frame)

    def open(self, region: Region) -> None:
        self.blocks = sorted([*self.blocks, (region.start, region.size)])

    def close(self, region: Region) -> None:
        self.blocks.remove((region.start, region.size))

    def need(self, size: int, align: int) -> int:
        return self.length_for(size) + max(align - PAGE, 0)

    @abstractmethod
    def pick(self, candidates: list[tuple[int, int]]) -> tuple[int, int]:
        """One of the free blocks that have room, lowest address first."""

    def length_for(self, size: int) -> int:
        return max(-(-size // 16) * 16, 16)

    def choose(self, size: int, align: int) -> tuple[Block | None, int]:
        length = self.length_for(size)
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
        self.add(block.start, block.length)

    def add(self, start: int, length: int) -> None:
        joined: list[tuple[int, int]] = []
        for place, size in sorted([*self.blocks, (start, length)]):
            if joined and sum(joined[-1]) == place:
                joined[-1] = (joined[-1][0], joined[-1][1] + size)
            else:
                joined.append((place, size))
        self.blocks = joined

    def behind(self, block: Block) -> int:
        """Free bytes right behind a block."""
        return dict(self.blocks).get(block.start + block.length, 0)

    def length_in_place(self, block: Block, new: int) -> int | None:
        length = self.length_for(new)
        return length if length <= max(block.length, block.length + self.behind(block)) else None

    def cut(self, block: Block, length: int) -> None:
        end = block.start + block.length
        if length < block.length:
            self.add(block.start + length, block.length - length)
        elif length > block.length:
            left = self.behind(block) - (length - block.length)
            self.blocks.remove((end, self.behind(block)))
            if left:
                self.blocks = sorted([*self.blocks, (block.start + length, left)])

    def largest_free(self) -> int:
        return max((length for _, length in self.blocks), default=0)

    def complaint_about_size(self, offset: int, wrong: int) -> str | None:
        length = self.used[offset].length
        if self.length_for(wrong) == length:
            return None
        return f" of {length} bytes is freed with another size: {wrong} bytes"

    def check_blocks(self, guest: Guest) -> None:
        found = []
        address = guest.variable("heap_free_list", 1)
        while address != (1 << 64) - 16:
            length, following = guest.doublewords(address, 2)
            found.append((address - self.start, length))
            address = following
        assert found == self.blocks
        for region in self.regions:
            begins = [(start, 1) for start, _ in self.blocks] + [(block.start, 3) for block in self.used.values()]
            states = bytearray((region.size >> 6) + 8)
            for start, state in [*begins, (region.end, 1)]:
                if region.start <= start <= region.end:
                    granule = (start - region.start) // 16
                    states[granule // 4] |= state << granule % 4 * 2
            assert self.states_of(guest, region) == states


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
    states_shift = 5
    most_order = 31

    def __init__(self, start: int, size: int, frames: FrameModel | None = None, first_frame: int = 0) -> None:
        self.lists: dict[int, list[int]] = {order: [] for order in range(32)}
        super().__init__(start, size, frames, first_frame)

    def open(self, region: Region) -> None:
        for start, order in first_blocks(region, 5, 31):
            self.lists[order].append(start)

    def close(self, region: Region) -> None:
        for start, order in first_blocks(region, 5, 31):
            self.lists[order].remove(start)

    def order_for(self, size: int, align: int) -> int:
        length = max(size, 1) + align - PAGE if align > PAGE else max(size, align, 1)
        order = max((length - 1).bit_length(), 5)
        return order if max(size, align) < 1 << 32 else 64

    def need(self, size: int, align: int) -> int:
        order = self.order_for(size, align)
        return 1 << order if order <= self.most_order else 0

    def choose(self, size: int, align: int) -> tuple[Block | None, int]:
        wanted = self.order_for(size, align)
        order = next((order for order in range(wanted, 32) if self.lists[order]), None)
        if order is None:
            return None, 0
        start = self.lists[order].pop()
        while order > wanted:
            order -= 1
            self.lists[order].append(start + (1 << order))
        offset = start + (-(self.start + start) % align if align > PAGE else 0)
        return Block(start, 1 << order, size, align), offset

    def buddy_of(self, start: int, order: int) -> int:
        """Where the buddy of a block begins, if it has one."""
        base = self.region_of(start).start
        return base + (start - base ^ 1 << order)

    def free(self, block: Block) -> None:
        start, order = block.start, block.length.bit_length() - 1
        while (buddy := self.buddy_of(start, order)) in self.lists[order]:
            self.lists[order].remove(buddy)
            start = min(start, buddy)
            order += 1
        self.lists[order].append(start)

    def length_in_place(self, block: Block, new: int) -> int | None:
        wanted = self.order_for(new, block.align)
        for order in range(block.length.bit_length() - 1, min(wanted, 32)):
            buddy = self.buddy_of(block.start, order)
            if buddy < block.start or buddy not in self.lists[order]:
                return None
        return 1 << wanted if wanted <= self.most_order else None

    def cut(self, block: Block, length: int) -> None:
        order = block.length.bit_length() - 1
        for step in range(order, length.bit_length() - 1):
            self.lists[step].remove(block.start + (1 << step))
        for step in reversed(range(length.bit_length() - 1, order)):
            self.lists[step].append(block.start + (1 << step))

    def largest_free(self) -> int:
        return max((1 << order for order, blocks in self.lists.items() if blocks), default=0)

    def complaint_about_size(self, offset: int, wrong: int) -> str | None:
        block = self.used[offset]
        if 1 << self.order_for(wrong, block.align) == block.length:
            return None
        return f" of {block.length} bytes is freed with another size: {wrong} bytes"

    def check_blocks(self, guest: Guest) -> None:
        for order, blocks in self.lists.items():
            head = address = guest.symbol("heap_free_lists") + 16 * order
            found = []
            while (address := guest.doublewords(address, 1)[0]) != head:
                found.append(address - self.start)
            assert found == blocks[::-1], f"order {order}"
        for region in self.regions:
            states = bytearray((region.size >> 5) + 8)
            marks = [(place, 0x40 | order) for order, blocks in self.lists.items() for place in blocks]
            for offset, block in self.used.items():
                marks += [(offset, 0x20), (block.start, 0x80 | block.length.bit_length() - 1)]
            for place, state in marks:
                if region.start <= place < region.end:
                    states[(place - region.start) // 32] = state
            assert self.states_of(guest, region) == states


def first_blocks(region: Region, least: int, most: int) -> list[tuple[int, int]]:
    """The blocks that a region is cut into, the largest first: where each begins, and its order."""
    blocks = []
    start = region.start
    for order in reversed(range(least, most + 1)):
        while region.end - start >= 1 << order:
            blocks.append((start, order))
            start += 1 << order
    return blocks


class BuddyTreeModel(HeapModel):
    """002: free lists by the id of a block in a binary tree; the buddy of i is i ^ 1."""

    granule = 64
    states_shift = 63

    def __init__(self, start: int, size: int, frames: FrameModel | None = None, first_frame: int = 0) -> None:
        self.root_order = min((size // 64 * 64).bit_length() - 1, 20)
        self.lists: dict[int, list[int]] = {}
        super().__init__(start, size, frames, first_frame)

    def open(self, region: Region) -> None:
        for start, order in first_blocks(region, 6, self.root_order):
            self.lists.setdefault(self.id_of(start, order), []).append(start)

    def close(self, region: Region) -> None:
        for start, order in first_blocks(region, 6, self.root_order):
            self.take(self.id_of(start, order), start)

    def id_of(self, start: int, order: int) -> int:
        """The id of a block: its number among those of its size in the largest block, counted from 1 << depth."""
        place = start - self.region_of(start).start
        return (1 << self.root_order | place & (1 << self.root_order) - 1) >> order

    def order_of(self, number: int) -> int:
        return self.root_order - number.bit_length() + 1

    def order_for(self, size: int, align: int) -> int:
        if max(size, align) > 1 << 20:
            return 64
        return max((max(size, 1) + max(32, align) - 1).bit_length(), 6)

    def need(self, size: int, align: int) -> int:
        order = self.order_for(size, align)
        return 1 << order if order <= self.root_order else 0

    def choose(self, size: int, align: int) -> tuple[Block | None, int]:
        wanted = self.order_for(size, align)
        fitting = [number for number in self.lists if self.order_of(number) >= wanted]
        if not fitting:
            return None, 0
        number = min(fitting, key=lambda number: (self.order_of(number), number))
        start = self.take(number)
        while self.order_of(number) > wanted:
            number *= 2
            self.lists.setdefault(number + 1, []).append(start + (1 << self.order_of(number)))
        offset = start + 32 + -(self.start + start + 32) % max(32, align)
        return Block(start, 1 << wanted, size, align), offset

    def take(self, number: int, start: int | None = None) -> int:
        blocks = self.lists[number]
        start = blocks[-1] if start is None else start
        blocks.remove(start)
        if not blocks:
            del self.lists[number]
        return start

    def buddy_of(self, start: int, length: int) -> int:
        """Where the buddy of a block begins, if it has one."""
        base = self.region_of(start).start
        return base + (start - base ^ length)

    def free(self, block: Block) -> None:
        start, length = block.start, block.length
        number = self.id_of(start, length.bit_length() - 1)
        while number > 1 and (buddy := self.buddy_of(start, length)) in self.lists.get(number ^ 1, []):
            self.take(number ^ 1, buddy)
            start, length, number = min(start, buddy), 2 * length, number // 2
        self.lists.setdefault(number, []).append(start)

    def length_in_place(self, block: Block, new: int) -> int | None:
        wanted = self.order_for(new, block.align)
        if wanted > self.root_order:
            return None
        for order in range(block.length.bit_length() - 1, wanted):
            number = self.id_of(block.start, order)
            if number % 2 or block.start + (1 << order) not in self.lists.get(number + 1, []):
                return None
        return 1 << wanted

    def cut(self, block: Block, length: int) -> None:
        order = block.length.bit_length() - 1
        for step in range(order, length.bit_length() - 1):
            self.take(self.id_of(block.start, step) + 1, block.start + (1 << step))
        for step in reversed(range(length.bit_length() - 1, order)):
            self.lists.setdefault(self.id_of(block.start, step) + 1, []).append(block.start + (1 << step))

    def largest_free(self) -> int:
        return max((1 << self.order_of(number) for number in self.lists), default=0)

    def complaint_about_size(self, offset: int, wrong: int) -> str | None:
        size = self.used[offset].size
        return None if size == wrong else f" of {size} bytes is freed with another size: {wrong} bytes"

    def check_blocks(self, guest: Guest) -> None:
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


HEAP_MODELS: dict[str, type[HeapModel]] = {
    "best_fit": BestFitModel,
    "buddy": BuddyModel,
    "buddy_tree": BuddyTreeModel,
    "first_fit": FirstFitModel,
    "worst_fit": WorstFitModel,
}
"""The model of each heap, by the name of its source."""
