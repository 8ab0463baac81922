"""Reads a few things out of guest code: where a call was made, whether a function jumps to its own beginning."""

from emu.address import VirtAddr
from emu.hart.words import RETURN_ADDRESS
from emu.isa.encodings import C_JALR, C_REGISTER_MASK, C_RET, JAL, JALR, OPCODE, RET, TRAP_RETURNS
from emu.isa.jumps import compressed_jump_offset, jump_offset
from emu.machine import Machine

HOST = VirtAddr(RETURN_ADDRESS)
"""The caller of a function that `machine.call` has entered."""

_HANDLER = 1024
"""Bytes in which a trap handler's end is looked for."""
_RD, _RD_RA = 0x1F << 7, 1 << 7


def call_site(machine: Machine, return_address: int) -> VirtAddr:
    """The call instruction before a return address: `jal ra` or `jalr ra` of four bytes, else a compressed one."""
    word = machine.peek(return_address - 4, 4)
    return call_site_by(return_address, 0 if word is None else int.from_bytes(word, "little"))


def call_site_by(return_address: int, bits: int) -> VirtAddr:
    """The same, by the bits of the four bytes before the return address."""
    is_long = bits & OPCODE in (JAL, JALR) and bits & _RD == _RD_RA
    return VirtAddr(return_address - (4 if is_long else 2) & (1 << 64) - 1)


def call_before(machine: Machine, address: int) -> VirtAddr | None:
    """The call (`jal ra`, `jalr ra`, `c.jalr`) that stands directly before an address; None when none does."""
    code = machine.peek(address - 4, 4)
    if code is None:
        return None
    bits = int.from_bytes(code, "little")
    site = call_site(machine, address)
    is_call = site == address - 4 or (bits >> 16 & C_REGISTER_MASK == C_JALR and bits >> 23 & 31 != 0)
    return site if is_call else None


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
            if half == C_RET:
                return False
            at += 2
            continue
        word = int.from_bytes(code[at : at + 4], "little")
        if word in TRAP_RETURNS:
            return True
        if word == RET:
            return False
        at += 4
    return False


def _readable(machine: Machine, start: int, size: int) -> bytes:
    code = machine.peek(start, size)
    while code is None and size > 2:
        size //= 2
        code = machine.peek(start, size)
    return code or b""
