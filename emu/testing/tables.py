"""Page tables for tests: what they map, as a test says or hypothesis makes it, written into a machine's memory."""

from collections.abc import Sequence

from hypothesis import strategies as st

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT, SATP_SV39, SATP_SV48, SATP_SV57
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.mmu import pte

_MODES = {"Sv39": SATP_SV39, "Sv48": SATP_SV48, "Sv57": SATP_SV57}
_FLAGS = {letter: getattr(pte, letter.upper()) for letter in "rwxugad"}
_PERMISSIONS = ("r", "rw", "x", "rx", "rwx")
"""What the privileged manual's table 4.5 does not reserve."""


@dataclass(frozen=True)
class Leaf:
    """A page or superpage: what its PTE says."""

    address: int
    """Virtual, below the middle of the address space."""
    physical: int
    level: int
    """0: 4 KiB, 1: 2 MiB, 2: 1 GiB."""
    flags: str
    """Letters of rwxugad; a leaf is always valid."""

    @property
    def size(self) -> int:
        """In bytes."""
        return PAGE_SIZE << 9 * self.level


@dataclass(frozen=True)
class PageTables:
    """An address space: its leaves do not overlap."""

    leaves: tuple[Leaf, ...]
    mode: str = "Sv39"

    def write(self, machine: Machine, at: int) -> int:
        """Put the tables into memory from a physical address on, and return the value for satp.

        >>> from ekernel import Machine
        >>> tables = PageTables((Leaf(0x4000_0000, 0x8000_0000, 2, "rwad"),))
        >>> with Machine() as machine:
        ...     satp = tables.write(machine, 0x8100_0000)
        ...     hex(satp), hex(machine.memory.read_int(0x8100_0008, 8))
        ('0x8000000000081000', '0x200000c7')
        """
        mode = _MODES[self.mode]
        levels = PAGING_LEVELS[mode]
        places: dict[tuple[int, ...], int] = {(): at}
        for leaf in self.leaves:
            indices = [leaf.address >> PAGE_BITS + 9 * level & 511 for level in range(levels - 1, leaf.level - 1, -1)]
            for depth in range(1, len(indices)):
                path = tuple(indices[:depth])
                if path not in places:
                    places[path] = at + PAGE_SIZE * len(places)
                    _put(machine, places[path[:-1]], path[-1], places[path], 0)
            flags = sum(_FLAGS[letter] for letter in set(leaf.flags))
            _put(machine, places[tuple(indices[:-1])], indices[-1], leaf.physical, flags)
        return mode << SATP_MODE_SHIFT | at >> PAGE_BITS


def _put(machine: Machine, table: int, index: int, physical: int, flags: int) -> None:
    machine.memory.write(table + 8 * index, pte.Pte.of(physical >> PAGE_BITS, pte.V | flags).to_bytes(8, "little"))


@st.composite
def page_tables(
    draw: st.DrawFn,
    most: int = 6,
    *,
    physical: range = range(0x8020_0000, 0x8800_0000),
    modes: Sequence[str] = ("Sv39",),
) -> PageTables:
    """Address spaces of up to so many leaves of 4 KiB or 2 MiB, which lie in some memory; with A and D set or not.

    Superpages are aligned, permissions are none that are reserved, and leaves are close enough to share tables.
    """
    kept = _apart(draw(st.lists(_leaves(physical), max_size=most)))
    return PageTables(kept, draw(st.sampled_from(modes)))


@st.composite
def _leaves(draw: st.DrawFn, physical: range) -> Leaf:
    level, number = draw(st.integers(0, 1)), draw(st.integers(1, 4) | st.integers(510, 514))
    place, permissions = draw(st.integers(0, 1 << 18)), draw(st.sampled_from(_PERMISSIONS))
    rest = "".join(draw(st.lists(st.sampled_from("ugad"), unique=True)))
    size = PAGE_SIZE << 9 * level
    first, count = -(-physical.start // size), physical.stop // size - -(-physical.start // size)
    return Leaf(number * size, (first + place % count) * size, level, permissions + rest)


def _apart(leaves: list[Leaf]) -> tuple[Leaf, ...]:
    """Those that do not overlap one before them."""
    kept: list[Leaf] = []
    for leaf in leaves:
        if all(
            leaf.address + leaf.size <= other.address or other.address + other.size <= leaf.address for other in kept
        ):
            kept.append(leaf)
    return tuple(kept)
