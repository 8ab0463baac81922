"""Random page tables: the way to a program's own pages is good, every other entry is anything.

A program has one table for all levels: an entry refers to the table itself. So each entry is met at each level.
"""

import numpy as np

from tests.emu.differential.encodings import Array, Source
from tests.emu.differential.layout import (
    DATA_PAGE,
    DATA_PAGES,
    HANDLER,
    SCRATCH,
    STRAY,
    TABLE_PAGE,
    areas,
    codes,
)  # fmt: skip
from tests.emu.differential.traits import HANDLER_ENTRY, S_CODE, U_CODE, WINDOW, Traits

V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
OUTSIDE = 0x40_0000_0000
"""Where QEMU's `virt` has nothing either. Not executable: QEMU 7.2 aborts at an instruction half of which is there."""
_ELSEWHERE = 40
"""Random entries outside the window."""
_NEIGHBOURS = np.array([-4, -3, -2, -1, 1, 2, 3, 4])


def tables(random: np.random.Generator, traits: Traits) -> Array:
    """The table of each program: 512 entries."""
    size = traits.size
    area = areas(size)
    entries = np.zeros((size, 512), np.int64)
    places = random.integers(512, size=(size, _ELSEWHERE + _NEIGHBOURS.size))
    places[:, _ELSEWHERE:] = (traits.root[:, None] + _NEIGHBOURS) % 512
    uppers = _Entries(random, traits, places.shape[1])
    np.put_along_axis(entries, places, uppers.upper(area), 1)
    window = traits.window[:, None] + np.arange(WINDOW)
    leaves = _Entries(random, traits, WINDOW).leaves(area, codes(size))
    np.put_along_axis(entries, window, leaves, 1)
    onwards = _frame(area + TABLE_PAGE * 4096) | V
    np.put_along_axis(entries, traits.root[:, None], onwards[:, None], 1)
    return entries


def _frame(address: Array | int) -> Array:
    return np.asarray(address, np.int64) >> 12 << 10


class _Entries(Source):
    """So many entries of each program at once."""

    def __init__(self, random: np.random.Generator, traits: Traits, each: int) -> None:
        super().__init__(random, traits.size * each)
        self.each, self.plain = each, traits.native_walks
        self.outside = np.repeat(traits.outside, each)
        self.user = np.repeat(np.where(traits.privilege == 0, U, 0), each)
        self.writable = traits.writable

    def flags(self) -> Array:
        good = R | W | A | D | self.user
        flags = V | self.mixed(
            self.below(256), self.below(256), R | W | X | U | A | D, R | W | A | D, R | W | U, R | W, X | A, *[good] * 8
        )
        return flags | np.where(flags & (R | W | X) == 0, R, 0)

    def odd_bits(self) -> Array:
        """Now and then a bit that no PTE may have: reserved, PBMT or N; else those that software may use."""
        software = self.below(4) << 8
        return software if self.plain else np.where(self.chance(0.06), 1 << self.between(54, 64), software)

    def leaves(self, areas: Array, codes: Array) -> Array:
        """The window: code, handler, and data of random permissions."""
        area = np.repeat(areas, self.each)
        flags, kind = self.flags() & ~X, self.random.random(self.size)
        frame = area + (DATA_PAGE + self.below(DATA_PAGES)) * 4096
        stray = (kind >= 0.12) & (kind < 0.3)
        frame = np.where(stray, STRAY, frame)
        flags = np.where(stray, self.flags() & ~W, flags)
        outside = (kind >= 0.05) & (kind < 0.12) & self.outside
        frame = np.where(outside, OUTSIDE + self.below(16) * 4096, frame)
        flags |= np.where(outside | (flags & (R | X) == 0) & (self.plain | stray), R, 0)
        entry = np.where(kind < 0.05, self.below(1 << 62) & ~(V | R | X), _frame(frame) | flags | self.odd_bits())
        found = entry.reshape(-1, self.each)
        some = Source(self.random, len(found))
        for number in range(2):
            code = _frame(codes + number * 4096)
            write = np.where(self.writable, W | R, 0)
            found[:, S_CODE + number] = code | V | R | X | A | some.choice(0, D, G) | write
            found[:, U_CODE + number] = code | V | U | X | some.choice(R, 0) | some.choice(A, 0) | write
        found[:, HANDLER_ENTRY] = _frame(HANDLER) | V | R | X | A
        return found

    def upper(self, areas: Array) -> Array:
        """Entries that lead on, superpages, and what is neither."""
        kind = self.random.random(self.size)
        onwards = _frame(np.repeat(areas, self.each) + TABLE_PAGE * 4096) | V | self.choice(0, G, 0, 3 << 8)
        if not self.plain:
            onwards |= np.where(self.chance(0.3), self.choice(U, A, D) | self.odd_bits(), 0)
        frame = self.mixed(SCRATCH, SCRATCH, SCRATCH | 1 << self.between(12, 21))
        frame = np.where(self.outside & self.chance(0.3), self.choice(OUTSIDE, OUTSIDE | 0x1000), frame)
        superpage = _frame(frame) | self.flags() & ~X | R | self.odd_bits()
        entry = np.where(kind < 0.2, self.below(1 << 62) & ~V, np.where(kind < 0.5, onwards, superpage))
        return entry.reshape(-1, self.each)
