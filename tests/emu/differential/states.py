"""The registers with which programs begin."""

import numpy as np

from tests.emu.differential.encodings import AREA, BUDGET, LANDING, POINTERS, Array, Source
from tests.emu.differential.layout import (
    DATA_PAGE,
    DATA_PAGES,
    FLOATS,
    HANDLER,
    SCRATCH,
    STATE_CSRS,
    STATE_PAGE,
    areas,
)  # fmt: skip
from tests.emu.differential.spaces import OUTSIDE
from tests.emu.differential.status import DELEGABLE, FS, INTERRUPTS, MPIE, MXR, SIE, SPIE, SPP, SUM, TSR, TVM, TW
from tests.emu.differential.traits import HANDLER_ENTRY, MODES, OTHERS, WINDOW, Traits

STATE_WORDS = 82
_POINTERS = 12
_LOW = 0x40_0000_0000
"""Below it QEMU has devices."""


def states(random: np.random.Generator, traits: Traits, start: Array, end: Array) -> Array:
    """The state of each program, whose first instruction is at `start` and whose last one is at `end` (virtual)."""
    s = Source(random, traits.size)
    words = np.zeros((traits.size, STATE_WORDS), np.int64)
    pointers = _pointers(s, traits)
    for register in range(1, 32):
        words[:, register] = _address(s, pointers) if register in POINTERS else _integer(s, pointers)
    words[:, AREA] = areas(traits.size) + STATE_PAGE * 4096
    words[:, BUDGET] = 8
    words[:, LANDING] = end
    for register in range(32):
        words[:, FLOATS + register] = _float(s)
    handler = np.where(traits.paging != 0, traits.first + HANDLER_ENTRY * 4096, HANDLER)
    enabled = s.mixed(0, 0xAAA, s.below(1 << 12) & 0xAAA)
    csrs = {
        "mepc": start,
        "mstatus": traits.privilege << 11 | status_bits(s, traits.clean) | s.choice(MPIE, 0),
        "medeleg": s.mixed(0, 0, DELEGABLE, s.below(1 << 16) & DELEGABLE),
        "mideleg": delegated(s),
        "mie": enabled,
        "mip": s.mixed(0, 0, traits.line & INTERRUPTS),
        "satp": np.where(traits.paging != 0, traits.satp, 0),
        "stvec": handler | s.below(2),
        "fcsr": np.where(s.chance(0.1), s.below(256), s.below(5) << 5 | s.below(32)),
        "mcounteren": s.below(8),
        "scounteren": s.below(8),
        "sepc": _anything(s) & ~1,
        "sscratch": _anything(s),
        "mscratch": _anything(s),
        "scause": s.below(16),
        "stval": _anything(s),
        "mtval": _anything(s),
        "mcause": s.below(16),
    }
    for name, values in csrs.items():
        words[:, STATE_CSRS[name]] = values
    return words


def status_bits(s: Source, clean: Array) -> Array:
    """Bits of `mstatus` that leave a program's privilege alone."""
    bits = s.below(1 << 23) & (SIE | SPIE | SPP | SUM | MXR | TVM | TW) | np.where(s.chance(0.1), TSR, 0)
    return bits | float_status(s, clean)


def float_status(s: Source, clean: Array) -> Array:
    """FS."""
    return np.where(clean, s.choice(FS, FS, 1 << 13, 2 << 13, 2 << 13, 0), s.choice(FS, FS, FS, FS, FS, FS, 0))


def delegated(s: Source) -> Array:
    """A value for `mideleg`."""
    return s.mixed(INTERRUPTS, s.below(1 << 12) & INTERRUPTS)


def _anything(s: Source) -> Array:
    return s.random.integers(-(1 << 63), 1 << 63, size=s.size)


def _pointers(s: Source, traits: Traits) -> Array:
    """Addresses to choose from: of each program as many."""
    paging, machine = traits.paging != 0, traits.mode == MODES.index("machine")
    data = areas(s.size) + DATA_PAGE * 4096
    lowest = np.where(traits.writable, OTHERS + 1, 0)  # stores to code come by themselves, and with a fence
    first = traits.first + lowest * 4096
    found = np.empty((s.size, _POINTERS), np.int64)
    for column in range(_POINTERS):
        leaf = first + s.below(WINDOW) % (WINDOW - lowest) * 4096
        bare = data + s.below(4096 * DATA_PAGES)
        if column == 0:
            level = 1 << 12 + 9 * (1 + s.below(8) % (traits.levels() - 1))
            leaf, bare = first + s.between(-4, 5) * level, np.full(s.size, SCRATCH)
        elif column == 1:
            leaf = first ^ 1 << s.between(30, 64)
            bare = np.where(traits.outside, s.choice(OUTSIDE, -16), bare)
        elif column == 2:
            leaf = np.where(traits.writable, first, (first & ~0x1F_FFFF) + s.below(512) * 4096)
            odd = traits.outside & machine & ((first < 0) | (first > _LOW))
            bare = np.where(odd, first + s.below(WINDOW) * 4096, bare)
        found[:, column] = np.where(paging, leaf, bare)
    return found


def _address(s: Source, pointers: Array) -> Array:
    edge = s.mixed(0, 8, 0xFF8, 0xFFC, 0xFFE, 0xFFF, s.below(4096))
    edge = np.where(s.chance(0.5), edge & ~7, edge)
    address = np.take_along_axis(pointers, s.below(_POINTERS)[:, None], 1)[:, 0]
    return (address & ~0xFFF) + edge


def _integer(s: Source, pointers: Array) -> Array:
    edges = s.choice(0, 1, -1, -(1 << 63), (1 << 63) - 1, 1 << 31, (1 << 31) - 1, -(1 << 31))
    short = _anything(s).view(np.uint64) >> s.choice(0, 0, 32, 48).astype(np.uint64)
    short = short.view(np.int64)
    address = _address(s, pointers)
    return s.mixed(address, address, edges, short, short, ~short)


def _float(s: Source) -> Array:
    exponent = s.mixed(0, 0xFF, s.below(256), s.between(120, 160))
    fraction = s.mixed(0, 1 << 22, 1, s.below(1 << 23))
    boxes = np.where(s.chance(0.9), -1 << 32, s.below(1 << 32) << 32)
    single = boxes | s.below(2) << 31 | exponent << 23 | fraction  # boxed in ones most of the time
    exponent = s.mixed(0, 0x7FF, s.below(2048), s.between(1000, 1100))
    fraction = s.mixed(0, 1 << 51, 1, s.below(1 << 52))
    return s.mixed(single, s.below(2) << 63 | exponent << 52 | fraction)
