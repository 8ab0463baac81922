"""A check of every load and store against a shadow of memory: reports each access to a poisoned byte before it happens.

No branch is added to translated code: the address of an access to a poisoned byte gets bits flipped that no entry of
the core's TLB has, so that it comes to `emu.engine.translated.features.shadow_probes`: they flip them back, report and
go on.
"""

import ctypes
import mmap
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from emu.buffers import buffer_address
from emu.engine import library
from emu.engine.slots import Slot
from emu.engine.translated.features import Access, Core, Feature
from emu.engine.translated.features.opencalls import KeptCalls
from emu.engine.translated.features.shadow_probes import CALLED, CHECKS, LOADS, STORE, STORES, Word
from emu.engine.translated.installation import replace_table
from emu.engine.translated.operations import ADDRESS, Operation, T, known, op
from emu.engine.translated.plan import Known, Part

_Told = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint64)
_ALL = (1 << 64) - 1
_HELD = tuple(bytes((0xFF << held & 0xFF,)) if held else b"" for held in range(8))
"""A cell of which so many bytes may be accessed."""
_MOST_PARTS = 1024
"""Changed parts of a table that are remembered; after more it is returned to a state as a whole."""


class Poisoned(NamedTuple):
    """An access to a poisoned byte, which is about to be carried out."""

    pc: int
    address: int
    """Virtual."""
    size: int
    is_store: bool
    value: int
    """What is stored; 0 for a load."""


Report = Callable[[Poisoned], None]


class Bits:
    """A bit for each byte of virtual memory, in a table that addresses share modulo RAM's size."""

    def __init__(self, mask: int) -> None:
        self._mask = mask
        self._memory = mmap.mmap(-1, mask + 2, flags=mmap.MAP_PRIVATE)
        """A byte behind the last repeats the first: two are read at once."""
        self.table = memoryview(self._memory)
        self.address = buffer_address(self._memory)
        """Where the host has the table."""
        self._low, self._high = mask + 1, 0
        """Where bits have been changed."""
        self._state: tuple[int, bytes] | None = None
        self._since: list[tuple[int, int]] = []
        """The state that was saved or returned to last, and the parts that were changed since."""

    def change(self, address: int, length: int, *, poisoned: bool) -> None:
        """Set or clear the bits of a range of addresses."""
        end = address + length
        first, behind = address + 7 >> 3, end >> 3
        if not (address | length) & 7:
            start, cells = first & self._mask, behind - first
            if start + cells <= self._mask:
                self.table[start : start + cells] = (b"\xff" if poisoned else b"\0") * cells
                self._changed(start, start + cells)
                return
        if first > behind:  # within 8 bytes
            self._part(behind, (1 << length) - 1 << (address & 7), poisoned=poisoned)
            return
        self._part(first - 1, 0xFF << (address & 7) & 0xFF if address & 7 else 0, poisoned=poisoned)
        self._part(behind, (1 << (end & 7)) - 1, poisoned=poisoned)
        for start, count in self.places(first, behind - first):
            self.table[start : start + count] = (b"\xff" if poisoned else b"\0") * count
            self._changed(start, start + count)

    def hold(self, address: int, length: int) -> None:
        """Clear the bits of a range of addresses, and set those behind it up to a multiple of 8."""
        start, cells = address >> 3 & self._mask, length >> 3
        if address & 7 or start + cells >= self._mask:
            self.change(address, length, poisoned=False)
            self.change(address + length, -(address + length) & 7, poisoned=True)
            return
        held = bytes(cells) + _HELD[length & 7]
        self.table[start : start + len(held)] = held
        self._changed(start, start + len(held))

    def noted(self, address: int, length: int) -> None:
        """Native code has changed the bits of a range that does not go over the end of the table."""
        start = address >> 3 & self._mask
        self._changed(start, start + (length + 7 >> 3))

    def places(self, cell: int, cells: int) -> list[tuple[int, int]]:
        """Where in the table so many cells stand from one on: starts and lengths."""
        size = self._mask + 1
        start, cells = cell & self._mask, min(cells, size)
        parts = [(start, min(cells, size - start)), (0, cells - min(cells, size - start))]
        return [(start, count) for start, count in parts if count]

    def at(self, address: int, size: int) -> int:
        """The bits of at most 8 bytes."""
        cell = address >> 3
        both = self.table[cell & self._mask] | self.table[cell + 1 & self._mask] << 8
        return both >> (address & 7) & (1 << size) - 1

    def save(self) -> tuple[int, bytes]:
        """The part that has ever been changed."""
        self._state, self._since = (self._low, bytes(self.table[self._low : self._high])), []
        return self._state

    def restore(self, saved: tuple[int, bytes] | None) -> list[tuple[int, int]]:
        """Return to what `save` gave; None clears all. The parts of the table that may have changed."""
        low, part = saved or (self._low, b"")
        if saved is None or saved is not self._state or len(self._since) >= _MOST_PARTS:
            parts = [(self._low, max(self._high, low + len(part)))]
        else:
            parts = self._since
        end = low + len(part)
        for start, stop in parts:
            inside = range(max(start, low), min(stop, end))
            self.table[start:stop] = bytes(stop - start)
            if inside:
                self.table[inside.start : inside.stop] = part[inside.start - low : inside.stop - low]
        self.table[self._mask + 1] = self.table[0]
        self._state, self._since = saved, []
        return parts

    def move(self, distance: int) -> None:
        """Move all bits so many cells on, fewer than there are; what goes over the end comes to the beginning."""
        size, memory = self._mask + 1, self._memory
        if distance <= size >> 1:
            over = memory[size - distance : size]
            memory.move(distance, 0, size - distance)
            memory[:distance] = over
        else:
            over = memory[: size - distance]
            memory.move(0, size - distance, distance)
            memory[distance:size] = over
        self._changed(0, size)

    def _part(self, cell: int, bits: int, *, poisoned: bool) -> None:
        if bits:
            place = cell & self._mask
            self.table[place] = self.table[place] | bits if poisoned else self.table[place] & ~bits
            self._changed(place, place + 1)

    def _changed(self, start: int, end: int) -> None:
        if start < self._low:
            self._low = start
        if end > self._high:
            self._high = end
        if len(self._since) < _MOST_PARTS:
            self._since.append((start, end))
        if start == 0:
            self.table[self._mask + 1] = self.table[0]


