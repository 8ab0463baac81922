"""Where branches and jumps lead (unprivileged manual, 2.5 and 16.4)."""

from emu.isa.encodings import BRANCH, JAL, OPCODE, signed

_RD = 0x1F << 7


def jump_offset(word: int) -> int | None:
    """The offset of a branch or of a `jal` that is no call (unprivileged manual, 2.5); None for anything else.

    >>> jump_offset(0xFE0518E3), jump_offset(0xFF9FF06F), jump_offset(0x008000EF)  # bnez a0; j; jal ra
    (-16, -8, None)
    """
    opcode = word & OPCODE
    if opcode == BRANCH:
        value = (word >> 31) << 12 | (word >> 7 & 1) << 11 | (word >> 25 & 0x3F) << 5 | (word >> 8 & 0xF) << 1
        return signed(value, 13)
    if opcode == JAL and word & _RD == 0:
        return jal_offset(word)
    return None


def jal_offset(word: int) -> int:
    """The immediate of `jal` (unprivileged manual, 2.5).

    >>> jal_offset(0x008000EF), jal_offset(0xFF9FF06F)
    (8, -8)
    """
    value = (word >> 31) << 20 | (word >> 12 & 0xFF) << 12 | (word >> 20 & 1) << 11 | (word >> 21 & 0x3FF) << 1
    return signed(value, 21)


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
        return signed(value, 12)
    if funct in (6, 7):
        value = (
            (half >> 12 & 1) << 8 | (half >> 10 & 3) << 3 | (half >> 5 & 3) << 6
            | (half >> 3 & 3) << 1 | (half >> 2 & 1) << 5
        )  # fmt: skip
        return signed(value, 9)
    return None
