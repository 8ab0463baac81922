"""When some bytes of RAM were accessed last."""

import ctypes
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, NamedTuple

from emu.address import PAGE_SIZE
from emu.buffers import buffer_address
from emu.engine.translated.features import Access, Core, Feature
from emu.engine.translated.features.accesses import instret
from emu.engine.translated.features.lastwriter import host_address
from emu.engine.translated.operations import ADDRESS, Operation, T, choose, known, op
from emu.engine.translated.plan import Known, Part

_MARKS = PAGE_SIZE // 8 + 8
"""Bytes of a table for a page: a bit for each byte, and none for what an access has beyond the page's end."""


class Watched(NamedTuple):
    """Bytes of RAM by their physical addresses, the end excluded, and which accesses count."""

    start: int
    end: int
    reads: bool
    writes: bool


class _Table:
    """A bit for each byte of RAM; only those parts take memory that are not 0, or are looked at."""

    def __init__(self, core: Core) -> None:
        pages = core.size // PAGE_SIZE + 2
        self._memory = mmap.mmap(-1, pages * _MARKS, flags=mmap.MAP_PRIVATE)
        self.address = buffer_address(self._memory)

    def set(self, start: int, end: int) -> None:
        """Set the bits of offsets into RAM, which lie in one page."""
        bits = (1 << end - start) - 1 << start % 8
        place, length = start // PAGE_SIZE * _MARKS + start % PAGE_SIZE // 8, (bits.bit_length() + 7) // 8
        bits |= int.from_bytes(self._memory[place : place + length], "little")
        self._memory[place : place + length] = bits.to_bytes(length, "little")


class LastAccess(Feature):
    """Any number of ranges of RAM, by physical addresses. What devices, page walks and the host do is not seen.

    An access over the end of a page counts for what it has in the first page.
    """

    order: ClassVar[int] = 90  # behind the access: one that faults is none

    def __init__(self, watched: Iterable[Watched]) -> None:
        self._watched = [part for each in watched for part in _by_pages(each)]
        self._times = (ctypes.c_uint64 * 2)()
        """instret + 1 of the last one that counts, and a word for those that do not."""
        self._tables: dict[Part, _Table] = {}

    @property
    def instret(self) -> int | None:
        """How many instructions had retired before the last access; None if there was none."""
        return self._times[0] - 1 if self._times[0] else None

    def forget(self) -> None:
        """Nothing has been accessed."""
        self._times[0] = 0

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        if not self._tables:
            self._prepare(core)
        return {part: self._look(core, table.address) for part, table in self._tables.items()}

    def _prepare(self, core: Core) -> None:
        for part, counts in ((Part.AFTER_LOAD, "reads"), (Part.AFTER_STORE, "writes")):
            if any(getattr(each, counts) for each in self._watched):
                table = self._tables[part] = _Table(core)
                for each in self._watched:
                    if getattr(each, counts) and core.base <= each.start and each.end <= core.base + core.size:
                        table.set(each.start - core.base, each.end - core.base)

    def _look(self, core: Core, table: int) -> tuple[Operation, ...]:
        """Look whether any bit of the access is set; what lies outside RAM shares the bits behind its last page."""
        offset, bits, other, time, place = T[0], T[1], T[2], T[3], T[4]
        counts, does_not = (ctypes.addressof(self._times) + 8 * index for index in (0, 1))
        return (
            *host_address(offset),
            op("movi", other, core.host_address),
            op("sub", offset, offset, other),
            op("movi", other, core.size),
            choose("ltu", offset, offset, other, offset, other),
            op("movi", other, 3),
            op("shr", bits, offset, other),
            op("movi", other, 12),
            op("shr", offset, offset, other),
            op("movi", other, 3),
            op("shl", offset, offset, other),
            op("add", offset, offset, bits),
            op("movi", other, table),
            op("add", offset, offset, other),
            op("ld", bits, offset, 0),
            op("movi", other, 7),
            op("and", other, ADDRESS, other),
            op("movi", offset, known(Known.MASK)),
            op("shl", offset, offset, other),
            op("and", bits, bits, offset),
            *instret(time),
            op("movi", other, 1),
            op("add", time, time, other),
            op("movi", offset, counts),
            op("movi", other, does_not),
            op("movi", place, 0),
            choose("ne", place, bits, place, offset, other),
            op("st", time, place, 0),
        )

    def accessed(self, access: Access, physical: int, /) -> None:
        """See `Feature`."""
        end = min(physical + access.size, (physical | PAGE_SIZE - 1) + 1)
        for start, stop, reads, writes in self._watched:
            if (writes if access.is_store else reads) and physical < stop and start < end:
                self._times[0] = access.instret + 1


def _by_pages(watched: Watched) -> Iterator[Watched]:
    start = watched.start
    while start < watched.end:
        end = min(watched.end, (start | PAGE_SIZE - 1) + 1)
        yield watched._replace(start=start, end=end)
        start = end