class Layer:
    """What one user of a core's shadow has poisoned; it is told of accesses to that between two addresses."""

    def __init__(self, shadow: "Shadow", report: Report, low: int, high: int) -> None:
        self._shadow = shadow
        self.report, self.low, self.high = report, low, high
        self.bits = Bits(shadow.mask)
        self._calls: KeptCalls | None = None
        self._marks = 0

    def poison(self, address: int, length: int) -> None:
        """Report accesses to these bytes from now on."""
        self.bits.change(address, length, poisoned=True)
        self._shadow.show(address, length)

    def clear(self, address: int, length: int) -> None:
        """Report accesses to these bytes no more, nor to those that share the table's bits with them."""
        self.bits.change(address, length, poisoned=False)
        self._shadow.show(address, length)

    def hold(self, address: int, length: int) -> None:
        """The same, and report accesses to what lies behind these bytes up to a multiple of 8."""
        self.bits.hold(address, length)
        self._shadow.show(address, length + 7)

    @property
    def shown_address(self) -> int:
        """Where native code finds the address of the table that it looks at: this layer's while it is the only one."""
        return self._shadow.shown_address

    @property
    def mask(self) -> int:
        """Which octets a table has."""
        return self._shadow.mask

    @property
    def span(self) -> int:
        """Addresses that differ by this many bytes share their bits."""
        return self._shadow.mask + 1 << 3

    def reach(self, low: int, high: int) -> None:
        """Report accesses from `low` to below `high` from now on."""
        if (low, high) != (self.low, self.high):
            self.low, self.high = low, high
            self._shadow.choose()

    def leave_out(self, calls: KeptCalls, marks: int) -> None:
        """Report nothing that is done inside of a call with one of these marks; costs no more than that."""
        self._calls, self._marks = calls, marks
        self._shadow.choose()

    @property
    def left_out(self) -> tuple[int, int]:
        """For native code, if all layers agree: where the innermost call's entry is told, and the marks."""
        return (0, 0) if self._calls is None else (self._calls.innermost_address, self._marks)

    def move(self, distance: int) -> None:
        """As `Bits.move`."""
        self.bits.move(distance)
        self._shadow.show_all()

    def restore(self, saved: tuple[int, bytes] | None) -> None:
        """Return to what `bits.save` gave."""
        self.bits.restore(saved)
        self._shadow.show_all()

    def is_meant(self, address: int, size: int) -> bool:
        """Whether an access is one that it reports."""
        if not self.low <= address < self.high or not self.bits.at(address, size):
            return False
        return self._calls is None or not self._calls.marks_here & self._marks


