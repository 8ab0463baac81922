"""The parser of expressions, with GNU's precedences (GNU as manual, "Expressions")."""

import re
from collections.abc import Callable
from typing import Protocol

from linker.assembler.program import Binary, Expr, Unary


class ExpressionError(Exception):
    """The text is not an expression, or has no value."""

    def __init__(self, message: str, text: str = "") -> None:
        super().__init__(message)
        self.text = text
        """The part of the line that is at fault."""


class SymbolSource(Protocol):
    """Whoever knows what a name stands for where the expression is written."""

    def reference(self, name: str) -> Expr:
        """A symbol, or its number when it is known to be absolute."""

    def local_reference(self, number: int, *, forward: bool) -> Expr:
        """The numeric label `1f` or `1b`."""

    def dot(self) -> Expr:
        """The current location."""


_SIGN = 1 << 63
_MASK = (1 << 64) - 1


def wrap(value: int) -> int:
    """A number as the signed 64-bit number that GNU computes with.

    >>> wrap(0xFFFF_FFFF_FFFF_FFFF), wrap(1 << 64)
    (-1, 0)
    """
    return ((value + _SIGN) & _MASK) - _SIGN


def _divide(left: int, right: int) -> int:
    if right == 0:
        raise ExpressionError("division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _shift_left(left: int, right: int) -> int:
    return left << right if 0 <= right < 64 else 0


def _shift_right(left: int, right: int) -> int:
    return (left & _MASK) >> right if 0 <= right < 64 else 0


OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": lambda a, b: a - b * _divide(a, b),
    "<<": _shift_left,
    ">>": _shift_right,
    "|": lambda a, b: a | b,
    "&": lambda a, b: a & b,
    "^": lambda a, b: a ^ b,
    "!": lambda a, b: a | ~b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "==": lambda a, b: -(a == b),
    "!=": lambda a, b: -(a != b),
    "<>": lambda a, b: -(a != b),
    "<": lambda a, b: -(a < b),
    ">": lambda a, b: -(a > b),
    "<=": lambda a, b: -(a <= b),
    ">=": lambda a, b: -(a >= b),
    "&&": lambda a, b: int(bool(a) and bool(b)),
    "||": lambda a, b: int(bool(a) or bool(b)),
}
"""What the infix operators compute; comparisons give -1 for true."""

UNARY_OPERATIONS: dict[str, Callable[[int], int]] = {
    "-": lambda a: -a,
    "~": lambda a: ~a,
    "!": lambda a: int(not a),
    "+": lambda a: a,
}

_PRECEDENCE = {
    operator: level
    for level, operators in enumerate(("||", "&&", "== != <> < > <= >=", "+ -", "| & ^ !", "* / % << >>"), 1)
    for operator in operators.split()
}
"""GNU as manual, "Infix Operators": unlike C, `|` and `&` bind closer than `+`, shifts as close as `*`."""

