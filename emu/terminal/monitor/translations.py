"""`info mem` and `info tlb`: what the page tables of the current address space map."""

from collections.abc import Iterator

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT, SATP_PPN
from emu.machine import Machine
from emu.mmu import pte as bits

_BARE = "No translation or protection"
_HEADER = ("vaddr            paddr            size             attr", f"{'-' * 16} {'-' * 16} {'-' * 16} {'-' * 7}")
"""QEMU's words."""
_MOST_LINES = 1000
Leaf = tuple[int, int, int, int]
"""Virtual address, physical address, bytes, PTE flags."""


class Translations:
    """Reads the tables that satp points to."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def pages(self) -> Iterator[str]:
        """Each leaf PTE, as QEMU's `info tlb` has it for other hosts: translations that the TLB may hold."""
        if not self._machine.hart.csr["satp"] >> SATP_MODE_SHIFT:
            yield _BARE
            return
        for number, (virtual, physical, size, flags) in enumerate(self._leaves()):
            if number == _MOST_LINES:
                yield f"... more than {_MOST_LINES} leaves"
                return
            yield f"{virtual:016x}: {physical:014x} {size:#x} {_letters(flags)}"

    def ranges(self) -> Iterator[str]:
        """Neighbouring leaves with the same flags, as one range: QEMU's table."""
        if not self._machine.hart.csr["satp"] >> SATP_MODE_SHIFT:
            yield _BARE
            return
        yield from _HEADER
        found: Leaf | None = None
        lines = 0
        for leaf in self._leaves():
            if found and found[0] + found[2] == leaf[0] and found[1] + found[2] == leaf[1] and found[3] == leaf[3]:
                found = (found[0], found[1], found[2] + leaf[2], found[3])
                continue
            if found:
                yield _range(found)
                lines += 1
                if lines == _MOST_LINES:
                    yield f"... more than {_MOST_LINES} ranges"
                    return
            found = leaf
        if found:
            yield _range(found)

    def _leaves(self) -> Iterator[Leaf]:
        satp = self._machine.hart.csr["satp"]
        yield from self._table((satp & SATP_PPN) * PAGE_SIZE, PAGING_LEVELS[satp >> SATP_MODE_SHIFT] - 1, 0)

    def _table(self, table: int, level: int, base: int) -> Iterator[Leaf]:
        memory = self._machine.memory
        if not memory.contains(table, PAGE_SIZE):
            return
        shift = PAGE_BITS + 9 * level
        is_top = base == 0 and level == PAGING_LEVELS[self._machine.hart.csr["satp"] >> SATP_MODE_SHIFT] - 1
        for index, entry in enumerate(memory.view(table, PAGE_SIZE).cast("Q")):
            if not entry & bits.V:
                continue
            virtual = base | index << shift
            if is_top and index & 0x100:
                virtual |= (1 << 64) - (1 << (shift + 9))  # the upper half: bits above are copies of the highest
            physical = (entry >> bits.PPN_SHIFT & bits.PPN_MASK) << PAGE_BITS
            if entry & bits.LEAF:
                yield virtual, physical, 1 << shift, entry & 0xFF
            elif level:
                yield from self._table(physical, level - 1, virtual)


def _range(leaf: Leaf) -> str:
    virtual, physical, size, flags = leaf
    return f"{virtual:016x} {physical:016x} {size:016x} {_letters(flags)}"


def _letters(flags: int) -> str:
    return "".join(
        letter if flags & bit else "-"
        for letter, bit in zip("rwxugad", (bits.R, bits.W, bits.X, bits.U, bits.G, bits.A, bits.D), strict=True)
    )
