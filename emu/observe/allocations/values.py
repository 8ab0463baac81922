"""Where a number stands when an allocator is called or returns: a register, memory behind one, a sum of these."""

import operator
import re
from collections.abc import Callable
from functools import lru_cache

from emu.engine.translated.features.callrecords.poisoning.layout import Step
from emu.errors import ConfigError
from emu.hints import NamedTuple, NoReturn, Protocol
from emu.isa.registers import A0, INTEGER_REGISTERS
from emu.lateclass import dataclass, field

_TOKEN = re.compile(r"\s*(?:(0x[0-9a-fA-F]+|\d+)|(call\.)?([A-Za-z_]\w*)|&([A-Za-z_][\w.$]*)|(<<|>>|[-+*/^(),\[\]]))")
_CHOOSING: dict[str, Callable[[int, int], int]] = {"min": min, "max": max}
_LOADS = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
ARGUMENT_NAMES = {f"a{number}": number for number in range(8)}
_WORD, _ALL = 8, (1 << 64) - 1
_SYNTAX = (
    "it takes a register (a1), the word behind an address ([a0], [a0+8], u32[a0+28]), the register as it was at the "
    "call (call.a0), a symbol's address (&name), sizeof(structure), numbers, + - * << >> ^, / without a rest, "
    "min(a1, a2), max(a1, a2), and a condition behind it (a1 if a0, a0 unless a1 else a2)"
)


class Moment(Protocol):
    """The machine when a function is entered or has returned."""

    def register(self, number: int) -> int:
        """An integer register now."""

    def argument(self, number: int) -> int:
        """a0 to a7 as they were when the function was called."""

    def load(self, address: int, size: int) -> int:
        """Memory of the current address space; raises LookupError where nothing can be read."""

    def symbol(self, name: str) -> int:
        """The address of a symbol; raises LookupError without."""

    def size_of(self, name: str, otherwise: int | None) -> int:
        """Bytes of a C structure, as the debug information has it; raises LookupError without both."""


_Read = Callable[[Moment], int]
Steps = tuple[tuple[Step, int], ...]
_Steps = Callable[[Moment], Steps]
_OPERATORS = {
    "+": Step.ADD, "-": Step.SUBTRACT, "*": Step.MULTIPLY, "/": Step.DIVIDE, "^": Step.XOR, "<<": Step.LEFT,
    ">>": Step.RIGHT,
}  # fmt: skip


class _Part(NamedTuple):
    """A part of a value."""

    read: _Read
    steps: "_Steps"
    """The same for native code; raises LookupError where there are none."""
    moving: "_Steps"
    """The same where memory behind registers is another each time."""


class Needs:
    """What a value is made of."""

    def __init__(self) -> None:
        self.loads: list[tuple[_Read, int]] = []
        """Each word of memory, by its address, and the bytes; those that an address depends on before it."""
        self.fixed: list[tuple[_Read, int]] = []
        """Those of them whose addresses depend on no register."""
        self.registers: set[int] = set()
        self.arguments: set[int] = set()
        """By `call.`: 0 to 7."""
        self.addressed: set[int] = set()
        """The registers that addresses depend on, and the arguments as -1 to -8."""
        self.symbols: set[str] = set()
        self.structures: set[str] = set()
        """Those whose bytes the debug information alone has."""


