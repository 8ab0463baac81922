"""Reads a few things out of guest code: where a call was made, whether a function jumps to its own beginning."""

from emu.address import VirtAddr
from emu.hart.core import RETURN_ADDRESS
from emu.machine import Machine

HOST = VirtAddr(RETURN_ADDRESS)
"""The caller of a function that `machine.call` has entered."""

_JAL, _JALR, _BRANCH = 0x6F, 0x67, 0x63
_TRAP_RETURNS = 0x10200073, 0x30200073
"""`sret`, `mret` (privileged manual, chapter 5)."""
_RET, _C_RET = 0x00008067, 0x8082
_HANDLER = 1024
"""Bytes in which a trap handler's end is looked for."""
_RD, _RD_RA = 0x1F << 7, 1 << 7


def call_site(machine: Machine, return_address: int) -> VirtAddr:
    """The call instruction before a return address: `jal ra` or `jalr ra` of four bytes, else a compressed one."""
    word = machine.peek(return_address - 4, 4)
    bits = 0 if word is None else int.from_bytes(word, "little")
    is_long = bits & 0x7F in (_JAL, _JALR) and bits & _RD == _RD_RA
    return VirtAddr(return_address - (4 if is_long else 2) & (1 << 64) - 1)


def jumps_to(machine: Machine, start: int, size: int) -> bool:
    """Whether a jump or branch in the code from `start` on leads back to `start`, a call not counted."""
    code = _readable(machine, start, size)
    at = 0
    while at + 2 <= len(code):
        half = int.from_bytes(code[at : at + 2], "little")
        if half & 3 == 3:
            word = int.from_bytes(code[at : at + 4], "little")
            offset, length = jump_offset(word), 4
        else:
            offset, length = compressed_jump_offset(half), 2
        if offset is not None and at + offset == 0:
            return True
        at += length
    return False


def returns_from_trap(machine: Machine, start: int) -> bool:
    """Whether the code from `start` on comes to `sret` or `mret` before it comes to a function's return."""
    code = _readable(machine, start, _HANDLER)
    at = 0
    while at + 2 <= len(code):
        half = int.from_bytes(code[at : at + 2], "little")
        if half & 3 != 3:
            if half == _C_RET:
                return False
            at += 2
            continue
        word = int.from_bytes(code[at : at + 4], "little")
        if word in _TRAP_RETURNS:
            return True
        if word == _RET:
            return False
        at += 4
    return False


def _readable(machine: Machine, start: int, size: int) -> bytes:
    code = machine.peek(start, size)
    while code is None and size > 2:
        size //= 2
        code = machine.peek(start, size)
    return code or b""


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
