"""Random instructions of each kind; none of them jumps or writes a register that a program relies on."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tests.emu.differential.encodings import (
    RESERVED,
    Array,
    Parcel,
    Source,
    addi,
    csr,
    half,
    i_type,
    r_type,
    s_type,
    word,
)  # fmt: skip
from tests.emu.differential.places import Places

_READABLE_CSRS = (
    0x001, 0x002, 0x003, 0x100, 0x104, 0x105, 0x106, 0x140, 0x141, 0x142, 0x143, 0x144, 0x180, 0x300, 0x301, 0x302,
    0x303, 0x304, 0x305, 0x306, 0x340, 0x341, 0x342, 0x343, 0x344, 0x3A0, 0x3A2, 0x3B0, 0x3BF, 0xF11, 0xF14,
)  # fmt: skip
_MISSING_CSRS = (0x000, 0x005, 0x045, 0x180 + 1, 0x3A1, 0x400, 0x5FF, 0x7C0, 0x800, 0x9FF, 0xBC0, 0xCC0, 0xFC0)
_FLOAT_CSRS = (0x001, 0x002, 0x003)
_PLAIN_CSRS = (0x140, 0x142, 0x143, 0x340, 0x342, 0x343)
"""CSRs that take any value without harm to the program."""
_COUNTER_ENABLES = (0x106, 0x306)
_RESERVED = np.array(sorted(RESERVED))


def integer(s: Source) -> list[Parcel]:
    """I and M."""
    rd, rs1, rs2, funct3, immediate = s.free(), s.register(), s.register(), s.below(8), s.below(4096)
    funct7 = s.choice(0, 1)
    funct7 = np.where(s.chance(0.03) | np.isin(funct3, (0, 5)) & s.chance(0.3), 0x20, funct7)
    right, narrow = s.choice(1, 5), s.mixed(0, 1, 4, 5, 6, 7, funct3)
    shift = s.below(64) | np.where(right == 5, s.choice(0, 0x400), 0)
    plain = s.choice(0, 0, 0, 2, 3, 4, 6, 7)
    short = s.mixed(0, s.choice(0, 1, 5), s.choice(0, 1, 5), funct3)
    short_immediate = np.where(np.isin(short, (1, 5)) & s.chance(0.95), shift & 0x41F, immediate)
    short_immediate = np.where(short == 1, short_immediate & np.where(s.chance(0.9), 0x1F, -1), short_immediate)
    return [
        s.mixed(
            r_type(0x33, rd, funct3, rs1, rs2, funct7).astype(np.int64),
            r_type(0x3B, rd, s.mixed(0, 5, narrow), rs1, rs2, np.where(narrow & 3 > 1, 1, funct7)).astype(np.int64),
            i_type(0x13, rd, plain, rs1, immediate).astype(np.int64),
            i_type(0x1B, rd, short, rs1, np.where(short == 0, immediate, short_immediate)).astype(np.int64),
            s.below(1 << 20) << 12 | rd << 7 | s.choice(0x37, 0x17),
            i_type(0x13, rd, right, rs1, shift).astype(np.int64),
        ).astype(np.uint32)
    ]


def load(s: Source) -> list[Parcel]:
    """A load; some have the width that does not exist."""
    return [i_type(0x03, s.free(), _width(s), s.base(), s.offset())]


def _width(s: Source) -> Array:
    return s.mixed(s.below(7), s.below(7), s.below(7), s.below(8))


def store(s: Source) -> list[Parcel]:
    """A store."""
    return [s_type(0x23, s.below(4), s.base(), s.register(), s.offset())]


def atomic(s: Source) -> list[Parcel]:
    """AMO, LR or SC on an address without displacement."""
    funct5 = s.mixed(0, 1, 2, 3, 4, 8, 12, 16, 20, 24, 28, s.below(32))
    rs2 = np.where((funct5 == 2) & s.chance(0.9), 0, s.register())
    return [r_type(0x2F, s.free(), s.choice(2, 3), s.base(), rs2, funct5 << 2 | s.below(4))]


def reservation(s: Source) -> list[Parcel]:
    """LR and SC."""
    return _reservation(s, [])


def reservation_around_integer(s: Source) -> list[Parcel]:
    """LR, an instruction, and SC."""
    return _reservation(s, integer(s))


def reservation_around_store(s: Source) -> list[Parcel]:
    """LR, a store, and SC."""
    return _reservation(s, store(s))


def _reservation(s: Source, between: list[Parcel]) -> list[Parcel]:
    width, address = s.choice(2, 3), s.base()
    first = r_type(0x2F, s.free(), width, address, 0, 2 << 2)
    return [first, *between, r_type(0x2F, s.free(), width, address, s.register(), 3 << 2)]


def wild_load(s: Source) -> list[Parcel]:
    """Through whatever a register holds: physical addresses would meet QEMU's other devices."""
    return [i_type(0x03, s.free(), _width(s), s.register(), s.offset())]


