"""Where a number stands when an allocator is called or returns: a register, memory behind one, a sum of these."""

import re
from collections.abc import Callable
from functools import lru_cache

from emu.errors import ConfigError
from emu.hints import Protocol
from emu.isa.registers import INTEGER_REGISTERS
from emu.lateclass import dataclass, field

_TOKEN = re.compile(r"\s*(?:(0x[0-9a-fA-F]+|\d+)|(call\.)?([A-Za-z_]\w*)|&([A-Za-z_][\w.$]*)|(<<|>>|[-+*/^(),\[\]]))")
_CHOOSING: dict[str, Callable[[int, int], int]] = {"min": min, "max": max}
_LOADS = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
ARGUMENT_NAMES = {f"a{number}": number for number in range(8)}
_ALL = (1 << 64) - 1
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


class Needs:
    """What a value is made of."""

    def __init__(self) -> None:
        self.loads: list[tuple[_Read, int]] = []
        """Each word of memory, by its address, and the bytes; those that an address depends on before it."""
        self.registers: set[int] = set()
        self.arguments: set[int] = set()
        """By `call.`: 0 to 7."""
        self.addressed: set[int] = set()
        """The registers that addresses depend on, and the arguments as -1 to -8."""


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
    _read: "_Read" = field(repr=False, compare=False)
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
            return self._read(moment) & _ALL
        except (LookupError, ZeroDivisionError):
            return None


class _Parser:
    """Recursive descent over one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._needs = Needs()
        self._brackets = 0

    def value(self) -> Value:
        read = self._choice()
        if self._text[self._at :].strip():
            raise self._error()
        return Value(self._text, read, self._needs)

    def _choice(self) -> _Read:
        read = self._xor()
        word = self._peek()
        if word is None or word[3] not in ("if", "unless"):
            return read
        self._at = word.end()
        condition, wanted = self._xor(), word[3] == "if"
        otherwise: _Read = _nothing
        word = self._peek()
        if word is not None and word[3] == "else":
            self._at = word.end()
            otherwise = self._choice()
        return lambda moment: read(moment) if bool(condition(moment)) is wanted else otherwise(moment)

    def _peek(self) -> re.Match[str] | None:
        return _TOKEN.match(self._text, self._at)

    def _take(self, *operators: str) -> str | None:
        found = self._peek()
        if found is None or found[5] not in operators:
            return None
        self._at = found.end()
        return found[5]

    def _xor(self) -> _Read:
        left = self._sum()
        while operator := self._take("^"):
            left = _combined(operator, left, self._sum())
        return left

    def _sum(self) -> _Read:
        left = self._product()
        while operator := self._take("+", "-"):
            left = _combined(operator, left, self._product())
        return left

    def _product(self) -> _Read:
        left = self._atom()
        while operator := self._take("*", "/", "<<", ">>"):
            left = _combined(operator, left, self._atom())
        return left

    def _atom(self) -> _Read:
        found = self._peek()
        if found is None:
            raise self._error()
        if found[5] in ("(", "["):
            return self._bracketed(8)
        number, at_call, name, symbol = found[1], found[2], found[3], found[4]
        if number:
            constant = int(number, 0)
            read: _Read = lambda _moment: constant  # noqa: E731
        elif symbol:
            read = lambda moment: moment.symbol(symbol)  # noqa: E731
        elif at_call and name in ARGUMENT_NAMES:
            index = ARGUMENT_NAMES[name]
            self._needs.arguments.add(index)
            if self._brackets:
                self._needs.addressed.add(~index)
            read = lambda moment: moment.argument(index)  # noqa: E731
        elif name in INTEGER_REGISTERS and not at_call:
            index = INTEGER_REGISTERS.index(name)
            self._needs.registers.add(index)
            if self._brackets:
                self._needs.addressed.add(index)
            read = lambda moment: moment.register(index)  # noqa: E731
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
        return read

    def _bracketed(self, size: int) -> _Read:
        opening = self._take("(", "[")
        if opening is None:
            raise self._error()
        self._brackets += opening == "["
        inner = self._xor()
        self._brackets -= opening == "["
        if not self._take(")" if opening == "(" else "]"):
            raise self._error()
        if opening == "(":
            return inner
        self._needs.loads.append((inner, size))
        return lambda moment: moment.load(inner(moment) & _ALL, size)

    def _sized(self) -> _Read:
        found = re.compile(r"\s*\(\s*(\w+)\s*(?:,\s*(\d+)\s*)?\)").match(self._text, self._at)
        if found is None:
            raise self._error()
        self._at, name = found.end(), found[1]
        otherwise = int(found[2]) if found[2] else None
        return lambda moment: moment.size_of(name, otherwise)

    def _chosen(self, choose: Callable[[int, int], int]) -> _Read:
        if not self._take("("):
            raise self._error()
        first = self._xor()
        if not self._take(","):
            raise self._error()
        second = self._xor()
        if not self._take(")"):
            raise self._error()
        return lambda moment: choose(first(moment), second(moment))

    def _error(self) -> ConfigError:
        rest = self._text[self._at :].strip()
        what = f"'{rest}' is not understood" if rest else "it ends too early"
        return ConfigError(f"'{self._text}' is no place of a number: {what}; {_SYNTAX}")


def _nothing(_moment: Moment) -> int:
    raise LookupError


def _divided(dividend: int, divisor: int) -> int:
    quotient, rest = divmod(dividend, divisor)
    if rest:
        raise LookupError
    return quotient


def _combined(operator: str, left: _Read, right: _Read) -> _Read:
    if operator == "+":
        return lambda moment: left(moment) + right(moment)
    if operator == "-":
        return lambda moment: left(moment) - right(moment)
    if operator == "*":
        return lambda moment: left(moment) * right(moment)
    if operator == "/":
        return lambda moment: _divided(left(moment), right(moment))
    if operator == "^":
        return lambda moment: left(moment) ^ right(moment)
    if operator == "<<":
        return lambda moment: left(moment) << (right(moment) & 63)
    return lambda moment: left(moment) >> (right(moment) & 63)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Value:
    return _Parser(text).value()
