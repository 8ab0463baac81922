"""Values of expressions: sums of a number, a symbol added and a symbol taken away, as far as they are known."""

from dataclasses import dataclass

from linker.assembler.expressions import OPERATIONS, UNARY_OPERATIONS, ExpressionError, wrap
from linker.assembler.program import Align, AsmSymbol, Binary, Expr, Fragment, Unary

_MAX_TERMS = 256
"""Symbols that one sum may have: more are a chain of definitions that grows with each step."""

_MAX_DEPTH = 230
"""Each level takes three of the thousand frames that Python allows."""


@dataclass(frozen=True, slots=True)
class Linear:
    """`constant` plus the symbols in `added` minus those in `removed`."""

    constant: int
    added: tuple[AsmSymbol, ...] = ()
    removed: tuple[AsmSymbol, ...] = ()

    @property
    def is_constant(self) -> bool:
        """Whether no symbol is left."""
        return not self.added and not self.removed


class Evaluator:
    """Evaluates expressions; before layout only distances within runs of known bytes are known."""

    def __init__(self) -> None:
        self.laid_out = False
        self._depth = 0
        self._values: dict[AsmSymbol, Linear | None] = {}
        """Of equated symbols, within one evaluation: what several terms share is computed once."""
        self._places: dict[AsmSymbol, tuple[Fragment, int]] = {}
        """Of equated symbols, as soon as known: a symbol that is set again is another one, so this stays."""

    def known(self, expression: Expr) -> int | None:
        """The number that an expression is; None while that is not known.

        Raises:
            ExpressionError: it can never have a value (division by zero, a symbol defined by itself).

        """
        if isinstance(expression, int):
            return expression
        value = self.linear(expression)
        return value.constant if value is not None and value.is_constant else None

    def linear(self, expression: Expr, *, fold: bool = True) -> Linear | None:
        """An expression as a sum; None when it is none, or not yet.

        With `fold`, the distance between two places of one section becomes a number.
        """
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._depth = 0
            raise ExpressionError("the expression refers to itself, or is nested too deeply")
        try:
            match expression:
                case int():
                    return Linear(expression)
                case AsmSymbol():
                    return self._symbol(expression)
                case Unary():
                    return self._unary(expression, fold)
                case Binary():
                    return self._binary(expression, fold)
        finally:
            self._depth = max(self._depth - 1, 0)
            if not self._depth:
                self._values.clear()

    def _symbol(self, symbol: AsmSymbol) -> Linear | None:
        if symbol.expression is None:
            return Linear(0, (symbol,))
        if isinstance(symbol.expression, int):
            return Linear(symbol.expression)
        if symbol not in self._values:
            self._values[symbol] = self._equated(symbol, symbol.expression)
        return self._values[symbol]

    def _equated(self, symbol: AsmSymbol, expression: Expr) -> Linear | None:
        value = self.linear(expression)
        if value is None or value.is_constant or value.removed:
            return value
        place = self.place(value.added[0]) if len(value.added) == 1 else None
        if place is None:
            return value
        # a name for a place in a section is referred to by that name, one for an undefined symbol is not
        self._places[symbol] = place[0], place[1] + value.constant
        return value if symbol.replaced else Linear(0, (symbol,))

    def _unary(self, expression: Unary, fold: bool) -> Linear | None:
        value = self.linear(expression.operand, fold=fold)
        if value is None:
            return None
        if expression.operator == "-":
            return Linear(wrap(-value.constant), value.removed, value.added)
        value = self._cancel(value, fold=True)
        return Linear(wrap(UNARY_OPERATIONS[expression.operator](value.constant))) if value.is_constant else None

    def _binary(self, expression: Binary, fold: bool) -> Linear | None:
        additive = expression.operator in "+-"
        left = self.linear(expression.left, fold=fold or not additive)
        right = self.linear(expression.right, fold=fold or not additive)
        if left is None or right is None:
            return None
        operator = expression.operator
        if operator == "+":
            result = Linear(
                wrap(left.constant + right.constant), left.added + right.added, left.removed + right.removed
            )
            return self._cancel(result, fold)
        if operator == "-":
            result = Linear(
                wrap(left.constant - right.constant), left.added + right.removed, left.removed + right.added
            )
            return self._cancel(result, fold)
        if left.is_constant and right.is_constant:
            return Linear(wrap(OPERATIONS[operator](wrap(left.constant), wrap(right.constant))))
        if operator in ("==", "!=", "<>", "<", ">", "<=", ">="):
            difference = self._cancel(
                Linear(left.constant - right.constant, left.added + right.removed, left.removed + right.added),
                fold=True,
            )
            if difference.is_constant:
                return Linear(OPERATIONS[operator](difference.constant, 0))
        return None

    def _cancel(self, value: Linear, fold: bool) -> Linear:
        """Take out pairs of an added and a removed symbol whose distance is known."""
        if len(value.added) + len(value.removed) > _MAX_TERMS:
            raise ExpressionError(f"a sum of more than {_MAX_TERMS} symbols")
        if not value.added or not value.removed:
            return value
        constant = value.constant
        added, removed = list(value.added), list(value.removed)
        if not fold and len(added) == 1 and len(removed) == 1 and added[0] is not removed[0]:
            return value
        for plus in tuple(added):
            for minus in removed:
                distance = 0 if plus is minus else self.distance(plus, minus)
                if distance is not None:
                    constant += distance
                    added.remove(plus)
                    removed.remove(minus)
                    break
        return Linear(wrap(constant), tuple(added), tuple(removed))

    def place(self, symbol: AsmSymbol) -> tuple[Fragment, int] | None:
        """The fragment and the offset in it of a symbol that stands in a section; None for others."""
        if symbol.fragment is not None:
            return symbol.fragment, symbol.offset
        if symbol.expression is None or isinstance(symbol.expression, int):
            return None
        if symbol not in self._places:
            self.linear(symbol)
        return self._places.get(symbol)

    def distance(self, plus: AsmSymbol, minus: AsmSymbol) -> int | None:
        """How far the first symbol lies behind the second; None when that is not known."""
        first, second = self.place(plus), self.place(minus)
        if first is None or second is None or first[0].section is not second[0].section:
            return None
        if first[0] is second[0]:
            return first[1] - second[1]
        if self.laid_out:
            return first[0].address + first[1] - second[0].address - second[1]
        if first[0].subsection != second[0].subsection:
            return None
        if first[0].index < second[0].index:
            between = _known_distance(first[0], second[0])
            return None if between is None else first[1] - second[1] - between
        between = _known_distance(second[0], first[0])
        return None if between is None else between + first[1] - second[1]


def _known_distance(start: Fragment, end: Fragment) -> int | None:
    """Bytes from the start of one fragment to the start of a later one, when nothing between them can change."""
    total = 0
    fragments = start.section.subsections[start.subsection]
    for index in range(start.index, end.index):
        fragment = fragments[index]
        total += len(fragment.data)
        if isinstance(fragment.tail, Align) and fragment.tail.alignment == 1:
            continue
        if fragment.tail is not None:
            return None
    return total