def wild_store(s: Source) -> list[Parcel]:
    """The same for a store."""
    return [s_type(0x23, s.below(4), s.register(), s.register(), s.offset())]


def _is_reserved(register: Array) -> npt.NDArray[np.bool_]:
    return np.isin(register, _RESERVED)


def _is_compressed_memory(value: Array) -> npt.NDArray[np.bool_]:
    return np.isin(value & 3, (0, 2)) & ~np.isin(value >> 13, (0, 4))


def compressed(s: Source) -> list[Parcel]:
    """Any 16 bits that neither jump, nor access memory, nor write a reserved register."""

    def wanted(value: Array) -> npt.NDArray[np.bool_]:
        quadrant, funct3, register = value & 3, value >> 13, value >> 7 & 31
        jumps = (quadrant == 1) & np.isin(funct3, (5, 6, 7))
        jumps |= (quadrant == 2) & (funct3 == 4) & (value >> 2 & 31 == 0) & (register != 0)
        writes = np.isin(quadrant, (1, 2)) & _is_reserved(register)
        reserved = (value & 0xE003 == 0x8000) | (value & 0xFC43 == 0x9C41)
        rare = reserved & (s.random.random(value.size) < 0.9)
        return ~((quadrant == 3) | rare | _is_compressed_memory(value) | jumps | writes)

    return [half(s.until(lambda s: s.below(1 << 16), wanted))]


def compressed_memory(s: Source) -> list[Parcel]:
    """A compressed load or store of an integer, behind an instruction that gives it an address."""
    return _compressed_memory(s, floats=False)


def compressed_float_memory(s: Source) -> list[Parcel]:
    """The same for a floating-point register."""
    return _compressed_memory(s, floats=True)


def _compressed_memory(s: Source, *, floats: bool) -> list[Parcel]:
    def wanted(value: Array) -> npt.NDArray[np.bool_]:
        right = _is_compressed_memory(value) & ((value >> 13 & 3 == 1) == floats)
        return right & ~((value & 3 == 2) & _is_reserved(value >> 7 & 31) & (not floats))

    value = s.until(lambda s: s.below(1 << 16), wanted)
    register = np.where(value & 3 == 2, 2, 8 + (value >> 7 & 7))
    return [addi(register, s.base(), s.choice(0, 0, 0, -8, 4, 1)), half(value)]


_TO_FLOAT = (0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x2C, 0x20, 0x68, 0x78)
_TO_INTEGER = (0x50, 0x60, 0x70)
"""funct7 of comparisons, conversions, and fmv.x and fclass."""


def fused(s: Source) -> list[Parcel]:
    """Fused multiply-add, with the formats that do not exist as well."""
    opcode = s.choice(0x43, 0x47, 0x4B, 0x4F)
    operands = s.register(), s.register(), s.register() << 2 | s.mixed(0, 1, 0, 1, 0, 1, s.below(4))
    return [r_type(opcode, s.register(), _rounding(s), *operands)]


def to_float(s: Source) -> list[Parcel]:
    """F and D: arithmetic, conversions and moves to floating-point registers, and the encodings between them."""
    return _float_operation(s, s.choice(*_TO_FLOAT), s.register())


def float_to_integer(s: Source) -> list[Parcel]:
    """F and D: comparisons, and conversions and moves to integer registers."""
    return _float_operation(s, s.choice(*_TO_INTEGER), s.free())


def _rounding(s: Source) -> Array:
    return s.mixed(7, 7, 7, 7, 0, 1, 2, 3, 4, s.below(5), s.below(8))


def _float_operation(s: Source, funct7: Array, rd: Array) -> list[Parcel]:
    double = s.below(2)
    named = np.isin(funct7, (0x10, 0x14, 0x50, 0x70, 0x78))
    rounding = np.where(named, s.mixed(0, 1, 0, 1, 0, 1, s.below(3), s.below(8)), _rounding(s))
    rs2 = np.where(np.isin(funct7, (0x2C, 0x70, 0x78)), 0, s.register())
    rs2 = np.where(np.isin(funct7, (0x60, 0x68)), s.below(4), rs2)
    rs2 = np.where(funct7 == 0x20, 1 - double, rs2)
    rs2 = np.where(s.chance(0.03), s.register(), rs2)
    return [r_type(0x53, rd, rounding, s.register(), rs2, funct7 | double)]


