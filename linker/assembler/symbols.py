"""The table of symbols, which knows what a name means now."""

from linker.assembler.program import FAKE_LABEL, AsmSymbol, Fragment
from linker.assembler.source import Mark


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

    def unnamed(self, fragment: Fragment, offset: int) -> AsmSymbol:
        """A place without a name."""
        symbol = AsmSymbol(FAKE_LABEL, fragment, offset)
        self.order.append(symbol)
        return symbol

    def define_local(self, number: int, fragment: Fragment, offset: int, mark: Mark) -> AsmSymbol:
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