class Shadow(Feature):
    """A bit for each byte of virtual memory that is poisoned, of all layers together.

    The tables are of one eighth of RAM's size, and addresses share them modulo RAM's size; a layer tells apart by its
    lowest and highest address what it means. Seen are loads and stores of the guest's instructions, before they are
    carried out (loads, without native probes, right behind); not fetches, page walks, devices and the host. A report
    may raise: that comes out of the run when the current block has ended. It may stop the run: before the access,
    natively.
    """

    order: ClassVar[int] = 10
    works_alone: ClassVar[bool] = True  # native code leaves the core in front of what is to be reported

    def __init__(self, size: int) -> None:
        """`size` is that of RAM in bytes."""
        self.mask = (1 << (size - 1).bit_length() - 3) - 1
        self.layers: tuple[Layer, ...] = ()
        self._shown = Bits(self.mask)
        self._words = (ctypes.c_uint64 * len(Word))()
        self._nowhere = (ctypes.c_uint64 * 8)()
        self._nowhere[0] = ctypes.addressof(self._nowhere)
        self._core: Core | None = None
        self._told = _Told(self._tell)
        self._words[Word.TELL] = library.address_of(self._told)
        self.choose()

    @property
    def shown_address(self) -> int:
        """Where native code finds the address of the table that it looks at."""
        return ctypes.addressof(self._words) + 8 * Word.TABLE

    def add(self, report: Report, low: int = 0, high: int = 1 << 64) -> Layer:
        """A layer for accesses from `low` to below `high`."""
        layer = Layer(self, report, low, high)
        self.layers = (*self.layers, layer)
        self.show_all()
        return layer

    def remove(self, layer: Layer) -> None:
        """Forget all that a layer has poisoned."""
        self.layers = tuple(other for other in self.layers if other is not layer)
        self.show_all()

    def choose(self) -> None:
        """Bring up to date what native code looks at."""
        layers, words = self.layers, self._words
        low = max(min((layer.low for layer in layers), default=0), 0)
        shown = layers[0].bits if len(layers) == 1 else self._shown
        words[Word.TABLE], words[Word.MASK] = shown.address, self.mask
        words[Word.LOW], words[Word.SPAN] = low, max((layer.high for layer in layers), default=0) - low - 1 & _ALL
        left_out = {layer.left_out for layer in layers}
        innermost, marks = left_out.pop() if len(left_out) == 1 else (0, 0)
        words[Word.INNERMOST], words[Word.MARKS] = innermost or ctypes.addressof(self._nowhere), marks

    def show(self, address: int, length: int) -> None:
        """A layer has changed its bits of a range. Those of a single one are what native code looks at."""
        if length <= 0 or len(self.layers) == 1:
            return
        shown, cell = self._shown, address >> 3
        for start, count in shown.places(cell, (address + length - 1 >> 3) - cell + 1):
            end = start + count
            parts = [layer.bits.table[start:end] for layer in self.layers]
            if len(parts) == 1:
                shown.table[start:end] = parts[0]
            else:
                joined = 0
                for part in parts:
                    joined |= int.from_bytes(part, "little")
                shown.table[start:end] = joined.to_bytes(count, "little")
        shown.table[self.mask + 1] = shown.table[0]

    def show_all(self) -> None:
        """Layers have changed as a whole."""
        self.choose()
        self.show(0, 8 * (self.mask + 1))

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        self._core = core
        if not core.state_address:
            return {}
        replace_table(CHECKS, CALLED, (*LOADS.values(), *STORES.values()))
        core.slots[Slot.SHADOW] = ctypes.addressof(self._words)
        flip = _flip(ctypes.addressof(self._words), self.mask)
        return {
            Part.BEFORE_LOAD: flip, Part.AFTER_LOAD: _BACK, Part.BEFORE_STORE: flip, Part.AFTER_STORE: _BACK,
        }  # fmt: skip

    def switched_off(self) -> None:
        """See `Feature`."""
        if self._core is not None:
            self._core.slots[Slot.SHADOW] = 0

    def _tell(self, address: int, kind: int, value: int, pc: int) -> None:
        size, is_store = kind & ~STORE, bool(kind & STORE)
        try:
            self._report(Poisoned(pc, address, size, is_store, value & (1 << 8 * size) - 1 if is_store else 0))
        except BaseException as error:  # noqa: BLE001  # kept for `run` to raise: ctypes would swallow it
            assert self._core is not None
            self._core.fail(error)

    def _report(self, poisoned: Poisoned) -> None:
        for layer in self.layers:
            if layer.is_meant(poisoned.address, poisoned.size):
                layer.report(poisoned)

    def stores(self, access: Access, /) -> None:
        """See `Feature`."""
        self._report(Poisoned(access.pc, access.address, access.size, True, access.value))

    def accessed(self, access: Access, _physical: int, /) -> None:
        """See `Feature`."""
        if not access.is_store:
            self._report(Poisoned(access.pc, access.address, access.size, False, 0))


def _flip(words: int, mask: int) -> tuple[Operation, ...]:
    """Flip upper bits of the address of an access to poisoned bytes: those that T[8] keeps for `_BACK`."""
    cell, other, flipped = T[0], T[1], T[8]
    return (
        op("movi", other, 3),
        op("shr", cell, ADDRESS, other),
        op("movi", other, mask),
        op("and", cell, cell, other),
        op("movi", other, words),
        op("ld", other, other, 8 * Word.TABLE),
        op("add", cell, cell, other),
        op("ld16u", cell, cell, 0),
        op("movi", other, 7),
        op("and", other, ADDRESS, other),
        op("shr", cell, cell, other),
        op("movi", other, known(Known.TO_TOP)),
        op("shl", flipped, cell, other),
        op("xor", ADDRESS, ADDRESS, flipped),
    )


_BACK = (op("xor", ADDRESS, ADDRESS, T[8]),)
"""Flip them back."""
