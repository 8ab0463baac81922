"""Random page tables: the way to a stream's own pages is good, every other entry is anything."""

import random
from dataclasses import dataclass

from tests.emu.differential.layout import (
    CODE_PAGE,
    CODE_PAGES,
    DATA_PAGE,
    DATA_PAGES,
    HANDLER_PAGE,
    SCRATCH,
    STRAY_PAGE,
    TABLE_PAGE,
    page,
)  # fmt: skip

V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
LEVELS = {8: 3, 9: 4, 10: 5}
S_CODE, HANDLER, U_CODE = 0, 2, 4
"""Indexes in the last table: the code for S mode, its handler, the code for U mode."""
_OUTSIDE = 0x40_0000_0000
"""Where QEMU's `virt` has nothing either. Not executable: QEMU 7.2 aborts at an instruction half of which is there."""


@dataclass(frozen=True, slots=True)
class AddressSpace:
    """A tree of tables as bytes for the table pages, and the virtual address of the first entry of the last table."""

    satp: int
    first: int
    pages: dict[int, bytes]


def random_space(source: random.Random, stream: int, mode: int, *, plain_tables: bool, outside: bool) -> AddressSpace:
    """A tree for `satp` mode 8, 9 or 10.

    `plain_tables`: no non-leaf entry has U, A or D set, and no entry a reserved bit; `outside`: some pages are where no
    memory is.
    """
    levels = LEVELS[mode]
    indexes = [source.randrange(1, 511) for _ in range(levels - 1)]
    indexes[0] = source.choice((indexes[0], 0, 255, 256, 511))
    pages: dict[int, bytes] = {}
    first = 0
    for step, index in enumerate(indexes):
        level = levels - 1 - step
        entries = [_upper_entry(source, stream, level, levels, plain_tables, outside) for _ in range(512)]
        entries[index] = page(stream, TABLE_PAGE + step + 1) >> 12 << 10 | V
        pages[TABLE_PAGE + step] = _pack(entries)
        first |= index << (12 + 9 * level)
    last = [_last_entry(source, stream, plain_tables, outside) for _ in range(512)]
    for number in range(CODE_PAGES):
        frame = page(stream, CODE_PAGE + number) >> 12 << 10
        last[S_CODE + number] = frame | V | R | X | A | source.choice((0, D, G))
        last[U_CODE + number] = frame | V | U | X | source.choice((R, 0)) | source.choice((A, 0))
    last[HANDLER] = page(stream, HANDLER_PAGE) >> 12 << 10 | V | R | X | A
    pages[TABLE_PAGE + levels - 1] = _pack(last)
    if first >> (11 + 9 * levels):
        first |= (1 << 64) - (1 << (12 + 9 * levels))
    return AddressSpace(mode << 60 | page(stream, TABLE_PAGE) >> 12, first, pages)


def _pack(entries: list[int]) -> bytes:
    return b"".join(entry.to_bytes(8, "little") for entry in entries)


def _flags(source: random.Random) -> int:
    return V | source.choice((source.getrandbits(8), R | W | X | U | A | D, R | W | A | D, R | W | U, R | W, X | A))


def _odd_bits(source: random.Random, plain: bool) -> int:
    """Now and then a bit that no PTE may have: reserved, PBMT or N; else those that software may use."""
    return 1 << source.randrange(54, 64) if source.random() < 0.06 and not plain else source.getrandbits(2) << 8


def _last_entry(source: random.Random, stream: int, plain: bool, outside: bool) -> int:
    kind = source.random()
    if kind < 0.05:
        return source.getrandbits(64) & ~(V | R | X)
    frame = page(stream, DATA_PAGE + source.randrange(DATA_PAGES))
    flags = _flags(source) & ~X
    if kind < 0.12 and outside:
        frame, flags = _OUTSIDE + source.randrange(16) * 4096, flags | R
    elif kind < 0.4:
        frame, flags = page(stream, STRAY_PAGE), _flags(source) & ~W
    if plain and not flags & (R | X):  # elsewhere in the tree it would lead on, and have A, D or U set
        flags |= R
    return frame >> 12 << 10 | flags | _odd_bits(source, plain)


def _upper_entry(source: random.Random, stream: int, level: int, levels: int, plain: bool, outside: bool) -> int:
    kind = source.random()
    if kind < 0.2:
        return source.getrandbits(64) & ~V
    if kind < 0.5:  # on to the next table, which may be the wrong one for this level, but is in memory
        onwards = page(stream, TABLE_PAGE + levels - 1) >> 12 << 10 | V | source.choice((0, G, 0, 3 << 8))
        if not plain and source.random() < 0.3:
            onwards |= source.choice((U, A, D)) | _odd_bits(source, plain)
        return onwards
    size = 1 << (12 + 9 * level)
    flags = _flags(source) & ~X | R
    if level == 1:
        frame = source.choice((SCRATCH, SCRATCH, SCRATCH | 1 << source.randrange(12, 21)))
    else:
        frame = source.choice((SCRATCH, SCRATCH | 0x1000))
    if outside and source.random() < 0.3:
        frame = source.choice((_OUTSIDE & ~(size - 1) or size, _OUTSIDE | 0x1000))
    return frame >> 12 << 10 | flags | _odd_bits(source, plain)
