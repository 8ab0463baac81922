"""Where an instruction sends the hart: branches, jumps, calls, returns (unprivileged manual, 2.5 and 16.4)."""

from enum import Enum
from typing import NamedTuple

_JAL, _JALR, _BRANCH = 0x6F, 0x67, 0x63
_LINKS = (1, 5)
"""x1 and x5 keep return addresses (table 3 of section 2.5.1)."""
_RD = 0x1F << 7
_TRAP_RETURNS = 0x10200073, 0x30200073
"""`sret`, `mret` (privileged manual, 3.3.2)."""


class Way(Enum):
    """What an instruction does to pc."""

    ON = "on"
    """The next instruction follows."""
    BRANCH = "branch"
    JUMP = "jump"
    CALL = "call"
    RETURN = "return"
    TRAP_RETURN = "trap return"


class Flow(NamedTuple):
    """Where an instruction sends the hart."""

    way: Way
    offset: int | None
    """From the instruction, in bytes; None where a register decides, and for `Way.ON`."""


def flow(word: int) -> Flow:
    """What an instruction does to pc, by its 16 or 32 bits.

    >>> flow(0x008000EF), flow(0x8082).way, flow(0x9782).way  # jal ra, 8; ret; jalr a5
    (Flow(way=<Way.CALL: 'call'>, offset=8), <Way.RETURN: 'return'>, <Way.CALL: 'call'>)
    """
    if word & 3 != 3:
        return _compressed(word & 0xFFFF)
    opcode, rd, rs1 = word & 0x7F, word >> 7 & 31, word >> 15 & 31
    if opcode == _BRANCH:
        return Flow(Way.BRANCH, jump_offset(word))
    if opcode == _JAL:
        return Flow(Way.CALL if rd in _LINKS else Way.JUMP, jump_offset(word & ~_RD))
    if opcode == _JALR:
        return Flow(Way.CALL if rd in _LINKS else Way.RETURN if rs1 in _LINKS else Way.JUMP, None)
    return Flow(Way.TRAP_RETURN if word in _TRAP_RETURNS else Way.ON, None)


def _compressed(half: int) -> Flow:
    offset = compressed_jump_offset(half)
    if offset is not None:
        return Flow(Way.JUMP if half >> 13 == 5 else Way.BRANCH, offset)
    register = half >> 7 & 31
    if half & 0xE07F == 0x8002 and register:  # c.jr, c.jalr
        return Flow(Way.CALL if half & 0x1000 else Way.RETURN if register in _LINKS else Way.JUMP, None)
    return Flow(Way.ON, None)


def jump_offset(word: int) -> int | None:
    """The offset of a branch or of a `jal` that is no call (unprivileged manual, 2.5); None for anything else.

    >>> jump_offset(0xFE0518E3), jump_offset(0xFF9FF06F), jump_offset(0x008000EF)  # bnez a0; j; jal ra
    (-16, -8, None)
    """
    opcode = word & 0x7F
    if opcode == _BRANCH:
        value = (word >> 31) << 12 | (word >> 7 & 1) << 11 | (word >> 25 & 0x3F) << 5 | (word >> 8 & 0xF) << 1
        return _signed(value, 13)
    if opcode == _JAL and word & _RD == 0:
        value = (word >> 31) << 20 | (word >> 12 & 0xFF) << 12 | (word >> 20 & 1) << 11 | (word >> 21 & 0x3FF) << 1
        return _signed(value, 21)
    return None


def compressed_jump_offset(half: int) -> int | None:
    """The offset of `c.j`, `c.beqz` or `c.bnez` (unprivileged manual, 16.4); None for anything else.

    >>> compressed_jump_offset(0xBFFD), compressed_jump_offset(0xFD75), compressed_jump_offset(0x8082)  # c.j; c.bnez
    (-2, -4, None)
    """
    if half & 3 != 1:
        return None
    funct = half >> 13
    if funct == 5:
        value = (
            (half >> 12 & 1) << 11 | (half >> 11 & 1) << 4 | (half >> 9 & 3) << 8 | (half >> 8 & 1) << 10
            | (half >> 7 & 1) << 6 | (half >> 6 & 1) << 7 | (half >> 3 & 7) << 1 | (half >> 2 & 1) << 5
        )  # fmt: skip
        return _signed(value, 12)
    if funct in (6, 7):
        value = (
            (half >> 12 & 1) << 8 | (half >> 10 & 3) << 3 | (half >> 5 & 3) << 6
            | (half >> 3 & 3) << 1 | (half >> 2 & 1) << 5
        )  # fmt: skip
        return _signed(value, 9)
    return None


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value
