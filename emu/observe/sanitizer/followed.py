"""What the sanitizer makes of allocations: which memory is poisoned, and what is held and freed where."""

from collections.abc import Callable
from functools import partial

from emu.address import PAGE_BITS, VirtAddr
from emu.engine.translated.features.callrecords.poisoning.layout import FOR_HEAP
from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.observe.sanitizer.bugs import Bug, Region
from emu.observe.sanitizer.contents import Contents
from emu.observe.sanitizer.inside import Inside
from emu.observe.sanitizer.poison import Poison

_ALL = (1 << 64) - 1
BadFree = Callable[[Bug, HeapFreed | FrameFreed, VirtAddr, Region | None], None]
"""Gets a free of what must not be freed, the address, and what is there."""


class Followed:
    """Follows the events of frames and blocks.

    Memory is poisoned at once: by native code where a call is recorded, and here for all other events. What is where
    is entered in `contents` when somebody asks.
    """

    def __init__(self, poison: Poison, inside: Inside, bad_free: BadFree, freed: Callable[[int, int], None]) -> None:
        """`freed` gets the physical address and the size of what was freed at this moment."""
        self._poison, self._tables, self._inside = poison, poison.tables, inside
        self._bad_free, self._freed = bad_free, freed
        self._contents = Contents()

    @property
    def contents(self) -> Contents:
        """What is where by now."""
        self._inside.settle()
        return self._contents

    def restore(self, contents: Contents) -> None:
        """Return to a copy of what was saved."""
        self._contents = contents.copied()

    def governed(self, physical: int, size: int, *, blocks: bool) -> None:
        """Memory has become an allocator's, and nobody holds it."""
        if blocks:
            self.contents.heap_governed(physical, size)
        else:
            self.contents.frames_governed(physical, size)
            self._tables.frames_governed(physical, size)
        self._poison.set(physical, size)

    def frames(self, event: Event) -> None:
        """Frames have come or gone."""
        done = self._inside.records.done
        if isinstance(event, FrameAllocated):
            if done:
                self._contents.frames_allocated(event, for_heap=bool(done & FOR_HEAP))
                self._poison.changed(int(event.ppn) << PAGE_BITS, event.count << PAGE_BITS)
            else:
                self._frames_allocated(event)
        elif isinstance(event, FrameFreed):
            if done:
                self._contents.frames_freed(event)
                self._poison.changed(int(event.ppn) << PAGE_BITS, event.count << PAGE_BITS)
            else:
                self._frames_freed(event)

    def blocks(self, event: Event) -> None:
        """A block has come or gone."""
        done = self._inside.records.done
        if isinstance(event, HeapAllocated):
            if done:
                physical = int(event.address) - self._poison.offset & _ALL
                self._contents.block_allocated(physical, event)
                self._poison.changed(physical, event.size)
            else:
                self._block_allocated(event)
        elif isinstance(event, HeapFreed):
            if done:
                physical = int(event.address) - self._poison.offset & _ALL
                block = self._contents.block_freed(physical, event)
                self._poison.changed(physical, 0 if block is None else block.size)
            else:
                self._block_freed(event)

    # What native code has left.

    def _frames_allocated(self, event: FrameAllocated) -> None:
        for_heap = self._inside.heap_is_asking
        change = self._poison.set if for_heap else self._poison.clear
        change(int(event.ppn) << PAGE_BITS, event.count << PAGE_BITS)
        self._tables.frames_changed(int(event.ppn), event.count, freed=False)
        self._inside.tell_later(lambda: self._contents.frames_allocated(event, for_heap=for_heap))

    def _frames_freed(self, event: FrameFreed) -> None:
        ppn = int(event.ppn)
        if event.offset:
            place, held = self._frame_at(ppn), self.contents.frames.get(ppn)
            region = Region(place, 1 << PAGE_BITS, is_frames=True, allocated=held) if held else None
            self._bad_free(Bug.INVALID_FREE, event, place + event.offset, region)
        elif self._tables.was_freed(ppn) and not event.given:
            place, known = self._frame_at(ppn), self.contents.free_frames.get(ppn, (None, None))
            self._bad_free(Bug.DOUBLE_FREE, event, place, Region(place, 1 << PAGE_BITS, True, *known))
        else:
            self._poison.set(ppn << PAGE_BITS, event.count << PAGE_BITS)
            self._tables.frames_changed(ppn, event.count, freed=True)
            self._freed(ppn << PAGE_BITS, event.count << PAGE_BITS)
            self._inside.tell_later(partial(self._contents.frames_freed, event))

    def _frame_at(self, ppn: int) -> VirtAddr:
        return VirtAddr((ppn << PAGE_BITS) + self._poison.offset & _ALL)

    def _block_allocated(self, event: HeapAllocated) -> None:
        physical = self._poison.learn(int(event.address))
        if physical is not None:
            self._poison.hold(physical, event.size)
            self._tables.block_changed(physical, event.size)
            self._inside.tell_later(partial(self._contents.block_allocated, physical, event))

    def _block_freed(self, event: HeapFreed) -> None:
        physical = self._poison.place(int(event.address))
        if physical is None:
            return
        size = self._tables.size(physical)
        if size:
            if event.size not in (0, size):
                holder = self.contents.block_around(physical)
                self._bad_free(Bug.WRONG_SIZE_FREE, event, event.address, None if holder is None else holder.region)
            self._inside.tell_later(partial(self._contents.block_freed, physical, event))
        else:
            block = self.contents.block_freed(physical, event)
            if block is None:
                self._free_of_nothing(event, physical)
                return
            size = block.size
            if event.size not in (0, size):
                region = Region(event.address, size, is_frames=False, allocated=block)
                self._bad_free(Bug.WRONG_SIZE_FREE, event, event.address, region)
        self._poison.set(physical, size)
        self._tables.block_changed(physical, 0)
        self._freed(physical, size)

    def _free_of_nothing(self, event: HeapFreed, physical: int) -> None:
        contents = self._contents
        before = contents.freed_around(physical)
        holder = contents.block_around(physical)
        if before is not None and before.physical == physical and before.region.freed is not None:
            self._bad_free(Bug.DOUBLE_FREE, event, event.address, before.region)
        elif holder is not None:
            self._bad_free(Bug.INVALID_FREE, event, event.address, holder.region)
        elif physical >> PAGE_BITS in contents.heap:
            self._bad_free(Bug.INVALID_FREE, event, event.address, None)
