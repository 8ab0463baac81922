"""Who has written each 8 bytes of RAM last."""

import mmap
from array import array
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from emu.address import PAGE_BITS
from emu.buffers import buffer_address
from emu.engine.translated.features import Access, Core, Feature
from emu.engine.translated.features.accesses import instret
from emu.engine.translated.layout import TLB, TLB_ADDEND, TLB_SHIFT
from emu.engine.translated.operations import ADDRESS, ENV, Operand, Operation, T, choose, known, op
from emu.engine.translated.plan import Known, Part

_CELL = 16
"""Bytes for each 8 of RAM: instret + 1, and the store's pc."""


class Writer(NamedTuple):
    """A store."""

    instret: int
    """Instructions that had retired before it."""
    pc: int


class LastWriter(Feature):
    """A table by physical address. It takes twice the size of RAM at most: only pages are there that were written for.

    Stores of the guest's own instructions are seen; what devices, page walks and the host write is not. A store over
    the end of a page counts for the first page.
    """

    order: ClassVar[int] = 90  # behind the store: one that faults has written nothing

    def __init__(self) -> None:
        self._table: mmap.mmap | None = None
        self._words = memoryview(b"").cast("Q")
        self._base = 0

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        self._prepare(core)
        assert self._table is not None
        table = buffer_address(self._table)
        offset, other, time, pc = T[0], T[1], T[2], T[3]
        return {
            Part.AFTER_STORE: (
                *host_address(offset),
                op("movi", other, core.host_address),
                op("sub", offset, offset, other),
                *instret(time),
                op("movi", T[4], 1),
                op("add", time, time, T[4]),
                op("movi", pc, known(Known.PC)),
                *_store(offset, core.size, table, time, pc),
                *_last_byte(offset),
                *_store(offset, core.size, table, time, pc),
            )
        }

    def _prepare(self, core: Core) -> None:
        if self._table is None:
            self._table = mmap.mmap(-1, (core.size // 8 + 1) * _CELL, flags=mmap.MAP_PRIVATE)
            self._words = memoryview(self._table).cast("Q")
            self._base = core.base

    def of(self, physical: int) -> Writer | None:
        """Who has written to the 8 bytes around a physical address last; None if nobody since it was switched on."""
        place = (physical - self._base >> 3) * 2
        if not 0 <= place < len(self._words) - 2:
            return None
        time, pc = self._words[place], self._words[place + 1]
        return Writer(time - 1, pc) if time else None

    def accessed(self, access: Access, physical: int, /) -> None:
        """See `Feature`."""
        if not access.is_store:
            return
        last = physical + access.size - 1
        for byte in {physical, last if last >> PAGE_BITS == physical >> PAGE_BITS else physical}:
            place = (byte - self._base >> 3) * 2
            if 0 <= place < len(self._words) - 2:
                self._words[place : place + 2] = memoryview(array("Q", (access.instret + 1, access.pc)))

    def forget(self) -> None:
        """Nobody has written anything."""
        if self._table is not None:
            self._table.madvise(mmap.MADV_DONTNEED)


def host_address(result: Operand) -> tuple[Operation, ...]:
    """Where the host has what the access was to, by the core's TLB, in which the page is now; for devices nonsense."""
    entry, other = T[5], T[6]
    return (
        op("movi", other, TLB_SHIFT),
        op("shr", entry, ADDRESS, other),
        op("ld", other, ENV, known(Known.MMU, shift=4, plus=TLB)),
        op("and", entry, entry, other),
        op("ld", other, ENV, known(Known.MMU, shift=4, plus=TLB + 8)),
        op("add", entry, entry, other),
        op("ld", other, entry, TLB_ADDEND),
        op("add", result, ADDRESS, other),
    )


def _store(offset: Operand, size: int, table: int, time: Operand, pc: Operand) -> tuple[Operation, ...]:
    """Note the store in the cell of an offset into RAM; what lies outside shares the cell behind the last."""
    cell, other = T[5], T[6]
    return (
        op("movi", other, size),
        choose("ltu", cell, offset, other, offset, other),
        op("movi", other, 3),
        op("shr", cell, cell, other),
        op("movi", other, 4),
        op("shl", cell, cell, other),
        op("movi", other, table),
        op("add", cell, cell, other),
        op("st", time, cell, 0),
        op("st", pc, cell, 8),
    )


def _last_byte(offset: Operand) -> tuple[Operation, ...]:
    """Go on to the last byte of the access, if it lies in the same page."""
    last, other = T[5], T[6]
    return (
        op("movi", other, 0xFFF),
        op("and", last, ADDRESS, other),
        op("movi", other, known(Known.LAST_BYTE)),
        op("add", last, last, other),
        op("add", T[4], offset, other),
        op("movi", other, 0x1000),
        choose("ltu", offset, last, other, T[4], offset),
    )
