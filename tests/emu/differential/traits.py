"""What a program is from its beginning to its end: its privilege, its address space, what it keeps clear of."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emu.isa.privilege import Privilege
from tests.emu.differential.encodings import Array, Source
from tests.emu.differential.layout import TABLE_PAGE, areas

MODES = ("machine", "bare", "sv39", "sv48", "sv57", "user")
"""M mode; S mode without and with paging; U mode with Sv39."""
_PRIVILEGES = np.array([Privilege.M, Privilege.S, Privilege.S, Privilege.S, Privilege.S, Privilege.U])
_PAGING = np.array([0, 0, 8, 9, 10, 8])
_LEVELS = np.array([0] * 8 + [3, 4, 5])
S_CODE, HANDLER_ENTRY, U_CODE, OTHERS, WINDOW = 0, 2, 4, 6, 24
"""Indexes of leaves, from the first one on: code for S mode, its handler, code for U mode, data, their end."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Traits:
    """One number or flag for each program."""

    native_walks: bool
    """Whether page tables are such that Unicorn's core may walk them (docs/conformance.md)."""
    interrupts_anywhere: bool
    """Whether an interrupt may come behind an instruction that ends no block on QEMU."""
    mode: Array
    privilege: Array
    paging: Array
    """Mode of `satp`, 0 to 10."""
    outside: Flags
    """Whether addresses lie where no memory is."""
    clean: Flags
    """Whether FS may be Initial or Clean."""
    writable: Flags
    """Whether its address space lets it write its own code."""
    line: Array
    """The one interrupt that there is."""
    satp: Array
    """The program's tables, in M mode for MPRV."""
    root: Array
    """The index at which the table refers to itself."""
    first: Array
    """Virtual address of the first leaf."""
    window: Array
    """Its index."""

    @property
    def size(self) -> int:
        """How many programs."""
        return self.mode.size

    def levels(self) -> Array:
        """Levels of the tables."""
        return _LEVELS[self.satp >> 60 & 15]


def draw(random: np.random.Generator, size: int, *, native_walks: bool, interrupts_anywhere: bool) -> Traits:
    """Traits of so many programs."""
    s = Source(random, size)
    mode = s.below(len(MODES))
    paging = _PAGING[mode]
    tables = np.where(paging == 0, s.choice(8, 9, 10), paging)
    window = s.below(60) * 8
    root = s.mixed(s.between(1, 511), s.between(1, 511), 0, 255, 256, 511)
    inside = (root >= window) & (root < window + WINDOW)
    root = np.where(inside, (window + 32 + s.below(400)) % 512, root)
    levels = _LEVELS[tables]
    first = window << 12
    for level in range(1, 5):
        first |= np.where(level < levels, root << (12 + 9 * level), 0)
    unused = 64 - 12 - 9 * levels
    first = first << unused >> unused
    table = areas(size) + TABLE_PAGE * 4096
    return Traits(
        native_walks, interrupts_anywhere, mode, _PRIVILEGES[mode], paging,
        outside=s.chance(0.3), clean=s.chance(0.3), writable=s.chance(0.3), line=s.choice(0x2, 0x8, 0x20, 0x200),
        satp=tables << 60 | table >> 12, root=root, first=first, window=window,
    )  # fmt: skip
