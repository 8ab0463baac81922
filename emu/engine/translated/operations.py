"""TCG operations as data: what the player writes into blocks."""

from collections.abc import Iterable

from emu.engine.translated.layout import TEMP_SIZE, Global, Layout
from emu.engine.translated.opcodes import CONDITIONS, EXITS, NO_READ_WRITE_GLOBALS, OPCODES
from emu.engine.translated.plan import TEMPORARIES, Known, Source
from emu.hints import NamedTuple

_ALL = (1 << 64) - 1


class Operand(NamedTuple):
    """What the player is to put into an operation; see `Source`."""

    source: Source
    which: int = 0
    shift: int = 0
    plus: int = 0


class Operation(NamedTuple):
    """One operation: its name in `OPCODES`, and its operands in TCG's order, results first."""

    name: str
    operands: tuple[Operand, ...]
    parameters: int = 0


def known(what: Known, *, shift: int = 0, plus: int = 0) -> Operand:
    """A constant that the player knows when it writes: `(what << shift) + plus`."""
    return Operand(Source.VALUE, what, shift, plus)


def constant(value: int) -> Operand:
    """The same constant in every block."""
    return Operand(Source.VALUE, Known.NOTHING, 0, value)


def following(what: Known, *, shift: int = 0, plus: int = 0) -> Operand:
    """As `known`; the known value then grows by 1."""
    return Operand(Source.NEXT, what, shift, plus)


def register(number: int) -> Operand:
    """x1 to x31 as 1 to 31, f0 to f31 as 32 to 63."""
    return Operand(Source.GLOBAL, Global.X0 + number)


T = tuple(Operand(Source.TEMPORARY, number) for number in range(TEMPORARIES))
"""Temporaries for 64 bits. What a list of operations leaves in them the next one does not find."""
LATE = T[-1]
"""In the head of a block: the block does not begin if this is negative."""
ENV = Operand(Source.GLOBAL, Global.ENV)
"""The address of the core's state."""
VALUE, ADDRESS = Operand(Source.ARGUMENT, 0), Operand(Source.ARGUMENT, 1)
"""Of an access: the value that is stored (its upper bits may be anything) or was loaded, and the virtual address."""
LEFT, RIGHT = VALUE, ADDRESS
"""Of a comparison: both sides."""


def op(name: str, *operands: Operand | int) -> Operation:
    """An operation; a plain integer is a constant.

    >>> op("add", T[0], T[0], T[1]).name
    'add'
    """
    return Operation(name, tuple(constant(o) if isinstance(o, int) else o for o in operands))


def branch(condition: str, left: Operand, right: Operand, label: int) -> Operation:
    """Go on at a label, if `left condition right`. Temporaries do not live across a branch."""
    return op("brcond", left, right, CONDITIONS[condition], Operand(Source.BRANCH, label))


def here(label: int) -> Operation:
    """Where a label is."""
    return op("set_label", Operand(Source.LABEL, label))


def choose(condition: str, result: Operand, left: Operand, right: Operand, then: Operand, other: Operand) -> Operation:
    """`result = then if left condition right else other`, without a branch."""
    return op("movcond", result, left, right, then, other, CONDITIONS[condition])


def call(function: int, *arguments: Operand) -> Operation:
    """Call a native function without a result, which must not look at the state that lies in registers."""
    return Operation("call", (*arguments, constant(function), constant(NO_READ_WRITE_GLOBALS)), len(arguments))


def encode(operations: Iterable[Operation], layout: Layout) -> list[int]:
    """The words that the player reads.

    Raises:
        ValueError: for an operation that leaves the block; the player takes the first exit for the block's own.

    """
    words = []
    for name, operands, parameters in operations:
        if name in EXITS:
            raise ValueError(f"{name} leaves the block, which no operation of a list may")
        words.append(OPCODES[name] | len(operands) << 8 | parameters << 16)
        for source, which, shift, plus in operands:
            if source is Source.GLOBAL:
                words += (source, layout.temps + TEMP_SIZE * which)
            else:
                words += (source | which << 8 | shift << 16, plus & _ALL)
    return [*words, 0]
