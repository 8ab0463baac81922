"""What integer instructions make of their operands (RV64IM and A, unprivileged manual)."""

from collections.abc import Callable

from emu.isa import encodings as bits
from emu.isa.encodings import signed

_ALL = (1 << 64) - 1
Binary = Callable[[int, int], int]


def _divided(a: int, b: int, width: int) -> int:
    x, y = signed(a, width), signed(b, width)
    if not y:
        return -1
    return abs(x) // abs(y) * (1 if (x < 0) is (y < 0) else -1)


def _rest(a: int, b: int, width: int) -> int:
    x, y = signed(a, width), signed(b, width)
    return x - _divided(a, b, width) * y if y else x


_WIDE: dict[tuple[int, int], Binary] = {
    (0, 0): lambda a, b: a + b, (0, 0x20): lambda a, b: a - b, (1, 0): lambda a, b: a << (b & 63),
    (2, 0): lambda a, b: signed(a, 64) < signed(b, 64), (3, 0): lambda a, b: a < b, (4, 0): lambda a, b: a ^ b,
    (5, 0): lambda a, b: a >> (b & 63), (5, 0x20): lambda a, b: signed(a, 64) >> (b & 63), (6, 0): lambda a, b: a | b,
    (7, 0): lambda a, b: a & b,
    (0, 1): lambda a, b: a * b, (1, 1): lambda a, b: signed(a, 64) * signed(b, 64) >> 64,
    (2, 1): lambda a, b: signed(a, 64) * b >> 64, (3, 1): lambda a, b: a * b >> 64,
    (4, 1): lambda a, b: _divided(a, b, 64), (5, 1): lambda a, b: a // b if b else _ALL,
    (6, 1): lambda a, b: _rest(a, b, 64), (7, 1): lambda a, b: a % b if b else a,
}  # fmt: skip
"""By funct3 and funct7; operands are unsigned, results anything modulo 2**64."""
_NARROW: dict[tuple[int, int], Binary] = {
    (0, 0): lambda a, b: a + b, (0, 0x20): lambda a, b: a - b, (1, 0): lambda a, b: a << (b & 31),
    (5, 0): lambda a, b: a >> (b & 31), (5, 0x20): lambda a, b: signed(a, 32) >> (b & 31),
    (0, 1): lambda a, b: a * b, (4, 1): lambda a, b: _divided(a, b, 32),
    (5, 1): lambda a, b: a // b if b else _ALL, (6, 1): lambda a, b: _rest(a, b, 32),
    (7, 1): lambda a, b: a % b if b else a,
}  # fmt: skip
"""The same for the lower halves, whose results are sign-extended."""
_TAKEN: dict[int, Binary] = {
    0: lambda a, b: a == b, 1: lambda a, b: a != b, 4: lambda a, b: signed(a, 64) < signed(b, 64),
    5: lambda a, b: signed(a, 64) >= signed(b, 64), 6: lambda a, b: a < b, 7: lambda a, b: a >= b,
}  # fmt: skip
_ATOMIC: dict[int, Binary] = {
    0: lambda a, b: a + b, 1: lambda _, b: b, 4: lambda a, b: a ^ b, 8: lambda a, b: a | b, 12: lambda a, b: a & b,
}  # fmt: skip
"""By funct5; minimum and maximum stand below."""


def binary(instruction: int) -> Binary | None:
    """What an instruction of four bytes makes of rs1 and rs2, or of rs1 and its `immediate`; None for others.

    >>> binary(0x00B50533)(1 << 63, 1 << 63)  # add a0, a0, a1
    0
    """
    opcode, funct3, funct7 = instruction & bits.OPCODE, instruction >> 12 & 7, instruction >> 25
    if opcode in (bits.OP_IMM, bits.OP_IMM_32):
        funct7 = funct7 & 0x20 if funct3 == 5 else 0
    elif opcode not in (bits.OP, bits.OP_32):
        return None
    narrow = opcode in (bits.OP_32, bits.OP_IMM_32)
    found = (_NARROW if narrow else _WIDE).get((funct3, funct7))
    if found is None:
        return None
    if not narrow:
        return lambda a, b: found(a, b) & _ALL
    return lambda a, b: signed(found(a & 0xFFFF_FFFF, b & 0xFFFF_FFFF), 32) & _ALL


def immediate(instruction: int) -> int | None:
    """The second operand of an instruction that has it in its bits, 64 bits; None where it is a register."""
    opcode, funct3 = instruction & bits.OPCODE, instruction >> 12 & 7
    if opcode not in (bits.OP_IMM, bits.OP_IMM_32):
        return None
    if funct3 in (1, 5):
        return instruction >> 20 & (63 if opcode == bits.OP_IMM else 31)
    return signed(instruction >> 20, 12) & _ALL


def taken(instruction: int) -> Binary | None:
    """Whether a branch is taken, by rs1 and rs2; None for all other instructions.

    >>> bool(taken(0x00B50463)(1, 1))  # beq a0, a1, . + 8
    True
    """
    return _TAKEN.get(instruction >> 12 & 7) if instruction & bits.OPCODE == bits.BRANCH else None


def atomic(instruction: int) -> Binary | None:
    """What an AMO stores, by what was there, sign-extended, and rs2; None for all other instructions."""
    if instruction & bits.OPCODE != bits.AMO:
        return None
    funct5, width = instruction >> 27, 8 << (instruction >> 12 & 3)
    if funct5 in _ATOMIC:
        return _ATOMIC[funct5]
    if funct5 not in (16, 20, 24, 28):
        return None
    choose = min if funct5 in (16, 24) else max
    if funct5 < 24:
        return lambda a, b: choose(signed(a, width), signed(b, width))
    return lambda a, b: choose(a & (1 << width) - 1, b & (1 << width) - 1)
