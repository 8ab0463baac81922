"""Symbols while a source is being read, and the table that knows which one a name means now."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from linker.assembler.source import Mark
from linker.objects.model import SymbolBinding, SymbolType, SymbolVisibility

if TYPE_CHECKING:
    from linker.assembler.expressions import Expr
    from linker.assembler.sections import Fragment

FAKE_LABEL = ".L0 "
"""GNU's name for a place that the source gives no name, such as `.` in a jump."""


@dataclass(eq=False, slots=True)
class AsmSymbol:
    """A name and what it stands for so far: a place in a section, an expression, a common block, or nothing yet."""

    name: str
    fragment: "Fragment | None" = None
    offset: int = 0
    """Offset in the fragment."""
    expression: "Expr | None" = None
    common: "tuple[int, int] | None" = None
    """Size and alignment of a common block."""
    binding: SymbolBinding | None = None
    type: SymbolType = SymbolType.NOTYPE
    visibility: SymbolVisibility = SymbolVisibility.DEFAULT
    size: "Expr | None" = None
    mark: Mark | None = None
    """Where it was defined, or first mentioned."""
    weak_reference: "AsmSymbol | None" = None
    """The symbol that `.weakref` made this a name for."""
    mentioned: bool = False
    """The source names it in an expression or directive that makes it part of the object."""
    relocated: bool = False
    """A relocation refers to it."""
    replaced: bool = False
    """A later `.set` gave the name to another symbol."""

    @property
    def is_defined(self) -> bool:
        """Whether it has a place or a value."""
        return self.fragment is not None or self.expression is not None or self.common is not None

    def describe_as(self, other: "AsmSymbol") -> None:
        """Take type and size of a symbol that this becomes another name for, as far as they are known so far."""
        if not other.is_defined:
            return
        self.size = other.size
        if other.type is SymbolType.FUNC or (other.type is SymbolType.OBJECT and self.type is SymbolType.NOTYPE):
            self.type = other.type

    @property
    def is_temporary(self) -> bool:
        """Whether its name keeps it out of the symbol table unless a relocation needs it: for GNU, `.L` or a space."""
        return self.name.startswith(".L") or " " in self.name


class SymbolTable:
    """All symbols of a source by name, and its numeric labels."""

    def __init__(self) -> None:
        self.names: dict[str, AsmSymbol] = {}
        self.order: list[AsmSymbol] = []
        """Every symbol, unnamed and replaced ones too, in order of appearance."""
        self._instances: dict[int, int] = {}
        self._ahead: dict[int, AsmSymbol] = {}

    def find_or_make(self, name: str, mark: Mark | None) -> AsmSymbol:
        """The symbol that a name means now; a new undefined one when it means nothing yet."""
        symbol = self.names.get(name)
        if symbol is None:
            symbol = self.names[name] = AsmSymbol(name, mark=mark)
            self.order.append(symbol)
        return symbol

    def replace(self, old: AsmSymbol) -> AsmSymbol:
        """A new symbol for the name, which keeps the old one's attributes; what was written before keeps its value."""
        new = AsmSymbol(old.name, binding=old.binding, type=old.type, visibility=old.visibility, size=old.size)
        new.mark, new.mentioned = old.mark, old.mentioned
        old.replaced = True
        self.names[old.name] = new
        self.order.append(new)
        return new

    def unnamed(self, fragment: "Fragment", offset: int) -> AsmSymbol:
        """A place without a name."""
        symbol = AsmSymbol(FAKE_LABEL, fragment, offset)
        self.order.append(symbol)
        return symbol

    def define_local(self, number: int, fragment: "Fragment", offset: int, mark: Mark) -> AsmSymbol:
        """Define the next instance of a numeric label."""
        instance = self._instances.get(number, 0) + 1
        self._instances[number] = instance
        symbol = self._ahead.pop(number, None) or self._make_local(number, instance)
        symbol.fragment, symbol.offset, symbol.mark = fragment, offset, mark
        return symbol

    def local(self, number: int, mark: Mark, *, forward: bool) -> AsmSymbol | None:
        """The numeric label `1f` or `1b`; None for a backward one that there is not."""
        instance = self._instances.get(number, 0)
        if forward:
            symbol = self._ahead.get(number)
            if symbol is None:
                symbol = self._ahead[number] = self._make_local(number, instance + 1)
                symbol.mark = mark
            return symbol
        return self.names.get(_local_name(number, instance)) if instance else None

    def undefined_locals(self) -> dict[int, AsmSymbol]:
        """Numeric labels that were jumped to forwards and never came."""
        return self._ahead

    def _make_local(self, number: int, instance: int) -> AsmSymbol:
        return self.find_or_make(_local_name(number, instance), None)


def _local_name(number: int, instance: int) -> str:
    # GNU's own spelling, with a control character that no source can write
    return f".L{number}\x02{instance}"
