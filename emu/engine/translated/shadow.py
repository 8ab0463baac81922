"""A check of every load and store against a shadow of memory: reports each access to a poisoned byte before it happens.

No branch is added to translated code: the address of an access to a poisoned byte gets bits flipped that no entry of
the core's TLB has, so that it comes to `emu.engine.translated.shadow_probes`: they flip them back, report and go on.
"""

import ctypes
import mmap
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from emu.engine import library
from emu.engine.slots import Slot
from emu.engine.translated.features import Access, Core, Feature
from emu.engine.translated.installation import replace_table
from emu.engine.translated.operations import ADDRESS, Operand, Operation, T, known, op
from emu.engine.translated.plan import Known, Part
from emu.engine.translated.shadow_probes import CALLED, CHECKS, LOADS, STORE, STORES

_Told = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint64)


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


class Shadow(Feature):
    """A bit for each byte of virtual memory that is poisoned.

    The table is of one eighth of RAM's size, and addresses share it modulo RAM's size; what is not meant costs some
    time and is not reported. Seen are loads and stores of the guest's instructions, before they are carried out
    (without native probes right behind); not fetches, page walks, devices and the host. `report` may raise: that comes
    out of the run when the current block has ended.
    """

    order: ClassVar[int] = 10

    def __init__(self, report: Report) -> None:
        self._report = report
        self._cells: dict[int, int] = {}
        self._table: mmap.mmap | None = None
        self._mask = 0
        self._words = (ctypes.c_uint64 * 3)()
        self._core: Core | None = None
        self._told = _Told(self._tell)

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        if self._table is None:
            self._mask = (1 << (core.size - 1).bit_length() - 3) - 1
            self._table = mmap.mmap(-1, self._mask + 2, flags=mmap.MAP_PRIVATE)
            for cell in self._cells:
                self._show(cell)
        self._core = core
        if not core.state_address:
            return {}
        replace_table(CHECKS, CALLED, (*LOADS.values(), *STORES.values()))
        table = ctypes.addressof(ctypes.c_char.from_buffer(self._table))
        self._words[:] = [table, self._mask, library.address_of(self._told)]
        core.slots[Slot.SHADOW] = ctypes.addressof(self._words)
        flip = _flip(table, self._mask)
        back = (op("mov", ADDRESS, T[8]),)
        return {
            Part.BEFORE_LOAD: flip, Part.AFTER_LOAD: back, Part.BEFORE_STORE: flip, Part.AFTER_STORE: back,
        }  # fmt: skip

    def switched_off(self) -> None:
        """See `Feature`."""
        if self._core is not None:
            self._core.slots[Slot.SHADOW] = 0

    def poison(self, address: int, length: int) -> None:
        """Report accesses to these bytes from now on."""
        self._change(address, length, poisoned=True)

    def clear(self, address: int, length: int) -> None:
        """Report accesses to these bytes no more."""
        self._change(address, length, poisoned=False)

    def _change(self, address: int, length: int, *, poisoned: bool) -> None:
        end = address + length
        for cell in range(address >> 3, (end - 1 >> 3) + 1 if length > 0 else address >> 3):
            low, high = max(address - (cell << 3), 0), min(end - (cell << 3), 8)
            bits = (1 << high) - (1 << low)
            self._cells[cell] = self._cells.get(cell, 0) | bits if poisoned else self._cells.get(cell, 0) & ~bits
            self._show(cell)
            if not self._cells[cell]:
                del self._cells[cell]

    def _show(self, cell: int) -> None:
        """Bring the byte of the table up to date that a cell shares with others."""
        if self._table is None:
            return
        place, bits = cell & self._mask, self._cells.get(cell, 0)
        if not bits:
            for other in self._cells:  # rare, and few: whoever shares the byte keeps it
                if other & self._mask == place:
                    bits |= self._cells[other]
        else:
            bits |= self._table[place]
        self._table[place] = bits
        if place == 0:
            self._table[self._mask + 1] = bits

    def _meant(self, address: int, size: int) -> bool:
        bits = ((1 << size) - 1) << (address & 7)
        cells = self._cells
        return bool(cells.get(address >> 3, 0) & bits or cells.get((address >> 3) + 1, 0) & bits >> 8)

    def _tell(self, address: int, kind: int, value: int, pc: int) -> None:
        size = kind & ~STORE
        if self._meant(address, size):
            try:
                self._report(Poisoned(pc, address, size, bool(kind & STORE), value & (1 << 8 * size) - 1))
            except BaseException as error:  # noqa: BLE001  # kept for `run` to raise: ctypes would swallow it
                assert self._core is not None
                self._core.fail(error)

    def accessed(self, access: Access, _physical: int, /) -> None:
        """See `Feature`."""
        if self._meant(access.address, access.size):
            value = access.value if access.is_store else 0
            self._report(Poisoned(access.pc, access.address, access.size, access.is_store, value))


def _flip(table: int, mask: int) -> tuple[Operation, ...]:
    """Flip the upper bits of the address of an access to poisoned bytes; T[8] keeps the address."""
    cell, bits, other = T[0], T[1], T[2]
    address: Operand = T[8]
    return (
        op("mov", address, ADDRESS),
        op("movi", other, 3),
        op("shr", cell, address, other),
        op("movi", other, mask),
        op("and", cell, cell, other),
        op("movi", other, table),
        op("add", cell, cell, other),
        op("ld16u", cell, cell, 0),
        op("movi", other, 7),
        op("and", other, address, other),
        op("movi", bits, known(Known.MASK)),
        op("shl", bits, bits, other),
        op("and", cell, cell, bits),
        op("movi", other, 48),
        op("shl", cell, cell, other),
        op("xor", ADDRESS, address, cell),
    )
