"""Which bytes of what allocators have handed out were never written, as bits of the hart's shadow."""

from collections.abc import Callable
from typing import cast

from emu.address import PAGE_BITS
from emu.engine.translated.features.shadow import Report
from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.machine import Machine
from emu.observe.allocations.collected import kept_kinds
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.sanitizer.inside import Inside
from emu.observe.sanitizer.poison import Poison
from emu.observe.sanitizer.uninit.values import Cell
from emu.subscriptions import cancel_all

_ALL = (1 << 64) - 1
_Saved = tuple[tuple[int, bytes], int, dict[int, tuple[int, str]], dict[int, Cell]]


class Fresh:
    """Bytes are marked when memory is handed out and when it comes back; stores, devices and the host take marks off.

    Memory that comes as zeros which were written since it was free counts as written, and so do objects of caches that
    keep what their constructor has made of them.
    """

    def __init__(self, machine: Machine, poison: Poison, inside: Inside, report: Report) -> None:
        self._machine, self._poison = machine, poison
        self._ram, self._core = machine.memory.ram, machine.core
        self._layer = self._core.shadow.open_unwritten(report)
        self._layer.leave_out(inside.calls, inside.marks)
        self.cells: dict[int, Cell] = {}
        """What is known of marked bytes that were stored, by physical address; of others it means nothing."""
        self._kept = kept_kinds(machine)
        self._blocks: dict[int, tuple[int, str]] = {}
        """Size and kind of what is held, by physical address."""
        self._last: tuple[HeapFreed, int, Callable[[], None]] | None = None
        """A block that has just come back, and what undoes that."""
        self._offset = 0
        self._place()
        machine.memory.changed = (*machine.memory.changed, self.written)
        self._subscriptions = [
            FrameObserver.collect(machine, self._frames, at_once=True),
            HeapObserver.collect(machine, self._heap, at_once=True),
        ]

    def close(self) -> None:
        """Mark nothing more."""
        cancel_all(self._subscriptions)
        memory = self._machine.memory
        memory.changed = tuple(other for other in memory.changed if other != self.written)
        self._core.shadow.close(self._layer)

    @property
    def marked(self) -> int:
        """How many bytes are marked, in use and free."""
        return int.from_bytes(self._layer.bits.table[:-1], "little").bit_count()

    def at(self, physical: int, size: int) -> int:
        """A bit for each of at most 8 bytes that was never written."""
        return self._layer.bits.at(physical + self._offset & _ALL, size)

    def mark(self, physical: int, size: int) -> None:
        """These bytes were never written; what was known of them before is forgotten."""
        if self._ram.contains(physical, size):
            for place in self._cells_in(physical, size):
                del self.cells[place]
            self._layer.bits.change(physical + self._offset & _ALL, size, poisoned=True)

    def written(self, physical: int, size: int) -> None:
        """These bytes are written."""
        if self._ram.contains(physical, size):
            self._layer.bits.change(physical + self._offset & _ALL, size, poisoned=False)

    def _cells_in(self, physical: int, size: int) -> dict[int, Cell]:
        """What is known of the bytes of a range."""
        cells, end = self.cells, physical + size
        if len(cells) < size:
            return {place: cell for place, cell in cells.items() if physical <= place < end}
        return {place: cells[place] for place in range(physical, end) if place in cells}

    def save(self) -> object:
        """What is known, for a snapshot."""
        return self._layer.bits.save(), self._offset, dict(self._blocks), dict(self.cells)

    def restore(self, saved: object | None) -> None:
        """Return to that; to nothing with None."""
        bits, self._offset, blocks, cells = cast("_Saved", saved or (None, 0, {}, {}))
        self._blocks, self.cells = dict(blocks), dict(cells)
        self._last = None
        self._layer.bits.changed_elsewhere()
        self._layer.restore(bits)
        self._place()

    def _place(self) -> None:
        """Tell native code where the kernel's linear map is."""
        low = self._ram.base + self._offset & _ALL
        self._core.shadow.place_linear(low)
        self._layer.reach(low - 7, low + self._ram.size)

    def _follow_map(self) -> None:
        offset = self._poison.offset
        if offset == self._offset:
            return
        distance = (offset - self._offset >> 3) % (self._layer.span >> 3)
        if distance:
            self._layer.move(distance)
        self._offset = offset
        self._place()

    def _hand_out(self, physical: int, size: int) -> None:
        """What was not written while it was free, or is no zeros, was never written."""
        if not self._ram.contains(physical, size):
            return
        was_written = not self._layer.bits.are_set(physical + self._offset & _ALL, size)
        if not was_written or self._machine.memory.read(physical, size).count(0) < size:
            self.mark(physical, size)

    def _frames(self, event: Event) -> None:
        self._follow_map()
        if isinstance(event, FrameAllocated):
            self._hand_out(int(event.ppn) << PAGE_BITS, event.count << PAGE_BITS)
        elif isinstance(event, FrameFreed) and not event.offset:
            self.mark(int(event.ppn) << PAGE_BITS, event.count << PAGE_BITS)

    def _heap(self, event: Event) -> None:
        self._follow_map()
        if isinstance(event, HeapAllocated):
            self._allocated(event)
        elif isinstance(event, HeapFreed):
            self._freed(event)

    def _allocated(self, event: HeapAllocated) -> None:
        last, self._last = self._last, None
        physical = self._poison.place(int(event.address))
        if physical is None or not self._ram.contains(physical, event.size):
            return
        self._blocks[physical] = event.size, event.kind
        if last is not None and (last[0].instret, last[0].pc) == (event.instret, event.pc):
            if last[1] == physical:  # resized in its place; elsewhere the allocator has copied what there was
                last[2]()
        elif event.kind in self._kept:
            self.written(physical, event.size)
        else:
            self._hand_out(physical, event.size)

    def _freed(self, event: HeapFreed) -> None:
        self._last = None
        physical = self._poison.place(int(event.address))
        size, kind = self._blocks.pop(physical, (0, "")) if physical is not None else (0, "")
        if physical is None or not size or kind in self._kept:
            return
        bits, address = self._layer.bits, physical + self._offset & _ALL
        before = [(start, bytes(bits.table[start : start + count])) for start, count in bits.cells(address, size)]
        cells = self._cells_in(physical, size)
        self.mark(physical, size)

        def undo() -> None:
            for start, part in before:
                bits.table[start : start + len(part)] = part
            self.cells.update(cells)

        self._last = event, physical, undo
