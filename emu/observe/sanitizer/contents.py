"""What is where in RAM, by physical address: blocks and frames, held and freed, and what allocators own."""

from emu.address import PAGE_BITS, PAGE_SIZE, VirtAddr
from emu.events import FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.lateclass import dataclass, replace
from emu.observe.allocations.ranges import Ranges
from emu.observe.sanitizer.bugs import Region

_MOST_FREED = 1 << 14
"""Freed blocks that are remembered."""
_MOST_NOTED = 1 << 16
_NEAR = 256
"""Bytes beside a block in which an access is blamed on it."""


_Note = tuple[int, HeapAllocated | HeapFreed | int]
"""A physical address, and the event of a block there; or a page number, and how many frames have come or gone."""


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
    """Regions by physical address; nothing is judged here.

    What came and went is noted, and put in order when somebody asks: that is seldom.
    """

    def __init__(self) -> None:
        self._blocks: Ranges[Placed] = Ranges()
        self._freed: Ranges[Placed] = Ranges()
        self._noted: list[_Note] = []
        """What is not in these yet, in its order."""
        self._held: dict[int, tuple[HeapAllocated, int]] = {}
        """Blocks by their beginning, with how often frames had come and gone before: what is older than its frame's
        last change is held no more."""
        self._changes = 0
        self._changed: dict[int, int] = {}
        """By page number, which change of frames was the last one there."""
        self.heap: set[int] = set()
        """Page numbers of frames, and parts of them, that belong to a heap."""
        self.frames: dict[int, FrameAllocated] = {}
        self.free_frames: dict[int, tuple[FrameAllocated | None, FrameFreed | None]] = {}

    def copied(self) -> "Contents":
        """The same, independent of this."""
        other = Contents()
        self._put_in_order()
        other._blocks, other._freed, other._held = self._blocks.copy(), self._freed.copy(), dict(self._held)
        other._changes, other._changed = self._changes, dict(self._changed)
        other.heap, other.frames, other.free_frames = set(self.heap), dict(self.frames), dict(self.free_frames)
        return other

    def block_allocated(self, physical: int, event: HeapAllocated) -> None:
        """A heap has handed out a block."""
        self._held[physical] = event, self._changes
        self._note(physical, event)

    def block_freed(self, physical: int, event: HeapFreed) -> HeapAllocated | None:
        """A heap takes a block back: which; None when nobody holds one there."""
        allocated, change = self._held.pop(physical, (None, 0))
        if allocated is None or self._changed.get(physical >> PAGE_BITS, 0) > change:
            return None
        self._note(physical, event)
        return allocated

    def block_around(self, physical: int) -> Placed | None:
        """The held block that an address lies in."""
        self._put_in_order()
        return self._blocks.holding(physical)

    def frames_allocated(self, event: FrameAllocated, *, for_heap: bool) -> None:
        """An allocator has handed out frames."""
        self._frames_changed(int(event.ppn), event.count)
        for ppn in range(int(event.ppn), int(event.ppn) + event.count):
            self.free_frames.pop(ppn, None)
            self.frames[ppn] = event
            if for_heap:
                self.heap.add(ppn)

    def frames_freed(self, event: FrameFreed) -> None:
        """It takes them back."""
        self._frames_changed(int(event.ppn), event.count)
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
        self._put_in_order()
        found = self._freed.holding(physical)
        return found if found is not None and physical < found.end else None

    def beside(self, physical: int) -> Placed | None:
        """The held block that ends before or begins behind an address, if it is near; the one before comes first."""
        self._put_in_order()
        near = list(self._blocks.overlapping(physical - _NEAR, 2 * _NEAR))
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

    def _frames_changed(self, ppn: int, count: int) -> None:
        self._changes += 1
        for number in range(ppn, ppn + count):
            self._changed[number] = self._changes
        self._note(ppn, count)

    def _note(self, place: int, what: "HeapAllocated | HeapFreed | int") -> None:
        self._noted.append((place, what))
        if len(self._noted) >= _MOST_NOTED:
            self._put_in_order()

    def _put_in_order(self) -> None:
        for place, what in self._noted:
            if isinstance(what, int):
                self._forget_in(place, what)
                continue
            if isinstance(what, HeapAllocated):
                self._forget_freed(place, what.size)
                region = Region(what.address, what.size, is_frames=False, allocated=what)
                self._blocks.add(place, what.size, Placed(place, region))
                continue
            region = self._blocks.remove(place).region
            self._forget_freed(place, region.size)
            self._freed.add(place, region.size, Placed(place, replace(region, freed=what)))
            if len(self._freed) > _MOST_FREED:
                self._freed.clear()
        self._noted.clear()

    def _forget_in(self, ppn: int, count: int) -> None:
        start, size = ppn << PAGE_BITS, count << PAGE_BITS
        self._forget_freed(start, size)
        for block in list(self._blocks.overlapping(start, size)):
            if start <= block.physical < start + size:
                self._blocks.remove(block.physical)

    def _forget_freed(self, physical: int, size: int) -> None:
        for old in list(self._freed.overlapping(physical, size)):
            self._freed.remove(old.physical)