_ESCAPES = {"b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>0[xX][0-9a-fA-F]+|0[bB][01]+(?![\w.$])|\d+(?![\w.$]))
    | (?P<local>\d+[fb](?![\w.$]))
    | (?P<name>[A-Za-z_.$][\w.$]*)
    | (?P<operator><<|>>|<=|>=|==|!=|<>|&&|\|\||[-+*/%|&^!~<>()])
    | '(?P<char>\\[0-7]{1,3}|\\.|[^\\])'?
    | "(?P<quoted>(?:[^"\\]++|\\.)*+)"
    | (?P<other>.)
    )""",
    re.VERBOSE,
)
_PLAIN = re.compile(r"\s*(-?)(0[xX][0-9a-fA-F]{1,400}|0|[1-9]\d{0,400})\s*\Z")

_MAX_DEPTH = 200
_MAX_DIGITS = 400


def plain_number(text: str) -> int | None:
    """The number that a text is, when it is nothing else: the common case, without a parser."""
    match = _PLAIN.match(text)
    if match is None:
        return None
    value = int(match[2], 0)
    return -value if match[1] else value


def char_value(body: str) -> int:
    """The value of a character constant without its quotes; an escape counts as in a string."""
    if body[0] != "\\" or len(body) == 1:
        return ord(body[0])
    if body[1].isdigit():
        return int(body[1:], 8) & 0xFF
    return _ESCAPES.get(body[1], ord(body[1]))


class ExpressionParser:
    """Parses one expression; numbers are combined at once, symbols stay as a tree."""

    def __init__(self, symbols: SymbolSource) -> None:
        self._symbols = symbols
        self._text = ""
        self._position = 0
        self._kind: str | None = None
        self._value = ""
        self._depth = 0

    def parse(self, text: str) -> Expr:
        """Read a text that is one whole expression.

        Raises:
            ExpressionError: it is none, or more than one.

        """
        value = plain_number(text)
        if value is not None:
            return value
        result, rest = self.parse_prefix(text)
        if rest.strip():
            raise ExpressionError(f"unexpected {rest.strip().split()[0]!r} after an expression", rest.strip())
        return result

    def parse_prefix(self, text: str) -> tuple[Expr, str]:
        """Read an expression at the start of a text; also gives what follows it."""
        self._text = text
        self._position = 0
        self._depth = 0
        self._next()
        if self._kind is None:
            raise ExpressionError("an expression is missing")
        result = self._binary(1)
        return result, text[self._token_start :] if self._kind is not None else ""

    def _next(self) -> None:
        match = _TOKEN.match(self._text, self._position)
        if match is None or match.lastgroup is None:
            self._kind, self._value = None, ""
            self._token_start = len(self._text)
            return
        self._kind = match.lastgroup
        self._value = match[self._kind]
        self._token_start = match.start(self._kind) - (self._kind in ("char", "quoted"))
        self._position = match.end()

    def _binary(self, minimum: int) -> Expr:
        left = self._unary()
        while self._kind == "operator":
            operator = self._value
            level = _PRECEDENCE.get(operator, 0)
            if level < minimum:
                break
            self._next()
            right = self._binary(level + 1)
            left = combine(operator, left, right)
        return left

    def _unary(self) -> Expr:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ExpressionError("the expression is nested too deeply")
        try:
            if self._kind == "operator" and self._value in UNARY_OPERATIONS:
                operator = self._value
                self._next()
                operand = self._unary()
                if isinstance(operand, int):
                    return wrap(UNARY_OPERATIONS[operator](operand)) if abs(operand) < _MASK else -operand
                return operand if operator == "+" else Unary(operator, operand)
            return self._primary()
        finally:
            self._depth -= 1

    def _primary(self) -> Expr:
        kind, value = self._kind, self._value
        result: Expr
        match kind:
            case "number":
                result = _number(value)
            case "local" if len(value) > _MAX_DIGITS:
                raise ExpressionError("the number of this label is too large", value)
            case "local":
                result = self._symbols.local_reference(int(value[:-1]), forward=value[-1] == "f")
            case "name":
                result = self._symbols.dot() if value == "." else self._symbols.reference(value)
            case "char":
                result = char_value(value)
            case "quoted":
                result = self._symbols.reference(value)
            case "operator" if value == "(":
                self._next()
                result = self._binary(1)
                if self._value != ")":
                    raise ExpressionError("')' is missing", self._value)
            case None:
                raise ExpressionError("an operand is missing at the end of the expression")
            case _:
                raise ExpressionError(f"{value!r} cannot stand in an expression here", value)
        self._next()
        return result


def _number(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ExpressionError(f"a number of {len(text)} digits is too large", text)
    if len(text) > 1 and text[0] == "0" and text[1].isdigit():
        if not set(text) <= set("01234567"):
            raise ExpressionError(f"{text!r} is not an octal number, as its leading 0 says", text)
        return int(text, 8)
    return int(text, 0)


def combine(operator: str, left: Expr, right: Expr) -> Expr:
    """An operation, computed at once when both sides are numbers."""
    if isinstance(left, int) and isinstance(right, int):
        return wrap(OPERATIONS[operator](wrap(left), wrap(right)))
    match left:
        case Binary("+", inner, int(constant)) if operator in "+-" and isinstance(right, int):
            # x + 1 + 1 does not become a deep tree
            return Binary("+", inner, wrap(OPERATIONS[operator](constant, wrap(right))))
    return Binary(operator, left, right)
