"""Where the value that an instruction writes to an integer register comes from (RV64GC, unprivileged manual)."""

from enum import Enum

from emu.isa import encodings as bits
from emu.isa.operands import memory_operand
from emu.lateclass import dataclass


class Origin(Enum):
    """What makes a value."""

    CONSTANT = "a constant"
    COPY = "a copy"
    ARITHMETIC = "arithmetic"
    LOAD = "a load"
    CSR = "a CSR"
    LINK = "the address behind a jump"
    ANSWER = "the host's answer to a call"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class Flow:
    """What an instruction writes to register `destination`, from which registers.

    >>> flow(0x00b50533)  # add a0, a0, a1
    Flow(destination=10, origin=<Origin.ARITHMETIC: 'arithmetic'>, sources=(10, 11))
    >>> flow(0x4501)  # c.li a0, 0
    Flow(destination=10, origin=<Origin.CONSTANT: 'a constant'>, sources=())
    """

    destination: int
    origin: Origin
    sources: tuple[int, ...] = ()


def flow(instruction: int) -> Flow | None:
    """The flow of data through an instruction; None where no integer register is written."""
    found = _full(instruction) if instruction & 3 == 3 else _compressed(instruction & 0xFFFF)
    return None if found is None or not found.destination else found


def _full(i: int) -> Flow | None:
    opcode, funct3 = i & bits.OPCODE, i >> 12 & 7
    rd, rs1, rs2 = i >> 7 & 31, i >> 15 & 31, i >> 20 & 31
    match opcode:
        case bits.LUI | bits.AUIPC:
            return Flow(rd, Origin.CONSTANT)
        case bits.JAL | bits.JALR:
            return Flow(rd, Origin.LINK)
        case bits.LOAD | bits.AMO:
            return Flow(rd, Origin.LOAD, (rs1,))
        case bits.OP_IMM:
            return _computed(rd, (rs1,), copies=funct3 == 0 and i >> 20 == 0)
        case bits.OP_IMM_32:
            return _computed(rd, (rs1,))
        case bits.OP | bits.OP_32:
            return _computed(rd, (rs1, rs2), copies=opcode == bits.OP and funct3 in (0, 4, 6))
        case bits.SYSTEM if funct3:
            return Flow(rd, Origin.CSR)
        case bits.OP_FP if i >> 25 in (0x50, 0x51, 0x60, 0x61, 0x70, 0x71):  # comparisons, conversions, moves
            return Flow(rd, Origin.OTHER)
    return None


def _computed(rd: int, sources: tuple[int, ...], *, copies: bool = False) -> Flow:
    """Of registers without x0; what is left when one of two is x0 is copied, where the operation does that."""
    real = tuple(source for source in sources if source)
    if not real:
        return Flow(rd, Origin.CONSTANT)
    is_copy = copies and len(real) == 1
    return Flow(rd, Origin.COPY if is_copy else Origin.ARITHMETIC, real)


def _compressed(c: int) -> Flow | None:
    quadrant, funct3 = c & 3, c >> 13
    rd, rs2 = c >> 7 & 31, c >> 2 & 31
    small, other = 8 + (c >> 7 & 7), 8 + (c >> 2 & 7)
    operand = memory_operand(c)
    if operand is not None:
        if funct3 not in (2, 3):  # floating point, or a store
            return None
        return Flow(other if quadrant == 0 else rd, Origin.LOAD, (operand.base,))
    match quadrant, funct3:
        case 0, 0:
            return Flow(other, Origin.ARITHMETIC, (2,)) if c else None
        case 1, 0 | 1:
            return Flow(rd, Origin.ARITHMETIC, (rd,))
        case 1, 2:
            return Flow(rd, Origin.CONSTANT)
        case 1, 3:
            return Flow(2, Origin.ARITHMETIC, (2,)) if rd == 2 else Flow(rd, Origin.CONSTANT)
        case 1, 4:
            return Flow(small, Origin.ARITHMETIC, (small, other) if c >> 10 & 3 == 3 else (small,))
        case 2, 0:
            return Flow(rd, Origin.ARITHMETIC, (rd,))
        case 2, 4:
            if rs2:
                return Flow(rd, Origin.ARITHMETIC, (rd, rs2)) if c >> 12 & 1 else Flow(rd, Origin.COPY, (rs2,))
            return Flow(1, Origin.LINK) if c >> 12 & 1 and rd else None
    return None
