"""What each heap has to do, in Python: which block it hands out, and what it has written down after each call.

A model names places by their offset from the start of the heap, which it needs for alignment alone; places in regions
that were made of frames are further away. `alloc` answers with the offset of what is handed out, or None.
"""

from abc import ABC, abstractmethod
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
