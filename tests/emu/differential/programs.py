"""Thousands of random programs at once: their code, page tables and registers as they lie in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tests.emu.differential import units
from tests.emu.differential.encodings import Array, Parcel, Source, half
from tests.emu.differential.instructions import KINDS
from tests.emu.differential.layout import (
    AREA_SIZE,
    CODE,
    CODE_SIZE,
    CURRENT,
    CURSOR,
    DATA_PAGE,
    DATA_PAGES,
    FIRST_AREA,
    FIRST_CODE,
    HANDLER,
    LOG,
    LOG_END,
    MOST_PROGRAMS,
    MOST_TRAPS,
    RECORD_WORDS,
    STATE,
    STATE_PAGE,
    STRAY,
    TABLE_PAGE,
    areas,
    codes,
)  # fmt: skip
from tests.emu.differential.places import Places
from tests.emu.differential.spaces import tables
from tests.emu.differential.states import STATE_WORDS, states
from tests.emu.differential.traits import MODES, S_CODE, U_CODE, Traits, draw

LENGTH = 12
"""Units of a program before its end."""
_ECALL, _SRET, _NOP = 0x73, 0x1020_0073, 0x0001
_CODE_HALVES = CODE_SIZE // 2
_MOST_HALVES = 40
"""Of a unit."""
_UNITS = [*((kind, weight, "MSU") for kind, weight in KINDS), *units.CONTROL]
_LETTERS = {"machine": "M", "user": "U"}


@dataclass(frozen=True, slots=True)
class Programs:
    """A batch, as bytes."""

    seed: int
    traits: Traits
    areas: npt.NDArray[np.uint8]
    codes: npt.NDArray[np.uint8]
    starts: Array
    """Where each unit of each program begins in its code pages, and where the last one ends: bytes."""
    only: int | None = None
    """The one program that is to be executed."""

    @property
    def size(self) -> int:
        """How many programs."""
        return len(self.areas)

    def code(self, program: int) -> npt.NDArray[np.uint8]:
        """The instructions of a program, which can be changed."""
        return self.codes[program, self.starts[program, 0] : self.starts[program, -1]]

    def virtual_code(self) -> Array:
        """The address at which each program executes the first byte of its code pages."""
        traits = self.traits
        index = np.where(traits.privilege == 0, U_CODE, S_CODE)
        return np.where(traits.paging != 0, traits.first + index * 4096, codes(self.size))

    def pieces(self) -> list[tuple[int, bytes]]:
        """What lies in memory besides the harness, by physical address."""
        stray = half(Source(np.random.default_rng(self.seed), 2048).below(512) << 7 | 0x0B).tobytes()
        handler = _ECALL.to_bytes(4, "little") * 16 + _SRET.to_bytes(4, "little")
        first, last = (0, self.size) if self.only is None else (self.only, self.only + 1)
        current = FIRST_AREA + first * AREA_SIZE + STATE_PAGE * 4096
        return [
            (STRAY, stray), (HANDLER, handler), (CURRENT, current.to_bytes(8, "little")),
            (FIRST_CODE + first * CODE_SIZE, self.codes[first:last].tobytes()),
            (FIRST_AREA + first * AREA_SIZE, self.areas[first:last].tobytes()),
        ]  # fmt: skip

    def emptied(self, program: int) -> "Programs":
        """These, one of which does nothing."""
        return replace(self.without(program, range(LENGTH)), only=self.only)

    def without(self, program: int, units: Sequence[int]) -> "Programs":
        """This program alone, with some of its units made to do nothing."""
        codes = self.codes.copy()
        for unit in units:
            codes[program, self.starts[program, unit] : self.starts[program, unit + 1]].view("<u2")[:] = _NOP
        return replace(self, codes=codes, only=program)


def generate(
    seed: int, size: int = MOST_PROGRAMS, *, native_walks: bool = True, interrupts_anywhere: bool = False
) -> Programs:
    """So many programs; the same for the same arguments."""
    random = np.random.default_rng(seed)
    traits = draw(random, size, native_walks=native_walks, interrupts_anywhere=interrupts_anywhere)
    kinds = _kinds(random, traits)
    halves, sizes = _assemble(random, traits, kinds)
    starts = np.zeros((size, LENGTH + 2), np.int64)
    np.cumsum(sizes, axis=1, out=starts[:, 1:])
    total = starts[:, -1:]
    s = Source(random, size)
    start = s.mixed(0, 0, 1, np.maximum(0, 2048 - total[:, 0] // 2), 2047)[:, None]
    starts += np.minimum(start, _CODE_HALVES - total)

    image, text = np.zeros((size, AREA_SIZE), np.uint8), np.zeros((size, CODE_SIZE), np.uint8)
    words = image.view(np.int64).reshape(size, -1, 512)
    kept = np.arange(_MOST_HALVES) < sizes[:, :, None]
    places = (starts[:, :-1, None] + np.arange(_MOST_HALVES))[kept]
    text.view(np.uint16)[np.nonzero(kept)[0], places] = halves[kept]
    words[:, TABLE_PAGE] = tables(random, traits)
    for page in range(DATA_PAGE, DATA_PAGE + DATA_PAGES):
        words[:, page] = random.integers(-(1 << 63), 1 << 63, size=(size, 512))
    found = Programs(seed, traits, image, text, starts * 2)
    first = found.virtual_code()
    state = words[:, STATE_PAGE]
    log = areas(size) + STATE_PAGE * 4096 + LOG * 8
    state[:, CURSOR], state[:, LOG_END], state[:, CODE] = log, log + MOST_TRAPS * RECORD_WORDS * 8, codes(size)
    begin, end = found.starts[:, 0] + first, found.starts[:, -2] + first
    state[:, STATE : STATE + STATE_WORDS] = states(random, traits, begin, end)
    return found


def _kinds(random: np.random.Generator, traits: Traits) -> Array:
    """Which unit stands where: indexes into `_UNITS`."""
    letters = np.array([_LETTERS.get(mode, "S") for mode in MODES])[traits.mode]
    columns = []
    for kind, weight, modes in _UNITS:
        possible = np.isin(letters, list(modes))
        if kind.__name__ == "atomic":  # QEMU takes one where no memory is for a load
            possible = possible & ~traits.outside
        elif kind.__name__ == "float_to_integer":  # QEMU forgets to make FS Dirty for what only raises flags
            possible = possible & ~traits.clean
        elif kind.__name__.startswith("wild"):
            possible = possible & (traits.paging != 0) & ~traits.writable
        columns.append(np.where(possible, weight, 0.0))
    bounds = np.cumsum(np.stack(columns, axis=1), axis=1)
    bounds /= bounds[:, -1:]
    draws = random.random((traits.size, LENGTH))
    return (draws[:, :, None] >= bounds[:, None, :-1]).sum(axis=2)


def _assemble(
    random: np.random.Generator, traits: Traits, kinds: Array
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.int64]]:
    """The 16-bit parcels of each unit, and how many they are; branches go to later units."""
    size, length = kinds.shape
    halves = np.zeros((size, length + 1, _MOST_HALVES), np.uint16)
    sizes = np.zeros((size, length + 1), np.int64)
    names = np.array([kind.__name__ for kind, _, _ in _UNITS])
    returns = np.isin(kinds, np.flatnonzero(np.isin(names, ("sret", "mret"))))
    returned = np.cumsum(returns, axis=1) - returns > 0
    aimed = []
    for index, (kind, _, _) in enumerate(_UNITS):
        program, unit = np.nonzero(kinds == index)
        if not program.size:
            continue
        parcels = kind(Places(random, traits, program, returned[program, unit]))
        sizes[program, unit] = _length(parcels)
        if kind in units.AIMED:
            aimed.append((kind, parcels, program, unit))
        else:
            _put(halves, parcels, program, unit)
    every = np.arange(size)
    last = units.end(Source(random, size))
    sizes[:, length] = _length(last)
    _put(halves, last, every, np.full(size, length))
    starts = np.cumsum(sizes, axis=1) - sizes
    for kind, parcels, program, unit in aimed:
        target = np.minimum(length, unit + 1 + random.integers(units.AIMED[kind], size=unit.size))
        units.aim(kind, parcels, 2 * (starts[program, target] - starts[program, unit]))
        _put(halves, parcels, program, unit)
    return halves, sizes


def _length(parcels: Sequence[Parcel]) -> int:
    return sum(parcel.dtype.itemsize for parcel in parcels) // 2


def _put(halves: npt.NDArray[np.uint16], parcels: Sequence[Parcel], program: Array, unit: Array) -> None:
    at = 0
    for parcel in parcels:
        halves[program, unit, at] = parcel & 0xFFFF
        at += 1
        if parcel.dtype == np.uint32:
            halves[program, unit, at] = parcel >> 16
            at += 1
