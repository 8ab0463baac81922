"""Page tables as they lie in memory: their entries, read anew only where a table has changed since it was last read."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT, SATP_PPN
from emu.mmu import pte as bits
from emu.mmu.space import MOST, canonical

_INDEX_BITS = 9

Indexed = tuple[int, int]
"""The number of an entry in its table, and the entry."""


class Leaves(NamedTuple):
    """Leaves of one table, one behind the other."""

    page: int
    """The address of the table."""
    level: int
    base: int
    """The first virtual address that the table decides about."""
    width: int
    """Bits of a virtual address in its scheme: 39, 48 or 57."""
    entries: Sequence[Indexed]

    def first(self, index: int) -> int:
        """The first virtual address that an entry decides about."""
        return canonical(self.base | index << PAGE_BITS + _INDEX_BITS * self.level, self.width)


class Memory(Protocol):
    """Where tables lie."""

    def contains(self, address: int, length: int) -> bool:
        """Whether there is RAM."""

    def read(self, address: int, length: int) -> bytes:
        """What it holds."""


class Tables:
    """The tables of a memory.

    >>> class Words(list):
    ...     contains = lambda self, address, length: address + length <= 8 * len(self)
    ...     read = lambda self, address, length: b"".join(w.to_bytes(8, "little") for w in self[address >> 3 :][:512])
    >>> words = Words([0] * 1024)
    >>> words[3], words[513] = 1 << 10 | 1, 0x80 << 10 | 7     # entry 3 leads to the second page, which has a leaf
    >>> [(hex(one.page), one.level, hex(one.base), one.entries) for one in Tables(words).leaves(8 << 60)]
    [('0x1000', 1, '0xc0000000', ((1, 131079),))]
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._known: dict[int, tuple[bytes, list[Indexed]]] = {}

    def entries(self, page: int) -> Sequence[Indexed]:
        """The valid entries of a table; none where no RAM is."""
        if not self._memory.contains(page, PAGE_SIZE):
            return ()
        data, known = self._memory.read(page, PAGE_SIZE), self._known.get(page)
        if known is None or known[0] != data:
            words = memoryview(data).cast("Q").tolist()
            known = self._known[page] = data, [each for each in enumerate(words) if each[1] & bits.V]
        return known[1]

    def leaves(self, satp: int) -> Iterator[Leaves]:
        """Those of an address space, in the order of their addresses, and as many as `AddressSpace` has."""
        levels = PAGING_LEVELS.get(satp >> SATP_MODE_SHIFT)
        if levels is not None:
            width = PAGE_BITS + _INDEX_BITS * levels
            yield from self._leaves((satp & SATP_PPN) << PAGE_BITS, levels - 1, 0, width, [MOST])

    def _leaves(self, page: int, level: int, base: int, width: int, left: list[int]) -> Iterator[Leaves]:
        entries = self.entries(page)
        if not level:
            entries = entries[: left[0]]
            left[0] -= len(entries)
            yield Leaves(page, 0, base, width, [each for each in entries if each[1] & bits.LEAF])
            return
        shift = PAGE_BITS + _INDEX_BITS * level
        for index, entry in entries:
            if not left[0]:
                return
            left[0] -= 1
            if entry & bits.LEAF:
                yield Leaves(page, level, base, width, ((index, entry),))
            else:
                first = canonical(base | index << shift, width)
                yield from self._leaves(
                    (entry >> bits.PPN_SHIFT & bits.PPN_MASK) << PAGE_BITS, level - 1, first, width, left
                )
