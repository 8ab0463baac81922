"""The executable's symbol table: locals of each file, then what is global."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linker.objects.model import Section, Special, SymbolBinding, SymbolType, SymbolVisibility
from linker.output.elf import OutputSymbol
from linker.parts.order import table_order
from linker.parts.sections import OutputSection
from linker.parts.symbols import place_of

if TYPE_CHECKING:
    from linker.layout.scope import Scope
    from linker.objects.model import Symbol
    from linker.options import LinkOptions
    from linker.parts.inputs import InputFile
    from linker.parts.placed import Placed
    from linker.parts.symbols import LinkSymbol, SymbolTable

_ABSOLUTE = int(Special.ABSOLUTE)


def output_symbols(
    table: SymbolTable, scope: Scope, live: list[OutputSection], options: LinkOptions
) -> list[OutputSymbol]:
    """All entries but the null one, locals first."""
    tls = next((section.vma for section in live if section.tls), 0)
    writer = _Writer(table, scope, live, options, tls)
    return writer.locals() + writer.globals()


class _Writer:
    def __init__(
        self, table: SymbolTable, scope: Scope, live: list[OutputSection], options: LinkOptions, tls_base: int
    ) -> None:
        self.table = table
        self.scope = scope
        self.live = live
        self.options = options
        self.tls_base = tls_base

    def locals(self) -> list[OutputSymbol]:
        result = [
            OutputSymbol("", section.vma, type=SymbolType.SECTION, section_index=section.index) for section in self.live
        ]
        if not self.options.discard_locals:
            for file in self.table.files:
                result += self._file_locals(file)
        for name in table_order(self.table.names):
            entry = self.table.names[name]
            if _is_local(entry):
                result += self._global(entry, SymbolBinding.LOCAL)
        return result

    def _file_locals(self, file: InputFile) -> list[OutputSymbol]:
        result: list[OutputSymbol] = []
        pending: OutputSymbol | None = None
        for symbol in file.object.symbols:
            if symbol.binding != SymbolBinding.LOCAL or symbol.type == SymbolType.SECTION or not symbol.name:
                continue
            if symbol.type == SymbolType.FILE:
                pending = OutputSymbol(symbol.name, 0, type=SymbolType.FILE, section_index=_ABSOLUTE)
                continue
            entry = self._local(symbol)
            if entry is not None:
                if pending is not None:
                    result.append(pending)
                    pending = None
                result.append(entry)
        if pending is not None:
            result.append(pending)
        return result

    def _local(self, symbol: Symbol) -> OutputSymbol | None:
        if symbol.name.startswith(".L"):  # labels of a compiler, there for the linker only
            return None
        if not isinstance(symbol.section, Section):
            if symbol.section is not Special.ABSOLUTE:
                return None
            return OutputSymbol(symbol.name, symbol.value, symbol.size, 0, symbol.type, symbol.visibility, _ABSOLUTE)
        home = self.table.sections[symbol.section]
        if home.output is None or home.output.removed:
            return None
        value = place_of(home, symbol.value)
        size = home.moved(symbol.value + symbol.size) - home.moved(symbol.value) if home.deleted_at else symbol.size
        return OutputSymbol(
            symbol.name,
            self._value(value, symbol.type),
            size,
            SymbolBinding.LOCAL,
            symbol.type,
            symbol.visibility,
            home.output.index,
        )

    def globals(self) -> list[OutputSymbol]:
        result: list[OutputSymbol] = []
        for name in table_order(self.table.names):
            entry = self.table.names[name]
            if not _is_local(entry):
                binding = SymbolBinding.WEAK if entry.weak else SymbolBinding.GLOBAL
                result += self._global(entry, binding)
        return result

    def _global(self, entry: LinkSymbol, binding: SymbolBinding) -> list[OutputSymbol]:
        if not entry.defined:
            return [OutputSymbol(entry.name, 0, binding=SymbolBinding.GLOBAL)] if entry.wanted else []
        home = entry.home
        size, index = entry.size, _ABSOLUTE
        if home is None:
            anchor = self.scope.anchors.get(entry.name)
            if entry.name in self.scope.anchors:
                index = self._index_near(anchor)
        elif isinstance(home, OutputSection):
            index = home.index or self._index_near(self._nearby(home, entry.address))
        else:
            if home.output is None or home.ghost:
                return []
            index = home.output.index or self._index_near(self._nearby(home.output, entry.address))
            if home.deleted_at:
                size = home.moved(entry.value + size) - home.moved(entry.value)
        value = self._value(entry.address, entry.type)
        visibility = entry.visibility if binding != SymbolBinding.LOCAL else SymbolVisibility.DEFAULT
        return [OutputSymbol(entry.name, value, size, binding, entry.type, visibility, index)]

    def _value(self, address: int, kind: SymbolType) -> int:
        """Thread-local symbols count from the start of their segment."""
        return address - self.tls_base if kind == SymbolType.TLS else address

    def _nearby(self, section: Placed, address: int) -> OutputSection | None:
        """Where a symbol at an address of a section that was left out belongs (BFD, bfd_nearby_section)."""
        sections = self.scope.plan.order
        if not isinstance(section, OutputSection):
            return None
        position = sections.index(section)
        before = next((s for s in reversed(sections[:position]) if s.index), None)
        after = next((s for s in sections[position:] if s.index), None)
        if before is None or after is None:
            return before or after
        if (before.alloc, before.tls, before.load) != (after.alloc, after.tls, after.load):
            unlike = (after.alloc, after.tls) != (section.alloc, section.tls)
            return before if unlike or (before.load and not after.load) else after
        if before.read_only != after.read_only:
            return before if after.read_only != section.read_only else after
        if before.code != after.code:
            return before if after.code != section.code else after
        return before if address < after.vma else after

    def _index_near(self, section: OutputSection | None) -> int:
        if section is not None and section.index:
            return section.index
        first = self.live[0] if self.live else None
        return first.index if first is not None and first.alloc and not first.tls else _ABSOLUTE


def _is_local(entry: LinkSymbol) -> bool:
    """Symbols that the script hides are nobody else's business."""
    return entry.defined and entry.hidden
