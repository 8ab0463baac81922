"""A check of every load and store against a shadow of memory: reports each access to a poisoned byte before it happens.

No branch is added to translated code: the address of an access to a poisoned byte gets bits flipped that no entry of
the core's TLB has, so that it comes to `emu.engine.translated.features.shadow_probes`: they flip them back, report and
go on.
"""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from emu.engine import library
from emu.engine.slots import Slot
from emu.engine.translated.features import Access, Core, Feature
from emu.engine.translated.features.bits import Bits
from emu.engine.translated.features.opencalls import KeptCalls
from emu.engine.translated.features.shadow_probes import CALLED, CHECKS, LOADS, STORE, STORES, Word
from emu.engine.translated.features.unwritten import mark_off
from emu.engine.translated.installation import replace_table
from emu.engine.translated.operations import ADDRESS, Operation, T, known, op
from emu.engine.translated.plan import Known, Part

_Told = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint64)
_ALL = (1 << 64) - 1


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
        self.unwritten: Layer | None = None
        """Bytes whose loads alone are reported, until they are stored to, by whatever address (`mark_unwritten`)."""
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

    def mark_unwritten(self, report: Report) -> Layer:
        """A layer for bytes that were never written: a store takes their bits off; where they are `linear` says."""
        self.unwritten = Layer(self, report, 0, 1 << 64)
        self.choose()
        return self.unwritten

    @property
    def linear(self) -> int:
        """The virtual address of RAM's beginning, by which unwritten bytes are found from physical ones."""
        return self._words[Word.LINEAR]

    @linear.setter
    def linear(self, address: int) -> None:
        self._words[Word.LINEAR] = address

    def remove(self, layer: Layer) -> None:
        """Forget all that a layer has poisoned."""
        if layer is self.unwritten:
            self.unwritten = None
        self.layers = tuple(other for other in self.layers if other is not layer)
        self.show_all()

    def choose(self) -> None:
        """Bring up to date what native code looks at."""
        layers, words, unwritten = self.layers, self._words, self.unwritten
        shown = layers[0].bits if len(layers) == 1 else self._shown
        words[Word.TABLE], words[Word.MASK] = shown.address, self.mask
        words[Word.UNWRITTEN] = (shown if unwritten is None else unwritten.bits).address
        if unwritten is not None:
            layers = (*layers, unwritten)
        low = max(min((layer.low for layer in layers), default=0), 0)
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
        words, unwritten = ctypes.addressof(self._words), self.unwritten is not None
        taken_off = mark_off(words, self.mask, core) if unwritten else ()
        return {
            Part.BEFORE_LOAD: _flip(words, self.mask, unwritten=unwritten), Part.AFTER_LOAD: _BACK,
            Part.BEFORE_STORE: _flip(words, self.mask), Part.AFTER_STORE: (*_BACK, *taken_off),
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
        unwritten = self.unwritten
        if unwritten is not None and not poisoned.is_store and unwritten.is_meant(poisoned.address, poisoned.size):
            unwritten.report(poisoned)

    def stores(self, access: Access, /) -> None:
        """See `Feature`."""
        self._report(Poisoned(access.pc, access.address, access.size, True, access.value))

    def accessed(self, access: Access, physical: int, /) -> None:
        """See `Feature`."""
        if not access.is_store:
            self._report(Poisoned(access.pc, access.address, access.size, False, 0))
        elif self.unwritten is not None and self._core is not None:
            place = self.linear + physical - self._core.base
            self.unwritten.bits.change(place & _ALL, access.size, poisoned=False)


def _flip(words: int, mask: int, *, unwritten: bool = False) -> tuple[Operation, ...]:
    """Flip upper bits of the address of an access to poisoned bytes: those that T[8] keeps for `_BACK`."""
    cell, other, both, flipped = T[0], T[1], T[2], T[8]
    more = (
        (
            op("movi", other, words),
            op("ld", other, other, 8 * Word.UNWRITTEN),
            op("add", other, other, both),
            op("ld16u", other, other, 0),
            op("or", cell, cell, other),
        )
        if unwritten
        else ()
    )
    return (
        op("movi", other, 3),
        op("shr", cell, ADDRESS, other),
        op("movi", other, mask),
        op("and", cell, cell, other),
        *((op("mov", both, cell),) if unwritten else ()),
        op("movi", other, words),
        op("ld", other, other, 8 * Word.TABLE),
        op("add", cell, cell, other),
        op("ld16u", cell, cell, 0),
        *more,
        op("movi", other, 7),
        op("and", other, ADDRESS, other),
        op("shr", cell, cell, other),
        op("movi", other, known(Known.TO_TOP)),
        op("shl", flipped, cell, other),
        op("xor", ADDRESS, ADDRESS, flipped),
    )


_BACK = (op("xor", ADDRESS, ADDRESS, T[8]),)
"""Flip them back."""