def float_load(s: Source) -> list[Parcel]:
    """Loads of floating-point registers."""
    return [i_type(0x07, s.register(), s.choice(2, 3), s.base(), s.offset())]


def float_store(s: Source) -> list[Parcel]:
    """Stores of floating-point registers."""
    return [s_type(0x27, s.choice(2, 3), s.base(), s.register(), s.offset())]


def csr_read(s: Places) -> list[Parcel]:
    """Read a CSR, or one that does not exist."""
    number = np.where(s.chance(0.9), s.choice(*_READABLE_CSRS), s.choice(*_MISSING_CSRS))
    return [csr(s.choice(2, 3, 6, 7), s.free(), _mostly_open(s, number), 0)]


def _mostly_open(s: Places, number: Array) -> Array:
    """A CSR of this privilege in the place of most of those of a higher one."""
    closed = number >> 8 & 3 > s.of(s.traits.privilege)
    return np.where(closed & s.chance(0.8), s.choice(*_FLOAT_CSRS), number)


def csr_write(s: Places) -> list[Parcel]:
    """Write a CSR that takes anything."""
    number = s.choice(*_PLAIN_CSRS)
    open_ = number >> 8 & 3 <= s.of(s.traits.privilege)
    number = np.where(open_ | s.chance(0.2), number, np.where(s.of(s.traits.privilege) == 1, 0x140, 0x002))
    return [csr(np.where(number < 4, 1, s.choice(1, 2, 3, 5, 6, 7)), s.free(), number, s.register())]


def float_csr_write(s: Source) -> list[Parcel]:
    """Write those of floating point."""
    return [csr(s.choice(1, 5, 6, 7), s.free(), s.choice(*_FLOAT_CSRS), s.between(1, 32))]


def counter_enable(s: Source) -> list[Parcel]:
    """Let a less privileged mode read counters, or not."""
    return [csr(s.choice(5, 6, 7), s.free(), s.choice(*_COUNTER_ENABLES), s.below(8))]


def exception_pc(s: Source) -> list[Parcel]:
    """Write an even address to `sepc` or `mepc`."""
    even = [addi(5, s.mixed(0, s.base()), 0), i_type(0x13, 5, 7, 5, -2)]
    return [*even, csr(1, 0, s.choice(0x141, 0x341), 5)]


def counter_gate(s: Source) -> list[Parcel]:
    """Read a counter into x0: its value differs between machines, whether it may be read does not."""
    return [csr(2, 0, s.choice(0xC00, 0xC01, 0xC02), 0)]


def environment(s: Source) -> list[Parcel]:
    """What always traps, and fences."""
    fences = 0x0FF0_000F, 0x0000_100F, 0x1200_0073, 0x1200_0073 | 5 << 15
    return [word(s.choice(0x73, 0x73, 0x0010_0073, 0x8000_0073, *fences))]


_MEMORY_AND_CONTROL = (0x03, 0x07, 0x23, 0x27, 0x2F, 0x63, 0x67, 0x6F, 0x73)


def noise(s: Source) -> list[Parcel]:
    """Any 32 bits that neither jump, access CSRs or memory, write a reserved register, nor are `float_to_integer`'s."""

    def wanted(value: Array) -> npt.NDArray[np.bool_]:
        to_integer = (value & 0x7F == 0x53) & np.isin(value >> 25 & ~1, _TO_INTEGER)
        excluded = np.isin(value & 0x7F, _MEMORY_AND_CONTROL) | _is_reserved(value >> 7 & 31) | to_integer
        return (value & 0x1C != 0x1C) & ~excluded

    return [word(s.until(lambda s: s.below(1 << 32) | 3, wanted))]


Kind = Callable[[Places], list[Parcel]]
KINDS: Sequence[tuple[Kind, float]] = (
    (integer, 20), (compressed, 11), (compressed_memory, 5), (compressed_float_memory, 2), (load, 10), (store, 8),
    (wild_load, 0.5), (wild_store, 0.5), (atomic, 7), (reservation, 1), (reservation_around_integer, 0.5),
    (reservation_around_store, 0.5), (fused, 2.4), (to_float, 9.6), (float_to_integer, 5), (float_load, 1.5),
    (float_store, 1.5), (csr_read, 3.5), (csr_write, 2), (float_csr_write, 0.8), (counter_enable, 0.7),
    (exception_pc, 0.3), (counter_gate, 1), (environment, 1.5), (noise, 1),
)  # fmt: skip
"""Every kind with its weight."""
