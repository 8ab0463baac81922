"""Compressed instructions as the ones of four bytes that they stand for (unprivileged manual, chapter 27)."""

from emu.isa import encodings as bits
from emu.isa.operands import memory_operand, stored_register
from emu.isa.privilege import Access
from emu.isa.results import F0, written_register

_FUNCT3 = {4: 2, 8: 3}
"""Of loads and stores, by their bytes."""
_REGISTERS = (
    (0, 0x20, bits.OP), (4, 0, bits.OP), (6, 0, bits.OP), (7, 0, bits.OP), (0, 0x20, bits.OP_32), (0, 0, bits.OP_32),
)  # fmt: skip
"""funct3, funct7 and opcode of c.sub, c.xor, c.or, c.and, c.subw, c.addw."""


def expanded(instruction: int) -> int:
    """The same as four bytes; offsets of jumps and branches are 0. 0 for what is no instruction.

    >>> hex(expanded(0x852E)), hex(expanded(0x6108))  # c.mv a0, a1; c.ld a0, (a0)
    ('0xb00533', '0x53503')
    """
    if instruction & 3 == 3:
        return instruction & 0xFFFF_FFFF
    c = instruction & 0xFFFF
    operand = memory_operand(c)
    if operand is not None:
        funct3, offset = _FUNCT3[operand.size] << 12 | operand.base << 15, operand.offset
        if operand.access is Access.LOAD:
            register = written_register(c) or 0
            opcode = bits.LOAD_FP if register >= F0 else bits.LOAD
            return opcode | (register & 31) << 7 | funct3 | offset << 20
        register = stored_register(c) or 0
        opcode = bits.STORE_FP if register >= F0 else bits.STORE
        return opcode | (offset & 31) << 7 | funct3 | (register & 31) << 20 | offset >> 5 << 25
    return (_quadrant_0, _quadrant_1, _quadrant_2)[c & 3](c)


def _immediate(c: int) -> int:
    return bits.signed((c >> 12 & 1) << 5 | c >> 2 & 31, 6)


def _with_immediate(opcode: int, funct3: int, rd: int, rs1: int, immediate: int) -> int:
    return opcode | rd << 7 | funct3 << 12 | rs1 << 15 | (immediate & 0xFFF) << 20


def _of_registers(opcode: int, funct3: int, funct7: int, rd: int, rs1: int, rs2: int) -> int:
    return opcode | rd << 7 | funct3 << 12 | rs1 << 15 | rs2 << 20 | funct7 << 25


def _quadrant_0(c: int) -> int:
    offset = (c >> 6 & 1) << 2 | (c >> 5 & 1) << 3 | (c >> 11 & 3) << 4 | (c >> 7 & 15) << 6
    return _with_immediate(bits.OP_IMM, 0, 8 + (c >> 2 & 7), 2, offset) if c and not c >> 13 else 0  # c.addi4spn


def _quadrant_1(c: int) -> int:
    rd, small, other, immediate = c >> 7 & 31, 8 + (c >> 7 & 7), 8 + (c >> 2 & 7), _immediate(c)
    match c >> 13:
        case 0:
            return _with_immediate(bits.OP_IMM, 0, rd, rd, immediate)
        case 1:
            return _with_immediate(bits.OP_IMM_32, 0, rd, rd, immediate)
        case 2:
            return _with_immediate(bits.OP_IMM, 0, rd, 0, immediate)
        case 3 if rd == 2:
            offset = (c >> 6 & 1) << 4 | (c >> 2 & 1) << 5 | (c >> 5 & 1) << 6 | (c >> 3 & 3) << 7 | (c >> 12 & 1) << 9
            return _with_immediate(bits.OP_IMM, 0, 2, 2, bits.signed(offset, 10))
        case 3:
            return bits.LUI | rd << 7 | (immediate & 0xF_FFFF) << 12
        case 4:
            return _arithmetic(c, small, other, immediate)
        case 5:
            return bits.JAL
    return bits.BRANCH | (c >> 13 & 1) << 12 | small << 15


def _arithmetic(c: int, small: int, other: int, immediate: int) -> int:
    kind = c >> 10 & 3
    if kind == 2:
        return _with_immediate(bits.OP_IMM, 7, small, small, immediate)
    if kind < 2:
        return _with_immediate(bits.OP_IMM, 5, small, small, immediate & 63 | kind << 10)
    which = (c >> 12 & 1) << 2 | c >> 5 & 3
    if which >= len(_REGISTERS):
        return 0
    funct3, funct7, opcode = _REGISTERS[which]
    return _of_registers(opcode, funct3, funct7, small, small, other)


def _quadrant_2(c: int) -> int:
    rd, rs2, second = c >> 7 & 31, c >> 2 & 31, c >> 12 & 1
    if c >> 13 == 0:
        return _with_immediate(bits.OP_IMM, 1, rd, rd, _immediate(c) & 63)
    if rs2:
        return _of_registers(bits.OP, 0, 0, rd, rd if second else 0, rs2)
    if rd:
        return _with_immediate(bits.JALR, 0, second, rd, 0)
    return bits.EBREAK if second else 0