@dataclass(frozen=True, slots=True)
class Value:
    """A number that can be found at a call or return, as a description writes it.

    >>> Value.parse("a1 if a0")
    Value('a1 if a0')
    >>> Value.parse("a1 of a0")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    emu.errors.ConfigError: 'a1 of a0' is no place of a number: 'of a0' is not understood; it takes a register ...
    """

    text: str
    _part: "_Part" = field(repr=False, compare=False)
    needs: Needs = field(repr=False, compare=False)

    def __repr__(self) -> str:
        return f"Value({self.text!r})"

    @classmethod
    def parse(cls, text: str) -> "Value":
        """Read one. Raises ConfigError."""
        return _parsed(text)

    def at(self, moment: Moment) -> int | None:
        """The number, unsigned, 64 bits; None when its condition does not hold or memory cannot be read."""
        try:
            return self._part.read(moment) & _ALL
        except (LookupError, ZeroDivisionError):
            return None

    def steps(self, moment: Moment) -> "Steps | None":
        """How native code finds the number from a0 to a7, with memory and symbols as they are; None where it cannot.

        >>> Value.parse("a1 * 8 if a0").steps(None)[:2]
        ((<Step.REGISTER: 2>, 0), (<Step.NEED: 4>, 0))
        """
        try:
            return self._part.steps(moment)
        except (LookupError, ZeroDivisionError):
            return None

    def moving_steps(self, moment: Moment) -> "Steps | None":
        """The same where native code looks anew at all memory whose address depends on a register.

        >>> [step.name for step, _ in Value.parse("[a0] + 8").moving_steps(None)]
        ['REGISTER', 'LOAD', 'CONSTANT', 'ADD']
        """
        try:
            return self._part.moving(moment)
        except (LookupError, ZeroDivisionError):
            return None


