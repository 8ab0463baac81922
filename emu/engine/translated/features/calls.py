"""A record of calls, returns, traps and what leads back from them: what call stacks are made of."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import starmap
from typing import NamedTuple

from emu.engine.slots import Slot
from emu.engine.translated.features import Core, Feature, Jump
from emu.engine.translated.layout import Global
from emu.engine.translated.operations import ENV, Operand, Operation, T, known, op, register
from emu.engine.translated.plan import Known, Part, Source
from emu.engine.translated.rings import Drain, Ring
from emu.engine.window import Word
from emu.isa.encodings import C_J, C_JR, C_JR_MASK, C_JUMP_MASK, JAL, JALR, OPCODE, OTHER_STACK, TRAP_RETURNS
from emu.isa.jumps import compressed_jump_offset, jal_offset
from emu.isa.operands import instruction_length

RECORD = struct.Struct("<6Q")
"""pc; the instruction's bits, 0 for a trap; the target (of `jal` anything); sp; instret behind it; satp."""
_ALL = (1 << 64) - 1
_PC = Operand(Source.GLOBAL, Global.PC)


class Kind(IntEnum):
    """What an instruction does to the stack of calls (unprivileged manual, section 2.5, table 3)."""

    CALL = 0
    """`jal` or `jalr` that links into ra, or into t0 as the compilers' millicode wants it."""
    RETURN = 1
    """`jalr` to ra or t0 that does not link."""
    SWAP = 2
    """A return that calls: `jalr` from one of ra and t0 to the other."""
    JUMP = 3
    """Any other: a tail call, or a jump within a function."""
    TRAP = 4
    """No instruction: a trap was entered in front of the one at pc."""
    TRAP_RETURN = 5
    """`sret` or `mret`."""
    OTHER_STACK = 6
    """A write of `satp` behind which other memory is at the stack pointer: another process's stack of the kernel. The
    target is what `satp` was."""


class Transfer(NamedTuple):
    """One transfer of control."""

    kind: Kind
    pc: int
    """The address of the instruction; of a trap what `sepc` or `mepc` gets."""
    target: int
    stack_pointer: int
    instret: int
    """Instructions that have retired before the target."""
    return_address: int
    """Behind the instruction."""
    link: int
    """Of a call the register that gets the return address, of a return the one it is taken from; else 0."""
    satp: int
    """The address space, of a trap, of `sret` and `mret`, and of another stack; else 0."""


class Calls(Feature):
    """Hands over `RECORD`s, one for each call, return, jump to a register, trap, `sret` and `mret`, in their order.

    And one with `OTHER_STACK` in the place of the instruction where a write of `satp` has brought another stack.

    Written by the instruction itself: what comes between a call and its target, as an interrupt, comes behind it in
    the record. `decode` reads them, and `emu.observe.calls.stacks` makes stacks of them.
    """

    def __init__(self, drain: Drain, *, jumps: bool = False, size: int = 1 << 20) -> None:
        """`jumps`: also `jal x0` and `c.j`, which loops are full of. `size` is that of the buffer in bytes."""
        self.ring = Ring(size, drain)
        self._jumps = jumps

    @property
    def rings(self) -> Sequence[Ring]:
        """See `Feature`."""
        return (self.ring,)

    @property
    def looks_at_jumps(self) -> bool:
        """See `Feature`."""
        return True

    def operations(self, _core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        where, what, when, space = T[0], T[1], T[2], T[3]
        record = (
            op("movi", where, known(Known.PC)),
            op("movi", what, known(Known.INSTRUCTION)),
            op("movi", when, known(Known.SLOTS)),
            op("ld", when, when, 8 * Slot.COUNT),
            op("ld", space, ENV, 8 * Word.SATP),
            *self.ring.record(where, what, _PC, register(2), when, space),
        )
        parts = {Part.CONDITION: self.ring.condition, Part.LEAVING: record}
        if self._jumps:
            parts[Part.JUMPING] = record
        return parts

    def jumped(self, jump: Jump, /) -> None:
        """See `Feature`."""
        if jump.instruction and not self._jumps and decoded(jump.instruction)[:2] == (Kind.JUMP, True):
            return
        self.ring.append(RECORD.pack(*jump))
        self.ring.empty_if_full()


def always_jumps(instruction: int) -> bool:
    """Whether it is `jal`, `jalr`, one of their compressed forms, `sret` or `mret`."""
    if instruction & 3 != 3:
        return instruction & C_JUMP_MASK == C_J or (instruction & C_JR_MASK == C_JR and instruction & 0xF80 != 0)
    return instruction & OPCODE == JAL or instruction & 0x707F == JALR or instruction in TRAP_RETURNS


@lru_cache(1 << 12)
def decoded(instruction: int) -> tuple[Kind, bool, int, int]:
    """The kind, a trap's for 0; whether the target is pc + the number behind; the register of `Transfer.link`."""
    if not instruction:
        return Kind.TRAP, False, 0, 0
    if instruction in TRAP_RETURNS:
        return Kind.TRAP_RETURN, False, 0, 0
    if instruction == OTHER_STACK:
        return Kind.OTHER_STACK, False, 0, 0
    if instruction & 3 != 3:
        if instruction & 2 == 0:
            return Kind.JUMP, True, compressed_jump_offset(instruction) or 0, 0
        rd, rs1 = instruction >> 12 & 1, instruction >> 7 & 31
    else:
        rd, rs1 = instruction >> 7 & 31, instruction >> 15 & 31
        if instruction & OPCODE == JAL:
            kind = Kind.CALL if rd in (1, 5) else Kind.JUMP
            return kind, True, jal_offset(instruction), rd if kind is Kind.CALL else 0
    links, returns = rd in (1, 5), rs1 in (1, 5)
    if links:
        return Kind.SWAP if returns and rd != rs1 else Kind.CALL, False, 0, rd
    return (Kind.RETURN, False, 0, rs1) if returns else (Kind.JUMP, False, 0, 0)


def decode(records: bytes | memoryview) -> Iterator[Transfer]:
    """What `Calls` has handed over."""
    return starmap(transfer, RECORD.iter_unpack(records))


def transfer(pc: int, instruction: int, target: int, stack_pointer: int, instret: int, satp: int) -> Transfer:
    """What one `RECORD` says."""
    kind, is_relative, offset, link = decoded(instruction)
    return Transfer(
        kind, pc, pc + offset & _ALL if is_relative else target, stack_pointer, instret,
        pc + instruction_length(instruction) & _ALL if instruction else pc, link,
        satp if kind >= Kind.TRAP else 0,
    )  # fmt: skip
