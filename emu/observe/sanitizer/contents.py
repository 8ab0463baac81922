"""What is where in RAM, by physical address: blocks and frames, held and freed, and what allocators own."""

from emu.address import PAGE_BITS, PAGE_SIZE, VirtAddr
from emu.events import FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.lateclass import dataclass, replace
from emu.observe.allocations.ranges import Ranges
from emu.observe.sanitizer.bugs import Region

_MOST_FREED = 1 << 14
"""Freed blocks that are remembered."""
_NEAR = 256
"""Bytes beside a block in which an access is blamed on it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A region at its physical place."""

    physical: int
    region: Region

    @property
    def end(self) -> int:
        """Behind its last byte."""
        return self.physical + self.region.size


class Contents:
    """Regions by physical address; nothing is judged here."""

    def __init__(self) -> None:
        self.blocks: Ranges[Placed] = Ranges()
        self.freed: Ranges[Placed] = Ranges()
        self.heap: set[int] = set()
        """Page numbers of frames, and parts of them, that belong to a heap."""
        self.frames: dict[int, FrameAllocated] = {}
        self.free_frames: dict[int, tuple[FrameAllocated | None, FrameFreed | None]] = {}

    def copied(self) -> "Contents":
        """The same, independent of this."""
        other = Contents()
        other.blocks, other.freed = self.blocks.copy(), self.freed.copy()
        other.heap, other.frames, other.free_frames = set(self.heap), dict(self.frames), dict(self.free_frames)
        return other

    def block_allocated(self, physical: int, event: HeapAllocated) -> None:
        """A heap has handed out a block."""
        self._forget_freed(physical, event.size)
        region = Region(event.address, event.size, is_frames=False, allocated=event)
        self.blocks.add(physical, event.size, Placed(physical, region))

    def block_freed(self, physical: int, event: HeapFreed) -> Placed | None:
        """A heap takes a block back: which; None when nobody holds one there."""
        found = self.block_at(physical)
        if found is None:
            return None
        self.blocks.remove(physical)
        self._forget_freed(physical, found.region.size)
        self.freed.add(physical, found.region.size, Placed(physical, replace(found.region, freed=event)))
        if len(self.freed) > _MOST_FREED:
            self.freed.clear()
        return found

    def block_at(self, physical: int) -> Placed | None:
        """The block that begins here."""
        found = self.blocks.holding(physical)
        return found if found is not None and found.physical == physical else None

    def frames_allocated(self, event: FrameAllocated, *, for_heap: bool) -> None:
        """An allocator has handed out frames."""
        self._forget_in(int(event.ppn), event.count)
        for ppn in range(int(event.ppn), int(event.ppn) + event.count):
            self.free_frames.pop(ppn, None)
            self.frames[ppn] = event
            if for_heap:
                self.heap.add(ppn)

    def frames_freed(self, event: FrameFreed) -> None:
        """It takes them back."""
        self._forget_in(int(event.ppn), event.count)
        for ppn in range(int(event.ppn), int(event.ppn) + event.count):
            self.free_frames[ppn] = self.frames.pop(ppn, None), event
            self.heap.discard(ppn)

    def frames_governed(self, physical: int, size: int) -> None:
        """These frames are an allocator's, and nobody has held them."""
        for ppn in range(physical >> PAGE_BITS, physical + size >> PAGE_BITS):
            self.free_frames[ppn] = None, None

    def heap_governed(self, physical: int, size: int) -> None:
        """These addresses are a heap's."""
        self.heap |= set(range(physical >> PAGE_BITS, (physical + size - 1 >> PAGE_BITS) + 1))

    def freed_around(self, physical: int) -> Placed | None:
        """The freed block that an address lies in."""
        found = self.freed.holding(physical)
        return found if found is not None and physical < found.end else None

    def beside(self, physical: int) -> Placed | None:
        """The held block that ends before or begins behind an address, if it is near; the one before comes first."""
        near = list(self.blocks.overlapping(physical - _NEAR, 2 * _NEAR))
        before = [block for block in near if block.end <= physical]
        behind = [block for block in near if block.physical > physical]
        return (
            max(before, key=lambda block: block.end)
            if before
            else min(behind, key=lambda block: block.physical, default=None)
        )

    def frame_around(self, physical: int, virtual: int) -> Region | None:
        """The free frame that an address lies in, by virtual address as it was accessed."""
        known = self.free_frames.get(physical >> PAGE_BITS)
        if known is None:
            return None
        return Region(VirtAddr(virtual & -PAGE_SIZE), PAGE_SIZE, True, *known)

    def code(self, physical: int) -> int:
        """KASAN's byte for 8 bytes that must not be accessed."""
        if physical >> PAGE_BITS in self.free_frames and physical >> PAGE_BITS not in self.heap:
            return 0xFF
        if self.freed_around(physical) is not None:
            return 0xFB
        return 0xFC

    def _forget_in(self, ppn: int, count: int) -> None:
        start, size = ppn << PAGE_BITS, count << PAGE_BITS
        self._forget_freed(start, size)
        for block in list(self.blocks.overlapping(start, size)):
            if start <= block.physical < start + size:
                self.blocks.remove(block.physical)

    def _forget_freed(self, physical: int, size: int) -> None:
        for old in list(self.freed.overlapping(physical, size)):
            self.freed.remove(old.physical)
