"""Expressions and assignments from lark's parse tree; operators stand in flat rows there and find their order here."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeAlias

from lark import Token, Tree

from linker.errors import Diagnostic, Location, ScriptError
from linker.script.syntax import Assertion, Assignment, Binary, Call, Conditional, Expression, Name, Number, Unary

Node: TypeAlias = "Tree[Token] | Token | None"

_PRECEDENCE = {
    operator: level
    for level, operators in enumerate(("||", "&&", "|", "^", "&", "== !=", "< <= > >=", "<< >>", "+ -", "* / %"))
    for operator in operators.split()
}
_ARGUMENTS = {
    "ABSOLUTE": (1, 1),
    "ALIGN": (1, 2),
    "BLOCK": (1, 1),
    "DATA_SEGMENT_ALIGN": (2, 2),
    "DATA_SEGMENT_END": (1, 1),
    "DATA_SEGMENT_RELRO_END": (2, 2),
    "LOG2CEIL": (1, 1),
    "MAX": (2, 2),
    "MIN": (2, 2),
    "NEXT": (1, 1),
}
_SUFFIXES = {letter: base for letters, base in (("hHxX", 16), ("oO", 8), ("bB", 2), ("dD", 10)) for letter in letters}
_DIGITS = 1000
_WORD = 0xFFFF_FFFF_FFFF_FFFF
_MAX_DEPTH = 200
"""Of nested expressions; deeper ones are no program's."""


@dataclass(frozen=True, slots=True)
class Source:
    """The file that a tree came from, for messages."""

    name: str
    lines: list[str]


def unquote(token: str) -> str:
    """A name without its double quotes."""
    return token[1:-1] if token.startswith('"') else token


def tokens_of(node: Node) -> list[Token]:
    """All tokens below a node, in order."""
    found: list[Token] = []
    waiting: list[Node] = [node]
    while waiting:  # not recursive: a script may nest as deeply as it likes
        item = waiting.pop()
        if isinstance(item, Token):
            found.append(item)
        elif item is not None:
            waiting += reversed(item.children)
    return found