class _Parser:
    """Recursive descent over one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._needs = Needs()
        self._brackets = 0
        self._moving = 0
        """How many registers there were so far."""

    def value(self) -> Value:
        part = self._choice()
        if self._text[self._at :].strip():
            raise self._error()
        return Value(self._text, part, self._needs)

    def _choice(self) -> _Part:
        part = self._xor()
        word = self._peek()
        if word is None or word[3] not in ("if", "unless"):
            return part
        self._at = word.end()
        condition, wanted = self._xor(), word[3] == "if"
        otherwise = _NOTHING
        word = self._peek()
        if word is not None and word[3] == "else":
            self._at = word.end()
            otherwise = self._choice()
        steps: _Steps = _nothing
        moving: _Steps = _nothing
        if wanted and otherwise is _NOTHING:
            steps = lambda moment: (*condition.steps(moment), (Step.NEED, 0), *part.steps(moment))  # noqa: E731
            moving = lambda moment: (*condition.moving(moment), (Step.NEED, 0), *part.moving(moment))  # noqa: E731
        return _Part(
            lambda moment: (part if bool(condition.read(moment)) is wanted else otherwise).read(moment), steps, moving
        )

    def _peek(self) -> re.Match[str] | None:
        return _TOKEN.match(self._text, self._at)

    def _take(self, *operators: str) -> str | None:
        found = self._peek()
        if found is None or found[5] not in operators:
            return None
        self._at = found.end()
        return found[5]

    def _xor(self) -> _Part:
        left = self._sum()
        while sign := self._take("^"):
            left = _combined(sign, left, self._sum())
        return left

    def _sum(self) -> _Part:
        left = self._product()
        while sign := self._take("+", "-"):
            left = _combined(sign, left, self._product())
        return left

    def _product(self) -> _Part:
        left = self._atom()
        while sign := self._take("*", "/", "<<", ">>"):
            left = _combined(sign, left, self._atom())
        return left

    def _atom(self) -> _Part:
        found = self._peek()
        if found is None:
            raise self._error()
        if found[5] in ("(", "["):
            return self._bracketed(8)
        number, at_call, name, symbol = found[1], found[2], found[3], found[4]
        if number:
            constant = int(number, 0)
            part = _fixed(lambda _moment: constant)
        elif symbol:
            self._needs.symbols.add(symbol)
            part = _fixed(lambda moment: moment.symbol(symbol))
        elif at_call and name in ARGUMENT_NAMES:
            index = ARGUMENT_NAMES[name]
            self._needs.arguments.add(index)
            if self._brackets:
                self._needs.addressed.add(~index)
            self._moving += 1
            steps: _Steps = lambda _moment: ((Step.ARGUMENT, 8 * index),)  # noqa: E731
            part = _Part(lambda moment: moment.argument(index), steps, steps)
        elif name in INTEGER_REGISTERS and not at_call:
            index = INTEGER_REGISTERS.index(name)
            self._moving += 1
            self._needs.registers.add(index)
            if self._brackets:
                self._needs.addressed.add(index)
            part = _register(index)
        elif name in _LOADS and not at_call:
            self._at = found.end()
            return self._bracketed(_LOADS[name])
        elif name == "sizeof" and not at_call:
            self._at = found.end()
            return self._sized()
        elif name in _CHOOSING and not at_call:
            self._at = found.end()
            return self._chosen(_CHOOSING[name])
        else:
            raise self._error()
        self._at = found.end()
        return part

    def _bracketed(self, size: int) -> _Part:
        opening = self._take("(", "[")
        if opening is None:
            raise self._error()
        self._brackets += opening == "["
        moving = self._moving
        inner = self._xor()
        self._brackets -= opening == "["
        if not self._take(")" if opening == "(" else "]"):
            raise self._error()
        if opening == "(":
            return inner
        load = inner.read, size
        self._needs.loads.append(load)
        part = _fixed(lambda moment: moment.load(inner.read(moment) & _ALL, size))
        if moving == self._moving:
            self._needs.fixed.append(load)
            return part
        steps: _Steps = (lambda moment: (*inner.moving(moment), (Step.LOAD, 0))) if size == _WORD else _nothing
        return _Part(part.read, part.steps, steps)

    def _sized(self) -> _Part:
        found = re.compile(r"\s*\(\s*(\w+)\s*(?:,\s*(\d+)\s*)?\)").match(self._text, self._at)
        if found is None:
            raise self._error()
        self._at, name = found.end(), found[1]
        otherwise = int(found[2]) if found[2] else None
        if otherwise is None:
            self._needs.structures.add(name)
        return _fixed(lambda moment: moment.size_of(name, otherwise))

    def _chosen(self, choose: Callable[[int, int], int]) -> _Part:
        if not self._take("("):
            raise self._error()
        first = self._xor()
        if not self._take(","):
            raise self._error()
        second = self._xor()
        if not self._take(")"):
            raise self._error()
        return _Part(lambda moment: choose(first.read(moment), second.read(moment)), _nothing, _nothing)

    def _error(self) -> ConfigError:
        rest = self._text[self._at :].strip()
        what = f"'{rest}' is not understood" if rest else "it ends too early"
        return ConfigError(f"'{self._text}' is no place of a number: {what}; {_SYNTAX}")


def _nothing(_moment: Moment) -> NoReturn:
    raise LookupError


_NOTHING = _Part(_nothing, _nothing, _nothing)


def _register(number: int) -> _Part:
    steps: _Steps = _nothing
    if A0 <= number < A0 + len(ARGUMENT_NAMES):
        steps = lambda _moment: ((Step.REGISTER, 8 * (number - A0)),)  # noqa: E731
    return _Part(lambda moment: moment.register(number), steps, steps)


def _fixed(read: _Read) -> _Part:
    """A number that does not depend on what registers hold, but for addresses."""
    steps: _Steps = lambda moment: ((Step.CONSTANT, read(moment) & _ALL),)  # noqa: E731
    return _Part(read, steps, steps)


def divided(dividend: int, divisor: int) -> int:
    """The quotient; raises LookupError where it leaves a rest."""
    quotient, rest = divmod(dividend, divisor)
    if rest:
        raise LookupError
    return quotient


_COMBINING: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divided,
    "^": operator.xor,
    "<<": lambda left, right: left << (right & 63),
    ">>": lambda left, right: left >> (right & 63),
}


def _combined(sign: str, left: _Part, right: _Part) -> _Part:
    combine, step = _COMBINING[sign], _OPERATORS[sign]
    return _Part(
        lambda moment: combine(left.read(moment), right.read(moment)),
        lambda moment: (*left.steps(moment), *right.steps(moment), (step, 0)),
        lambda moment: (*left.moving(moment), *right.moving(moment), (step, 0)),
    )


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Value:
    return _Parser(text).value()
