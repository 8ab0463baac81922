"""The forms of instructions, for many at once: fields are numbers or arrays of them."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.int64]
Numbers = int | Array
Parcel = npt.NDArray[np.uint32] | npt.NDArray[np.uint16]
"""One instruction at each place: of 32 or of 16 bits."""

AREA = 4
"""The register by which the harness finds the program's area."""
POINTERS = range(18, 24)
"""Registers that hold addresses and are never written."""
LANDING = 26
"""Where a program goes on when it has jumped to what cannot be fetched."""
BUDGET = 27
"""How many jumps to addresses in registers a program may still make."""
RESERVED = frozenset((AREA, *POINTERS, LANDING, BUDGET))
FREE = tuple(number for number in range(32) if number not in RESERVED)


class Source:
    """Random numbers for so many places at once."""

    def __init__(self, random: np.random.Generator, size: int) -> None:
        self.random, self.size = random, size

    def below(self, limit: int) -> Array:
        """Numbers from 0 on."""
        return self.random.integers(limit, size=self.size)

    def between(self, low: int, high: int) -> Array:
        """Numbers from the first to the one before the last."""
        return self.random.integers(low, high, size=self.size)

    def choice(self, *options: int) -> Array:
        """One of these numbers each, signed and of 64 bits."""
        return np.array(options, np.int64)[self.below(len(options))]

    def mixed(self, *options: Numbers) -> Array:
        """At each place one of the numbers or arrays."""
        return np.choose(self.below(len(options)), options)

    def chance(self, probability: float) -> npt.NDArray[np.bool_]:
        """Whether something happens."""
        return self.random.random(self.size) < probability

    def free(self) -> Array:
        """Registers that may be written."""
        return np.array(FREE)[self.below(len(FREE))]

    def register(self) -> Array:
        """Registers to read."""
        return self.below(32)

    def base(self) -> Array:
        """Registers that hold an address of the program's own."""
        return self.between(POINTERS.start, POINTERS.stop)

    def offset(self) -> Array:
        """Displacements: small, at a page's edge, or any."""
        return self.mixed(0, 0, 8, -8, self.between(-64, 64), self.between(-2048, 2048))

    def until(self, draw: Callable[["Source"], Array], wanted: Callable[[Array], npt.NDArray[np.bool_]]) -> Array:
        """Numbers as `draw` makes them, drawn again where they are not wanted."""
        values = draw(self)
        while (wrong := np.flatnonzero(~wanted(values))).size:
            values[wrong] = draw(Source(self.random, wrong.size))
        return values


def word(value: Numbers) -> Parcel:
    """An instruction of 32 bits."""
    return (np.asarray(value, np.int64) & 0xFFFF_FFFF).astype(np.uint32)


def half(value: Numbers) -> Parcel:
    """An instruction of 16 bits."""
    return (np.asarray(value, np.int64) & 0xFFFF).astype(np.uint16)


def r_type(opcode: Numbers, rd: Numbers, funct3: Numbers, rs1: Numbers, rs2: Numbers, funct7: Numbers) -> Parcel:
    """Register to register."""
    return word(funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode)


def i_type(opcode: Numbers, rd: Numbers, funct3: Numbers, rs1: Numbers, immediate: Numbers) -> Parcel:
    """Register and 12-bit immediate."""
    return word((immediate & 0xFFF) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode)


def s_type(opcode: Numbers, funct3: Numbers, rs1: Numbers, rs2: Numbers, immediate: Numbers) -> Parcel:
    """Store."""
    immediate = immediate & 0xFFF
    return word(immediate >> 5 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (immediate & 31) << 7 | opcode)


def b_type(funct3: Numbers, rs1: Numbers, rs2: Numbers, offset: Numbers) -> Parcel:
    """Branch."""
    offset = offset & 0x1FFF
    return word(
        (offset >> 12) << 31 | (offset >> 5 & 63) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12
        | (offset >> 1 & 15) << 8 | (offset >> 11 & 1) << 7 | 0x63
    )  # fmt: skip


def short_branch(funct3: Numbers, register: Numbers, offset: Numbers) -> Parcel:
    """`c.beqz` or `c.bnez` of x8 to x15."""
    return half(
        funct3 << 13 | (offset >> 8 & 1) << 12 | (offset >> 3 & 3) << 10 | (register - 8) << 7
        | (offset >> 6 & 3) << 5 | (offset >> 1 & 3) << 3 | (offset >> 5 & 1) << 2 | 1
    )  # fmt: skip


def jal(rd: Numbers, offset: Numbers) -> Parcel:
    """Jump and link."""
    offset = offset & 0x1F_FFFF
    return word(
        (offset >> 20) << 31 | (offset >> 1 & 0x3FF) << 21 | (offset >> 11 & 1) << 20 | (offset >> 12 & 0xFF) << 12
        | rd << 7 | 0x6F
    )  # fmt: skip


def addi(rd: Numbers, rs1: Numbers, immediate: Numbers) -> Parcel:
    """Add an immediate."""
    return i_type(0x13, rd, 0, rs1, immediate)


def auipc(rd: Numbers, value: Numbers = 0) -> Parcel:
    """The pc, and a number whose lower 12 bits are 0."""
    return word(value | rd << 7 | 0x17)


def csr(kind: Numbers, rd: Numbers, number: Numbers, source: Numbers) -> Parcel:
    """A CSR instruction: kind 1 to 3 writes, sets, clears with a register, 5 to 7 with an immediate."""
    return word(number << 20 | source << 15 | kind << 12 | rd << 7 | 0x73)


def constant(rd: Numbers, value: Numbers) -> list[Parcel]:
    """Put a signed 32-bit number into a register."""
    low = (value & 0xFFF) - (value & 0x800) * 2
    return [word((value - low) & 0xFFFF_F000 | rd << 7 | 0x37), i_type(0x1B, rd, 0, rd, low)]


def size(parcels: Sequence[Parcel]) -> int:
    """Bytes of these instructions."""
    return sum(parcel.dtype.itemsize for parcel in parcels)