class ExpressionBuilder:
    """Builds expressions of one file."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.depth = 0

    # Places and words

    def location(self, node: Node) -> Location:
        """The place of the first token below a node."""
        token = next(iter(tokens_of(node)), None)
        if token is None or token.line is None:
            return Location(self.source.name)
        return Location(self.source.name, token.line, token.column or 0, self.source.lines[token.line - 1])

    def error(self, message: str, node: Node, hint: str = "") -> ScriptError:
        """An error at a node."""
        return ScriptError([Diagnostic(message, self.location(node), hint=hint)])

    def word(self, node: Node) -> str:
        """The text of a `word` or `symbol`."""
        return unquote(str(tokens_of(node)[0]))

    def words(self, nodes: "Sequence[Node]") -> list[str]:
        """The texts of all names below some nodes."""
        return [unquote(str(token)) for node in nodes for token in tokens_of(node) if token.type in ("NAME", "STRING")]

    # Assignments and expressions

    def assignment(self, node: "Tree[Token]") -> Assignment:
        """A plain assignment, or one that combines."""
        target, operation, value = node.children
        symbol = self.word(target)
        expression = self.expression(value)
        if len(str(operation)) > 1:
            where = self.location(target)
            expression = Binary(str(operation)[:-1], Name(symbol, where), expression, where)
        return Assignment(symbol, expression, self.location(target))

    def provision(self, node: "Tree[Token]") -> Assignment:
        """PROVIDE, PROVIDE_HIDDEN or HIDDEN."""
        keyword, symbol, _, value = node.children
        word = str(tokens_of(keyword)[0])
        return Assignment(
            self.word(symbol),
            self.expression(value),
            self.location(symbol),
            provide=word.startswith("PROVIDE"),
            hidden=word.endswith("HIDDEN"),
        )

    def assertion(self, node: "Tree[Token]") -> Assertion:
        """ASSERT."""
        condition, message = node.children
        return Assertion(self.expression(condition), unquote(str(message)), self.location(node))

    def expression(self, node: Node) -> Expression:
        """An expression. Raises ScriptError."""
        assert isinstance(node, Tree)
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.error(f"an expression nested more than {_MAX_DEPTH} deep", node)
        try:
            return self.operand(node)
        finally:
            self.depth -= 1

    def operand(self, node: "Tree[Token]") -> Expression:
        """One operand, or a row of them."""
        children = node.children
        match str(node.data):
            case "expression":
                return self.operator_row(node)
            case "number":
                return Number(self.number(children[0]), str(children[0]))
            case "name":
                return self.name(children[0])
            case "unary":
                return Unary(str(children[0]), self.expression(children[1]))
            case "assertion":
                return self.assertion(node)
            case "word_call":
                return Call(str(tokens_of(children[0])[0]), self.location(node), word=self.word(children[1]))
            case "segment_start":
                return Call(
                    "SEGMENT_START", self.location(node), (self.expression(children[1]),), self.word(children[0])
                )
        return self.call(node)

    def name(self, token: Node) -> Expression:
        """A symbol."""
        text = self.word(token)
        if text == "SIZEOF_HEADERS":
            return Call(text, self.location(token))
        return Name(text, self.location(token))

    def call(self, node: "Tree[Token]") -> Call:
        """A call of a built-in function with expressions as arguments."""
        name = self.word(node.children[0])
        if name not in _ARGUMENTS:
            known = ", ".join(sorted([*_ARGUMENTS, "ADDR", "LOADADDR", "SIZEOF"]))
            raise self.error(f"there is no built-in function '{name}'", node, f"there are {known} ...")
        arguments = tuple(self.expression(child) for child in node.children[1:])
        least, most = _ARGUMENTS[name]
        if not least <= len(arguments) <= most:
            expected = f"{least}" if least == most else f"{least} or {most}"
            raise self.error(f"{name} takes {expected} argument{'s' * (most > 1)}, not {len(arguments)}", node)
        return Call(name, self.location(node), arguments)

    def number(self, token: Node) -> int:
        """The value of a number, with its suffix; GNU ld ends it where a digit is none of its base."""
        text = str(token)
        scale = {"k": 1 << 10, "m": 1 << 20}.get(text[-1].lower(), 1)
        digits = text[:-1] if scale > 1 else text
        if digits[0] == "$":
            digits, base = digits[1:], 16
        elif digits[:2] in ("0x", "0X"):
            digits, base = digits[2:], 16
        elif digits[-1] in _SUFFIXES:
            digits, base = digits[:-1], _SUFFIXES[digits[-1]]
        else:
            base = 8 if digits[0] == "0" else 10
        # as bfd_scan_vma reads it: up to the first digit that the base lacks
        valid = "".join(takewhile(lambda digit: int(digit, 16) < base, digits))
        # only the last 64 bits of the number count: Python reads no decimal of more than some thousand digits
        value = 0
        for begin in range(0, len(valid), _DIGITS):
            part = valid[begin : begin + _DIGITS]
            value = (value * base ** len(part) + int(part, base)) & _WORD
        return value * scale & _WORD

    def operator_row(self, node: "Tree[Token]") -> Expression:
        """Operands between operators, by precedence climbing."""
        children: Sequence[Node] = node.children
        *row, then, otherwise = children
        condition, rest = self._climb(row, 0)
        assert not rest
        if then is None:
            return condition
        return Conditional(condition, self.expression(then), self.expression(otherwise))

    def _climb(self, row: Sequence[Node], level: int) -> tuple[Expression, Sequence[Node]]:
        """The operators at the row's beginning that bind at least as tightly as the level; and what is left."""
        left = self.expression(row[0])
        row = row[1:]
        while row and _PRECEDENCE[str(row[0])] >= level:
            token = row[0]
            right, row = self._climb(row[1:], _PRECEDENCE[str(token)] + 1)
            left = Binary(str(token), left, right, self.location(token))
        return left, row
