"""Plans: what operations a core's blocks are given, as data that the native player reads."""

from enum import IntEnum

from emu.engine.translated.opcodes import OPCODES, WRITES_ITS_FIRST_ARGUMENT


class Part(IntEnum):
    """Index of a 64-bit word of a plan: the address of a list of operations, or 0."""

    HEAD = 0
    """Where the block begins, before its first instruction."""
    TAIL = 1
    """Behind the block's last operation, in front of the exit that a block takes which does not begin."""
    CLASSES = 2
    """No list, but for each opcode a byte, its `Kind`; 0 when only the head and the tail are wanted."""
    INSTRUCTION = 3
    """Before each instruction."""
    BEFORE_LOAD = 4
    AFTER_LOAD = 5
    BEFORE_STORE = 6
    AFTER_STORE = 7
    WRITTEN = 8
    """Behind each operation that has written a register, x1 to x31 or f0 to f31."""
    LEAVING = 9
    """Where a block is left by a call, a return, a jump to a register, `sret` or `mret`; pc is the target of all but
    `jal`. The instruction has retired."""
    JUMPING = 10
    """Where a block is left by a jump that is none of those: `jal x0` and `c.j`."""
    CONDITION = 11
    """No word of a plan, but a part of the head: what makes LATE negative when the block must not begin."""
    BEFORE_COMPARISON = 12
    """Before each conditional jump within a block, of a branch instruction first of all."""
    CALLING = 13
    """Behind LEAVING, where the block is left by a call that links into ra."""
    RETURNING = 14
    """Behind LEAVING, where the block is left by a return to ra that does not link."""
    RETURNING_FROM_TRAP = 15
    """Behind LEAVING, where the block is left by `sret` or `mret`."""


class Kind(IntEnum):
    """What an operation of a block is to a plan."""

    OTHER = 0
    INSTRUCTION = 1
    LOAD = 2
    STORE = 3
    RESULT = 4
    """Its first argument is its result."""
    CALL = 5
    COMPARISON = 6


class Source(IntEnum):
    """How the player makes an operand."""

    VALUE = 0
    """A `Known` value, shifted left, plus a constant."""
    TEMPORARY = 1
    """A temporary of 64 bits; it lives to the next branch or label."""
    GLOBAL = 2
    """What stands for a part of the core's state."""
    ARGUMENT = 3
    """An argument of the block's operation that the list is played for: of an access the value and the
    address, of a comparison both sides."""
    LABEL = 4
    BRANCH = 5
    """A label to branch to."""
    NEXT = 6
    """As VALUE; then the known value grows by 1."""


class Known(IntEnum):
    """What the player knows of the block, or of the instruction that a list is played for."""

    NOTHING = 0
    """0: a plain constant."""
    SLOTS = 1
    """The address of the core's slots."""
    SERIAL = 2
    """The block's number, from 1, never used again."""
    BLOCK_PC = 3
    LENGTH = 4
    """How many instructions the block has."""
    BLOCK = 5
    """The address of the core's own description of the block."""
    PC = 6
    """The instruction's address."""
    SIZE = 7
    """log2 of the bytes that an access has."""
    MASK = 8
    """A bit for each byte of the access."""
    TAKEN = 9
    """Counted by NEXT; in the head and the tail it is what the whole block has counted."""
    REGISTER = 10
    """The register that was written: 1 to 31 for x1 to x31, 32 to 63 for f0 to f31."""
    POSITION = 11
    """The number of the instruction in its block, from 0."""
    REMAINING = 12
    """How many instructions of the block have not retired when this one begins."""
    MMU = 13
    """Which of the core's TLBs an access uses: 0, 1, 3 for U, S, M."""
    LAST_BYTE = 14
    """The bytes of an access, less 1."""
    NUMBER = 15
    """The block's number in tables: from 1 to Slot.MOST."""
    INSTRUCTION = 16
    """The bits of the instruction that the block is left by, where it is a jump, `sret` or `mret`."""
    TO_TOP = 17
    """By how much a bit for each byte of an access is shifted left to be at the top: 64 less its bytes."""


TEMPORARIES, LABELS = 16, 4

_KINDS = dict.fromkeys(WRITES_ITS_FIRST_ARGUMENT, Kind.RESULT) | {
    OPCODES["insn_start"]: Kind.INSTRUCTION, OPCODES["call"]: Kind.CALL,
    OPCODES["qemu_ld"]: Kind.LOAD, OPCODES["qemu_st"]: Kind.STORE, OPCODES["brcond"]: Kind.COMPARISON,
}  # fmt: skip
CLASSES = bytes(_KINDS.get(opcode, Kind.OTHER) for opcode in range(256))
"""The list of that name: the `Kind` of each opcode."""
