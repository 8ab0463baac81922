"""What calls and returns do to the table of open calls (`emu.engine.translated.features.opencalls`), as operations."""

from emu.engine.slots import Slot
from emu.engine.translated.layout import Global
from emu.engine.translated.message import Message
from emu.engine.translated.opcodes import CONDITIONS
from emu.engine.translated.operations import ENV, Operand, Operation, T, choose, known, op, register
from emu.engine.translated.plan import Known, Source
from emu.engine.window import Word
from emu.hints import NamedTuple
from emu.isa.encodings import C_RET, CALLS, RET, RET_MASK, TRAP_RETURNS
from emu.isa.registers import RA, SP

HIGHEST = (1 << 64) - 1
RETURN, INHERITED, PATH_SHIFT = 1, 0xFFFE, 16
MARKS_OFFSET = 24
"""Of the word with the marks, in an entry."""
MIX = 0x9E3779B97F4A7C15
"""Odd, and half of its bits set: a path is a number made of all return addresses and stack pointers that lead here."""
CALLED, RETURNED, TRAP_RETURNED = 1, 2, 3
"""The first word of a message. The others: the return address; sp; of a return instret, of one from a trap satp."""
WORDS = 4
_SIGN = 63
_PC = Operand(Source.GLOBAL, Global.PC)
_ENTRY, _INNERMOST, _PLACE, _OTHER, _ONE, _KIND, _TOLD, _WORD = T[:8]


class OpenCall(NamedTuple):
    """A call that has not returned."""

    return_address: int
    stack_pointer: int
    """At the call."""


class Native(NamedTuple):
    """Addresses for native code that looks at open calls itself; see `emu.engine.translated.features.callrecords`."""

    innermost: int
    """Of the word with the innermost call's entry."""
    entries: int
    """Of the entries that belong to stack pointers."""
    mask: int
    """Of four times a stack pointer: what is left is its entry's place."""
    message: int
    end: int
    """The entry that the outermost call leads to."""


class Around(NamedTuple):
    """What a call was made inside of."""

    path: int
    """A number for it and all calls around it."""
    call: OpenCall
    before: int
    """The entry that it leads to."""
    is_end: bool
    """Whether there is none: the call was made first on its stack."""


class Table(NamedTuple):
    """Where its parts are."""

    entries: int
    """The first of those that belong to stack pointers."""
    mask: int
    """Of four times a stack pointer: what is left is its entry's place."""
    innermost: int
    """A word: the innermost call's entry."""
    nowhere: int
    """An entry that nobody reads."""


def kind_of(instruction: int) -> int | None:
    """Whether it is a call, a return, or `sret` or `mret`; a trap is 0; None for all others."""
    if instruction in TRAP_RETURNS:
        return TRAP_RETURNED
    if instruction == C_RET or instruction & RET_MASK == RET:
        return RETURNED
    if any(instruction & mask == form for mask, form in CALLS):
        return CALLED
    return None if instruction else 0


def calling(table: Table, message: Message) -> tuple[Operation, ...]:
    """A call that is made deeper than the innermost one writes its entry, all others are told to Python.

    Every value here is made without a branch: what is not to be written is written elsewhere.
    """
    sp, link = register(SP), register(RA)
    return (
        *_found(table),
        op("ld", _OTHER, _INNERMOST, 0),
        op("setcond", _TOLD, sp, _OTHER, CONDITIONS["geu"]),
        op("movi", _ONE, table.nowhere),
        choose("ltu", _ONE, sp, _OTHER, _ENTRY, _ONE),
        choose("ltu", _ENTRY, sp, _OTHER, _ENTRY, _INNERMOST),
        op("st", _ENTRY, _PLACE, 0),
        op("st", sp, _ONE, 0),
        op("st", link, _ONE, 8),
        op("st", _INNERMOST, _ONE, 16),
        # The path: that of the call around it, and its own two words.
        op("ld", _WORD, _INNERMOST, MARKS_OFFSET),
        op("movi", _OTHER, PATH_SHIFT),
        op("shl", _PLACE, sp, _OTHER),
        op("xor", _PLACE, _PLACE, link),
        op("shr", _ENTRY, _WORD, _OTHER),
        op("xor", _PLACE, _PLACE, _ENTRY),
        op("movi", _ENTRY, MIX),
        op("mul", _PLACE, _PLACE, _ENTRY),
        op("shl", _PLACE, _PLACE, _OTHER),
        op("movi", _ENTRY, INHERITED),
        op("and", _WORD, _WORD, _ENTRY),
        op("or", _PLACE, _PLACE, _WORD),
        op("st", _PLACE, _ONE, MARKS_OFFSET),
        op("movi", _OTHER, _SIGN),
        op("shl", _TOLD, _TOLD, _OTHER),
        op("movi", _KIND, CALLED),
        *message.leave(_TOLD, _KIND, link, sp),
    )


def returning(table: Table, message: Message) -> tuple[Operation, ...]:
    """A return that finds its entry goes back to the one before; told are all others, and those that are waited for."""
    sp = register(SP)
    return (
        *_found(table),
        op("ld", _ONE, _ENTRY, 0),
        op("xor", _ONE, _ONE, sp),
        op("ld", _OTHER, _ENTRY, 8),
        op("xor", _OTHER, _OTHER, _PC),
        op("or", _ONE, _ONE, _OTHER),  # 0 if it is the entry's
        op("ld", _WORD, _ENTRY, MARKS_OFFSET),
        op("mov", _KIND, _ENTRY),
        op("ld", _ENTRY, _ENTRY, 16),
        op("movi", _OTHER, 0),
        choose("eq", _ENTRY, _ONE, _OTHER, _ENTRY, _INNERMOST),
        op("st", _ENTRY, _PLACE, 0),
        op("setcond", _TOLD, _ONE, _OTHER, CONDITIONS["ne"]),
        op("or", _TOLD, _TOLD, _WORD),
        op("movi", _ONE, _SIGN),
        op("shl", _TOLD, _TOLD, _ONE),
        # What has returned has no marks; who waits for it needs them still.
        op("movi", _ONE, table.nowhere),
        choose("eq", _ONE, _TOLD, _OTHER, _KIND, _ONE),
        op("st16", _OTHER, _ONE, MARKS_OFFSET),
        op("movi", _KIND, RETURNED),
        op("movi", _OTHER, known(Known.SLOTS)),
        op("ld", _OTHER, _OTHER, 8 * Slot.COUNT),
        *message.leave(_TOLD, _KIND, _PC, sp, _OTHER),
    )


def returning_from_trap(message: Message) -> tuple[Operation, ...]:
    """Always told."""
    return (
        op("movi", _TOLD, 1 << _SIGN),
        op("movi", _KIND, TRAP_RETURNED),
        op("ld", _OTHER, ENV, 8 * Word.SATP),
        *message.leave(_TOLD, _KIND, _PC, register(SP), _OTHER),
    )


def _found(table: Table) -> tuple[Operation, ...]:
    """The entry of this stack pointer, the innermost call's, and where that one is kept."""
    return (
        op("movi", _OTHER, 2),
        op("shl", _ENTRY, register(SP), _OTHER),
        op("movi", _OTHER, table.mask),
        op("and", _ENTRY, _ENTRY, _OTHER),
        op("movi", _OTHER, table.entries),
        op("add", _ENTRY, _ENTRY, _OTHER),
        op("movi", _PLACE, table.innermost),
        op("ld", _INNERMOST, _PLACE, 0),
    )
