"""The absolute section: offsets of structures, where labels are numbers and nothing is written."""

from linker.assembler.diagnostics import StatementError
from linker.assembler.program import Align, Expr, Fill, Fragment, Org, SectionBuilder, Tail
from linker.objects.model import SectionType


class AbsoluteSection:
    """What `.struct` and `.offset` begin (GNU as manual, ".struct expression")."""

    def __init__(self) -> None:
        self.builder = SectionBuilder("*ABS*", SectionType.NOBITS)
        self.fragment = self.builder.new_fragment(0)
        self._base = 0

    def start(self, offset: int) -> None:
        """Go to an offset."""
        self._base = offset
        self.fragment.data.clear()

    @property
    def offset(self) -> int:
        """Where the next label is."""
        return self._base + len(self.fragment.data)

    def settle(self) -> None:
        """Count what a statement wrote.

        Raises:
            StatementError: it is something else than zeros.

        """
        written = any(self.fragment.data)
        self.start(self.offset)
        if written:
            raise StatementError(
                "this stands in the absolute section, which holds no data, only offsets",
                hint="go to another section first, such as '.text'",
            )

    def tail(self, tail: Tail) -> Fragment:
        """Count a part whose size layout would decide elsewhere.

        Raises:
            StatementError: its size is not known here.

        """
        match tail:
            case Align():
                self.start(self.offset + -self.offset % tail.alignment)
            case Fill():
                self.start(self.offset + _number(tail.count) * len(tail.pattern))
            case Org():
                self.start(_number(tail.target))
            case _:
                raise StatementError("this stands in the absolute section, which holds no data, only offsets")
        return self.fragment


def _number(expression: Expr) -> int:
    if not isinstance(expression, int):
        raise StatementError("the absolute section needs numbers that are known here")
    return expression
