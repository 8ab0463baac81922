"""Which register an instruction writes (unprivileged manual, chapter 34: the opcode maps)."""

from emu.isa.encodings import (
    AMO,
    AUIPC,
    EBREAK,
    ECALL,
    FUSED,
    JAL,
    JALR,
    LOAD,
    LOAD_FP,
    LUI,
    OP,
    OP_32,
    OP_FP,
    OP_IMM,
    OP_IMM_32,
    OPCODE,
    SYSTEM,
)  # fmt: skip

F0 = 32
"""Floating-point registers are numbered behind the integer registers."""
_INTEGER = (LOAD, OP_IMM, AUIPC, OP_IMM_32, AMO, OP, LUI, OP_32, JALR, JAL)
_FLOAT = (LOAD_FP, *FUSED)
_TO_INTEGER = (0x14, 0x18, 0x1C)
"""By bits 31 to 27 of OP-FP: comparisons, conversions to integers, fmv.x and fclass."""


def written_register(instruction: int) -> int | None:
    """1 to 31 for x1 to x31, 32 to 63 for f0 to f31; None if it writes none. `ecall` counts as writing none.

    >>> written_register(0x00150513), written_register(0x8082)  # addi a0, a0, 1; ret
    (10, None)
    """
    if instruction & 3 != 3:
        return _compressed(instruction & 0xFFFF) or None
    opcode, register = instruction & OPCODE, instruction >> 7 & 31
    if opcode in _FLOAT or (opcode == OP_FP and instruction >> 27 not in _TO_INTEGER):
        return F0 + register
    if opcode in _INTEGER or opcode == OP_FP or (opcode == SYSTEM and instruction >> 12 & 3):
        return register or None
    return None


def registers_written(instruction: int) -> tuple[int, ...]:
    """The same for an instruction that has retired: an `ecall` or `ebreak` that the host has answered is among them.

    >>> registers_written(0x00000073), registers_written(0x00150513)  # ecall; addi a0, a0, 1
    ((10, 11), (10,))
    """
    if instruction == ECALL:
        return 10, 11
    if instruction == EBREAK:
        return (10,)
    register = written_register(instruction)
    return () if register is None else (register,)


def _compressed(c: int) -> int:
    quadrant, funct3, full, low, middle = c & 3, c >> 13, c >> 7 & 31, 8 + (c >> 2 & 7), 8 + (c >> 7 & 7)
    if quadrant == 0:
        return {0: low if c else 0, 1: F0 + low, 2: low, 3: low}.get(funct3, 0)
    if quadrant == 1:
        return full if funct3 < 4 else middle if funct3 == 4 else 0
    if funct3 == 4:  # c.mv, c.add; c.jalr
        return full if c >> 2 & 31 else 1 if c >> 12 & 1 and full else 0
    return {0: full, 1: F0 + full, 2: full, 3: full}.get(funct3, 0)
