"""What calls and returns do to the table of open calls (`emu.engine.translated.opencalls`), as operations."""

from typing import NamedTuple

from emu.engine.slots import Slot
from emu.engine.translated.layout import Global
from emu.engine.translated.opcodes import CONDITIONS, MRET, SRET
from emu.engine.translated.operations import ENV, Operand, Operation, T, choose, known, op, register
from emu.engine.translated.plan import Known, Source
from emu.engine.translated.rings import Ring
from emu.engine.window import Word
from emu.isa.registers import SP

HIGHEST = (1 << 64) - 1
RETURN, INHERITED, PATH_SHIFT = 1, 0xFFFE, 16
MIX = 0x9E3779B97F4A7C15
"""Odd, and half of its bits set: a path is a number made of all return addresses and stack pointers that lead here."""
_PC = Operand(Source.GLOBAL, Global.PC)
RET, C_RET = 0x8067, 0x8082
_CALLS = (0xFFF, 0xEF), (0x7FFF, 0xE7), (0xF07F, 0x9002)
"""`jal ra`, `jalr ra`, `c.jalr`: a mask each, and what it leaves."""
_RETURNS = (0xFFFFF, RET), (HIGHEST, C_RET)
"""`jalr zero, (ra)`, `c.jr ra`."""
_XRETS = (HIGHEST, SRET), (HIGHEST, MRET)


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


def concerns(instruction: int) -> bool:
    """Whether it is a call, a return, `sret` or `mret`; or a trap, 0."""
    if instruction in (0, SRET, MRET):
        return True
    return any(instruction & mask == form for mask, form in (*_CALLS, *_RETURNS))


def leaving(table: "Table", ring: Ring) -> tuple[Operation, ...]:
    """Every value here is made without a branch: what an instruction is, the translator knows and folds."""
    bits, is_call, is_return, entry, innermost = T[0], T[1], T[2], T[3], T[4]
    ordinary, link, one, other, place, told = T[5], T[6], T[7], T[8], T[9], T[10]
    sp = register(SP)
    equal, below = CONDITIONS["eq"], CONDITIONS["ltu"]
    return (
        op("movi", bits, known(Known.INSTRUCTION)),
        *_matches(is_call, bits, *_CALLS),
        *_matches(is_return, bits, *_RETURNS),
        # entry = the one of this stack pointer; innermost = the innermost call's
        op("movi", other, 2),
        op("shl", entry, sp, other),
        op("movi", other, table.mask),
        op("and", entry, entry, other),
        op("movi", other, table.entries),
        op("add", entry, entry, other),
        op("movi", place, table.innermost),
        op("ld", innermost, place, 0),
        # Is it ordinary? A call when it is made deeper than the innermost one, a return when it has an entry.
        op("ld", one, innermost, 0),
        op("setcond", ordinary, sp, one, below),
        op("and", ordinary, ordinary, is_call),
        op("ld", one, entry, 0),
        op("setcond", one, one, sp, equal),
        op("ld", other, entry, 8),
        op("setcond", other, other, _PC, equal),
        op("and", one, one, other),
        op("and", one, one, is_return),
        # A return that somebody waits for is told, too: `told` is 0 for what need not be.
        op("ld", told, entry, 24),
        op("and", told, told, one),
        # The innermost call afterwards.
        op("ld", link, entry, 16),
        op("movi", other, 0),
        choose("ne", link, one, other, link, innermost),
        choose("ne", link, ordinary, other, entry, link),
        op("st", link, place, 0),
        # A call's entry; what is no ordinary call writes elsewhere.
        op("movi", link, table.nowhere),
        choose("ne", entry, ordinary, other, entry, link),
        op("st", sp, entry, 0),
        *_behind(link, bits, other),
        op("st", link, entry, 8),
        op("st", innermost, entry, 16),
        *_path(place, innermost, link, sp, other),
        op("st", place, entry, 24),
        # All others are told to Python.
        op("or", ordinary, ordinary, one),
        *_matches(one, bits, *_XRETS),
        op("or", one, one, is_call),
        op("or", one, one, is_return),
        op("movi", other, 1),
        op("xor", ordinary, ordinary, other),
        op("and", ordinary, ordinary, one),
        op("or", ordinary, ordinary, told),
        op("movi", place, known(Known.PC)),
        op("movi", one, known(Known.SLOTS)),
        op("ld", one, one, 8 * Slot.COUNT),
        op("ld", other, ENV, 8 * Word.SATP),
        *ring.record_if(ordinary, place, bits, _PC, sp, one, other),
    )


def _matches(result: Operand, bits: Operand, *forms: tuple[int, int]) -> tuple[Operation, ...]:
    """1 for an instruction that has one of these forms, each a mask and what is left with it; else 0."""
    masked, wanted = T[8], T[9]
    operations = [op("movi", result, 0)]
    for mask, form in forms:
        operations += [
            op("movi", wanted, mask),
            op("and", masked, bits, wanted),
            op("movi", wanted, form),
            op("setcond", masked, masked, wanted, CONDITIONS["eq"]),
            op("or", result, result, masked),
        ]
    return tuple(operations)


def _path(result: Operand, around: Operand, link: Operand, sp: Operand, other: Operand) -> tuple[Operation, ...]:
    """The last word of a call's entry, by that of the call around it; `around` is lost."""
    return (
        op("ld", around, around, 24),
        op("movi", other, PATH_SHIFT),
        op("shl", result, sp, other),
        op("xor", result, result, link),
        op("shr", link, around, other),
        op("xor", result, result, link),
        op("movi", link, MIX),
        op("mul", result, result, link),
        op("shl", result, result, other),
        op("movi", other, INHERITED),
        op("and", around, around, other),
        op("or", result, result, around),
    )


def _behind(result: Operand, bits: Operand, other: Operand) -> tuple[Operation, ...]:
    """The address behind the instruction, which has four bytes if both lower bits are set, else two."""
    return (
        op("movi", other, 3),
        op("and", result, bits, other),
        op("setcond", result, result, other, CONDITIONS["eq"]),
        op("movi", other, 1),
        op("shl", result, result, other),
        op("movi", other, known(Known.PC, plus=2)),
        op("add", result, result, other),
    )
