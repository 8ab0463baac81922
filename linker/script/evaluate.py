"""Evaluates script expressions as GNU ld does: a value is a number, an address, or relative to an output section."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from linker.errors import Diagnostic
from linker.script.syntax import Assertion, Binary, Call, Conditional, Expression, Name, Number, Unary

if TYPE_CHECKING:
    from linker.errors import Location
    from linker.parts.placed import Placed

    class OutputSection(Placed, Protocol):
        """What expressions ask of an output section."""

        created: bool
        vma_known: bool
        lma_known: bool
        old_size: int

        @property
        def load_address(self) -> Expression | None:
            """Of AT(...)."""
            ...


WORD = 0xFFFF_FFFF_FFFF_FFFF
_SIGN = 1 << 63


class Kind(Enum):
    """What a value is that belongs to no output section."""

    NUMBER = "number"
    ABSOLUTE = "absolute"


class Based(Protocol):
    """What a value can be relative to."""

    @property
    def vma(self) -> int:
        """Its address in the running program."""
        ...


class Value(NamedTuple):
    """A 64-bit value and what it is relative to."""

    value: int
    base: Kind | Based = Kind.NUMBER

    @property
    def absolute(self) -> int:
        """As an address."""
        if isinstance(self.base, Kind):
            return self.value
        return (self.value + self.base.vma) & WORD


class Environment(Protocol):
    """What expressions can ask for. A value of None is not known in this pass."""

    dot: int
    from_dot: bool
    """Set when an expression takes an address from its place in the script."""

    @property
    def section(self) -> Placed | None:
        """The output section whose contents are laid out; None between sections."""
        ...

    @property
    def final(self) -> bool:
        """Whether this is the last pass: what is unknown now is an error."""
        ...

    @property
    def placeless(self) -> bool:
        """Whether this is the first pass: nothing has a place yet."""
        ...

    def symbol(self, name: str) -> Value | None:
        """The value of a symbol."""
        ...

    def is_defined(self, name: str) -> bool:
        """Whether DEFINED holds."""
        ...

    def output_section(self, name: str) -> OutputSection | None:
        """An output section by name."""
        ...

    def region(self, name: str) -> tuple[int, int] | None:
        """Origin and length of a memory region."""
        ...

    def constant(self, name: str) -> int | None:
        """A CONSTANT."""
        ...

    def header_size(self) -> int:
        """SIZEOF_HEADERS."""
        ...

    def segment_start(self, name: str) -> int | None:
        """What the command line gave for SEGMENT_START."""
        ...

    def data_segment(self, function: str, arguments: tuple[int, ...]) -> int | None:
        """The value of a DATA_SEGMENT_ function."""
        ...

    def mentioned(self) -> int:
        """How many symbols the expression has mentioned so far."""
        ...

    def forget_mentions(self, count: int) -> None:
        """Those behind that many do not make the value."""
        ...

    def report(self, diagnostic: Diagnostic) -> None:
        """Note an error."""
        ...


def align_up(value: int, alignment: int) -> int:
    """The next multiple; an alignment of 0 or 1 changes nothing (GNU ld, align_n)."""
    if alignment <= 1:
        return value
    return -(-value // alignment) * alignment & WORD


def evaluate(expression: Expression | None, env: Environment) -> Value | None:
    """The value of an expression; None when it is not known (yet). Errors are reported to the environment."""
    match expression:
        case Number(value=value):
            return Value(value, Kind.ABSOLUTE if env.section is None else Kind.NUMBER)
        case Name():
            return _name(expression, env)
        case Unary(operator=operator, operand=operand):
            return _unary(operator, evaluate(operand, env))
        case Binary():
            return _binary(expression, env)
        case Conditional():
            mentioned = env.mentioned()
            condition = evaluate(expression.condition, env)
            env.forget_mentions(mentioned)
            if condition is None:
                return None
            return evaluate(expression.then if condition.value else expression.otherwise, env)
        case Call():
            return _call(expression, env)
        case Assertion():
            return check(expression, env)
    return None


def check(assertion: Assertion, env: Environment) -> Value | None:
    """Evaluate ASSERT; in the last pass report that it does not hold."""
    value = evaluate(assertion.condition, env)
    if env.final and value is not None and not value.value:
        env.report(Diagnostic(f"assertion failed: {assertion.message}", assertion.location))
    return value


def relative(address: int, env: Environment) -> Value:
    """An address as expressions see it at this place: relative to the section that is being laid out."""
    env.from_dot = True
    if env.section is None:
        return Value(address & WORD, Kind.ABSOLUTE)
    return Value((address - env.section.vma) & WORD, env.section)


def _name(name: Name, env: Environment) -> Value | None:
    if name.name == ".":
        return relative(env.dot, env)
    value = env.symbol(name.name)
    if value is None and env.final:
        env.report(Diagnostic(f"undefined symbol '{name.name}' in an expression", name.location))
    return value


def _unary(operator: str, value: Value | None) -> Value | None:
    if value is None:
        return None
    if operator == "!":
        return Value(int(not value.value), value.base)
    if operator == "~":
        return Value(~value.value & WORD, value.base)
    if operator == "-":
        return Value(-value.value & WORD, value.base)
    return value


def signed(value: int) -> int:
    """A 64-bit word as a signed number."""
    return value - (1 << 64) if value & _SIGN else value


def _divide(left: int, right: int) -> int:
    quotient = abs(signed(left)) // abs(signed(right))
    return quotient if (signed(left) < 0) == (signed(right) < 0) else -quotient


_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": lambda a, b: signed(a) - _divide(a, b) * signed(b),
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "<<": lambda a, b: a << b if b < 64 else 0,
    ">>": lambda a, b: a >> b if b < 64 else 0,
}
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "&&": lambda a, b: bool(a and b),
    "||": lambda a, b: bool(a or b),
}


class _Pair(NamedTuple):
    """Two operands brought to a common base (GNU ld, fold_binary)."""

    left: int
    right: int
    base: Kind | Based
    both: bool
    """Whether both operands had that base, so that a difference of them has none."""


def _pair(left: Value, right: Value, env: Environment) -> _Pair:
    if left.base is right.base:
        return _Pair(left.value, right.value, left.base, both=True)
    if left.base is not Kind.NUMBER and right.base is not Kind.NUMBER:
        env.from_dot = False
        return _Pair(left.absolute, right.absolute, Kind.ABSOLUTE, both=True)
    base = left.base if right.base is Kind.NUMBER else right.base
    return _Pair(left.value, right.value, base, both=False)


def _binary(expression: Binary, env: Environment) -> Value | None:
    left, right = evaluate(expression.left, env), evaluate(expression.right, env)
    if left is None or right is None:
        return None
    pair = _pair(left, right, env)
    operator = expression.operator
    if operator in _COMPARISONS:
        return Value(int(_COMPARISONS[operator](pair.left, pair.right)))
    if operator in "/%" and not pair.right:
        if env.final:
            env.report(Diagnostic("division by zero", expression.location))
        return None
    base = pair.base
    if pair.both:
        base = Kind.ABSOLUTE if env.section is None else Kind.NUMBER
    return Value(_ARITHMETIC[operator](pair.left, pair.right) & WORD, base)


def _call(call: Call, env: Environment) -> Value | None:
    if call.word and call.function != "SEGMENT_START":
        return _word_call(call, env)
    if call.function == "SIZEOF_HEADERS":
        size = env.header_size()
        return None if env.placeless else Value(size)
    values = [evaluate(argument, env) for argument in call.arguments]
    if call.function == "SEGMENT_START":
        start = env.segment_start(call.word)
        if start is None and values[0] is not None:
            start = values[0].value
        return None if start is None else relative(start, env)
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return _builtin(call, known, env)


def _builtin(call: Call, values: list[Value], env: Environment) -> Value | None:
    first = values[0]
    match call.function:
        case "ABSOLUTE":
            env.from_dot = False
            return Value(first.absolute, Kind.ABSOLUTE)
        case "ALIGN" | "BLOCK" | "NEXT" if len(values) == 1 and env.placeless:
            return None
        case "ALIGN" | "BLOCK" if len(values) == 1:
            return relative(align_up(env.dot, first.value), env)
        case "NEXT":
            env.from_dot = False
            return Value(align_up(env.dot, first.absolute), Kind.ABSOLUTE)
        case "LOG2CEIL":
            return Value(max(first.value - 1, 0).bit_length())
        case "ALIGN" | "MAX" | "MIN":
            pair = _pair(first, values[1], env)
            function = _PAIRED[call.function]
            return Value(function(pair.left, pair.right) & WORD, pair.base)
    if env.section is not None:
        env.report(Diagnostic(f"{call.function} stands inside an output section", call.location))
        return None
    result = env.data_segment(call.function, tuple(value.absolute for value in values))
    return None if result is None else Value(result, Kind.ABSOLUTE)


_PAIRED: dict[str, Callable[[int, int], int]] = {"ALIGN": align_up, "MAX": max, "MIN": min}


def _word_call(call: Call, env: Environment) -> Value | None:
    if call.function == "DEFINED":
        return Value(int(env.is_defined(call.word)))
    if call.function == "CONSTANT":
        constant = env.constant(call.word)
        if constant is None:
            env.report(_unknown(f"constant '{call.word}'", call.location, "MAXPAGESIZE or COMMONPAGESIZE"))
            return None
        return Value(constant)
    if call.function in ("ORIGIN", "LENGTH"):
        region = env.region(call.word)
        if region is None:
            env.report(_unknown(f"memory region '{call.word}'", call.location, "MEMORY declares regions"))
            return None
        return Value(region[1]) if call.function == "LENGTH" else relative(region[0], env)
    if env.placeless:
        return None
    section = env.output_section(call.word)
    if section is None:
        if env.final:
            env.report(_unknown(f"output section '{call.word}'", call.location, ""))
        return Value(0) if call.function in ("SIZEOF", "ALIGNOF") else None
    return _section_call(call.function, section, env)


def _section_call(function: str, section: OutputSection, env: Environment) -> Value | None:
    match function:
        case "LOADADDR":
            if not section.lma_known:
                return None
            if section.load_address is None:
                return Value(section.lma, Kind.ABSOLUTE)
            value = evaluate(section.load_address, env)
            env.from_dot = False
            return None if value is None else Value(value.absolute, Kind.ABSOLUTE)
        case "ADDR":
            return Value(0, section) if section.vma_known else None
    if not section.created:
        return Value(0)
    if function == "ALIGNOF":
        return Value(section.align)
    return Value(section.size if section.vma_known else section.old_size)


def _unknown(what: str, location: Location, hint: str) -> Diagnostic:
    return Diagnostic(f"there is no {what}", location, hint=hint)
