"""The length of an instruction, and what a load, store or atomic accesses (unprivileged manual)."""

from collections.abc import Sequence

from emu.isa.encodings import AMO, LOAD, LOAD_FP, LR, OPCODE, STORE, STORE_FP, signed
from emu.isa.privilege import Access
from emu.lateclass import dataclass


@dataclass(frozen=True, slots=True)
class MemoryOperand:
    """The memory that an instruction accesses: `size` bytes at register `base` plus `offset`.

    >>> memory_operand(0xff843783)  # ld a5, -8(s0)
    MemoryOperand(base=8, offset=-8, size=8, access=<Access.LOAD: 'load'>)
    """

    base: int
    offset: int
    size: int
    access: Access

    def address(self, registers: Sequence[int]) -> int:
        """The virtual address, 64 bits."""
        return (registers[self.base] + self.offset) & (1 << 64) - 1


def instruction_length(halfword: int) -> int:
    """Bytes of the instruction that starts with these 16 bits: 2 or 4 (section 1.5)."""
    return 4 if halfword & 3 == 3 else 2


def memory_operand(instruction: int) -> MemoryOperand | None:
    """What a load, store or atomic accesses; None for any other instruction."""
    if instruction & 3 != 3:
        return _compressed(instruction & 0xFFFF)
    opcode, funct3 = instruction & OPCODE, (instruction >> 12) & 7
    base = (instruction >> 15) & 31
    if opcode in (LOAD, LOAD_FP):
        return MemoryOperand(base, signed(instruction >> 20, 12), 1 << (funct3 & 3), Access.LOAD)
    if opcode in (STORE, STORE_FP):
        offset = ((instruction >> 25) << 5) | ((instruction >> 7) & 31)
        return MemoryOperand(base, signed(offset, 12), 1 << (funct3 & 3), Access.STORE)
    if opcode == AMO:
        is_lr = instruction >> 27 == LR
        return MemoryOperand(base, 0, 1 << (funct3 & 3), Access.LOAD if is_lr else Access.STORE)
    return None


def stored_register(instruction: int) -> int | None:
    """The register that a store writes to memory: 0 to 31 for x0 to x31, 32 to 63 for f0 to f31.

    None for any other instruction, for an atomic one too.

    >>> stored_register(0xFE843C27), stored_register(0xE406), stored_register(0x00B5_352F)  # fsd, c.sdsp, amoadd.d
    (40, 1, None)
    """
    if instruction & 3 == 3:
        opcode, register = instruction & OPCODE, instruction >> 20 & 31
        return {STORE: register, STORE_FP: 32 + register}.get(opcode)
    operand = _compressed(instruction & 0xFFFF)
    if operand is None or operand.access is Access.LOAD:
        return None
    register = instruction >> 2 & 31 if instruction & 3 == 2 else 8 + (instruction >> 2 & 7)
    return register + (32 if instruction >> 13 & 7 == 5 else 0)


def _compressed(c: int) -> MemoryOperand | None:
    """Table 16.5 and 16.7: the loads and stores of quadrants 0 and 2."""
    quadrant, funct3 = c & 3, c >> 13
    if funct3 not in (1, 2, 3, 5, 6, 7):
        return None
    access = Access.LOAD if funct3 < 4 else Access.STORE
    word = funct3 in (2, 6)
    if quadrant == 0:
        base = 8 + ((c >> 7) & 7)
        high = (c >> 10) & 7
        if word:
            return MemoryOperand(base, (high << 3) | ((c >> 6 & 1) << 2) | ((c >> 5 & 1) << 6), 4, access)
        return MemoryOperand(base, (high << 3) | ((c >> 5 & 3) << 6), 8, access)
    if quadrant == 2:
        return MemoryOperand(2, _stack_offset(c, access, word=word), 4 if word else 8, access)
    return None


def _stack_offset(c: int, access: Access, *, word: bool) -> int:
    if access is Access.STORE:
        field = (c >> 7) & 63
        return (field & 0x3C) | ((field & 3) << 6) if word else (field & 0x38) | ((field & 7) << 6)
    field = ((c >> 12 & 1) << 5) | ((c >> 2) & 31)
    return (field & 0x3C) | ((field & 3) << 6) if word else (field & 0x38) | ((field & 7) << 6)


def loaded_register(instruction: int, value: int) -> tuple[int, int] | None:
    """The integer register that a load writes, and the 64 bits that it gets of `value`; None for anything else.

    >>> loaded_register(0x00050583, 0xF0)  # lb a1, (a0)
    (11, 18446744073709551600)
    """
    operand = memory_operand(instruction)
    if operand is None or operand.access is not Access.LOAD:
        return None
    if instruction & 3 == 3:
        if instruction & OPCODE != LOAD:  # floating point, or a reservation
            return None
        register, is_unsigned = instruction >> 7 & 31, bool(instruction >> 14 & 1)
    elif instruction >> 13 & 7 == 1:  # floating point
        return None
    else:
        register = instruction >> 7 & 31 if instruction & 3 == 2 else 8 + (instruction >> 2 & 7)
        is_unsigned = False
    bits = 8 * operand.size
    extended = value & (1 << bits) - 1 if is_unsigned else signed(value, bits) & (1 << 64) - 1
    return register, extended
