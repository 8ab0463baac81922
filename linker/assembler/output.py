"""Makes the object file: lays out the sections, writes them, and gathers symbols, groups and attributes."""

from linker.assembler.dwarf import add_debug_sections
from linker.assembler.expressions import ExpressionError
from linker.assembler.fixups import PendingRelocation, SectionWriter
from linker.assembler.layout import MAX_SIZE, Layout
from linker.assembler.program import FAKE_LABEL, AsmSymbol, Binary, SectionBuilder
from linker.assembler.state import Assembly
from linker.objects import leb128
from linker.objects.model import (
    Group,
    ObjectFile,
    Relocation,
    Section,
    SectionFlag,
    SectionType,
    Special,
    Symbol,
    SymbolBinding,
    SymbolType,
)

_FLOAT_ABI = {"d": 0x4, "f": 0x2}
_RVC = 0x1
_ARCH_TAG = 5
_PRIVILEGED_1_11 = {8: 1, 10: 11}
"""Tags and values for version 1.11 of the privileged manual, GNU's default."""


class ObjectBuilder:
    """Makes the object of an assembly whose source has been read."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._sections: dict[SectionBuilder, Section] = {}
        self._symbols: dict[AsmSymbol, Symbol] = {}
        self._section_symbols: dict[str, Symbol] = {}
        self._builder_symbols: dict[SectionBuilder, Symbol] = {}
        self._groups: dict[str, Group] = {}
        self._reported: set[str] = set()
        """Why symbols have no value, as far as told."""

    def build(self) -> ObjectFile:
        """The object.

        Raises:
            AssemblyError: something in the source has no value, or not a fitting one.

        """
        assembly = self._assembly
        for number, symbol in assembly.symbols.undefined_locals().items():
            assembly.diagnostics.error(f"there is no label '{number}:' after this line", symbol.mark, f"{number}f")
        builders = list(assembly.sections.values())
        assembly.evaluator.laid_out = True
        for _ in range(2):  # sizes may depend on distances in sections further on
            for builder in builders:
                Layout(builder, assembly.evaluator, assembly.diagnostics).run()
            assembly.diagnostics.raise_errors()
        self._check_sizes(builders)
        obj = ObjectFile(assembly.name, flags=self._flags())
        pending: list[tuple[Section, list[PendingRelocation]]] = []
        for builder in builders:
            writer = SectionWriter(assembly, builder)
            writer.write()
            section = self._section(builder, writer)
            obj.sections.append(section)
            pending.append((section, writer.relocations))
        self._link_orders()
        self._make_symbols(obj)
        assembly.diagnostics.raise_errors()
        for section, relocations in pending:
            section.relocations = [
                Relocation(r.offset, r.type, self._relocated(r.symbol), r.addend) for r in relocations
            ]
        add_debug_sections(assembly, obj, self._sections, self._builder_symbols)
        obj.sections.append(self._attributes())
        return obj

    def _relocated(self, symbol: AsmSymbol | SectionBuilder | None) -> Symbol | None:
        if symbol is None:
            return None
        return self._symbols[symbol] if isinstance(symbol, AsmSymbol) else self._builder_symbols[symbol]

    def _check_sizes(self, builders: list[SectionBuilder]) -> None:
        """Refuse what would only fill the memory of the machine that assembles it."""
        for builder in builders:
            padding = -builder.size % builder.align if builder.is_code else 0  # code ends at its alignment
            size = builder.size + padding
            if not builder.is_nobits and size > MAX_SIZE:
                message = f"section {builder.name!r} would have {size} bytes; at most {MAX_SIZE} are sensible"
                if padding > builder.size:
                    message += f" (code is padded to its alignment of {builder.align})"
                self._assembly.diagnostics.error(message, None)
        self._assembly.diagnostics.raise_errors()

    def _flags(self) -> int:
        isa = self._assembly.modes.isa.extensions
        abi = next((flag for extension, flag in _FLOAT_ABI.items() if extension in isa), 0)
        return abi | (_RVC if self._assembly.ever_compressed else 0)

    def _section(self, builder: SectionBuilder, writer: SectionWriter) -> Section:
        section = Section(builder.name, builder.type, builder.flags, builder.align, builder.entry_size, writer.data)
        if builder.is_nobits:
            section.nobits_size = builder.size
        if builder.group is not None:
            section.group = self._group(builder.group, comdat=builder.comdat)
        self._sections[builder] = section
        symbol = Symbol(builder.name, section, type=SymbolType.SECTION)
        self._builder_symbols[builder] = symbol
        self._section_symbols.setdefault(builder.name, symbol)
        return section

    def _group(self, signature: str, *, comdat: bool) -> Group:
        group = self._groups.get(signature)
        if group is None:
            group = self._groups[signature] = Group(Symbol(signature), comdat)
        return group

    def _link_orders(self) -> None:
        first = self._assembly.first_sections
        for builder, section in self._sections.items():
            if builder.link_order is None:
                continue
            symbol = self._assembly.symbols.names.get(builder.link_order)
            if builder.link_order in first:
                section.link_order = self._sections[first[builder.link_order]]
            elif symbol is not None and symbol.fragment is not None:
                section.link_order = self._sections[symbol.fragment.section]
            else:
                message = (
                    f"section {builder.name!r} is to follow {builder.link_order!r}, which is neither section nor symbol"
                )
                self._assembly.diagnostics.error(message, None)

    # Symbols

    def _make_symbols(self, obj: ObjectFile) -> None:
        if self._assembly.source_file:
            obj.symbols.append(Symbol(self._assembly.source_file, Special.ABSOLUTE, type=SymbolType.FILE))
        obj.symbols += self._builder_symbols.values()
        others: list[Symbol] = []
        for symbol in self._assembly.symbols.order:
            if not self._is_written(symbol):
                continue
            made = self._section_symbols.get(symbol.name) if not symbol.is_defined else None
            if made is None:
                made = self._symbol(symbol)
                (obj.symbols if made.binding is SymbolBinding.LOCAL else others).append(made)
            self._symbols[symbol] = made
        obj.symbols += others
        for signature, group in self._groups.items():
            named = self._assembly.symbols.names.get(signature)
            if named is not None and named in self._symbols:
                group.signature = self._symbols[named]

    def _is_written(self, symbol: AsmSymbol) -> bool:
        if symbol.relocated:
            return True
        if symbol.replaced or symbol.name == FAKE_LABEL:
            return False
        if symbol.is_temporary and symbol.binding is None:
            return False
        if not symbol.is_defined:
            return symbol.mentioned and symbol.binding is not SymbolBinding.WEAK
        if symbol.expression is not None and not isinstance(symbol.expression, int):
            return self._has_value(symbol)
        return True

    def _has_value(self, symbol: AsmSymbol) -> bool:
        """Whether an equated symbol has a place or a number; another name for an undefined symbol has none."""
        assert symbol.expression is not None
        try:
            value = self._assembly.evaluator.linear(symbol.expression)
        except ExpressionError as error:
            if str(error) not in self._reported:  # the symbols that are made of this one fail as it does
                self._assembly.diagnostics.error(f"the value of {symbol.name!r}: {error}", symbol.mark, symbol.name)
            self._reported.add(str(error))
            return False
        if value is not None and value.is_constant:
            return True
        if value is not None and len(value.added) == 1 and not value.removed:
            return self._assembly.evaluator.place(value.added[0]) is not None
        self._assembly.diagnostics.error(
            f"the value of {symbol.name!r} is neither a number nor a place", symbol.mark, symbol.name
        )
        return False

    def _symbol(self, symbol: AsmSymbol) -> Symbol:
        binding = symbol.binding
        made = Symbol(symbol.name, type=symbol.type, visibility=symbol.visibility)
        made.location = symbol.mark.location(symbol.name) if symbol.mark else None
        place = self._assembly.evaluator.place(symbol)
        if place is not None:
            made.section = self._sections[place[0].section]
            made.value = place[0].address + place[1]
            if self._is_indirect(symbol):
                made.type = SymbolType.GNU_IFUNC
            if made.section.flags & SectionFlag.TLS:
                made.type = SymbolType.TLS
        elif symbol.expression is not None:
            made.section = Special.ABSOLUTE
            made.value = (self._assembly.evaluator.known(symbol.expression) or 0) & (1 << 64) - 1
        elif symbol.common is not None:
            made.section = Special.COMMON
            made.value = symbol.common[1]
            binding = binding or SymbolBinding.GLOBAL
        elif binding is None or binding is SymbolBinding.LOCAL:
            binding = SymbolBinding.GLOBAL if symbol.mentioned else SymbolBinding.WEAK
        made.binding = SymbolBinding.LOCAL if binding is None else binding
        made.size = self._size(symbol)
        return made

    @staticmethod
    def _is_indirect(symbol: AsmSymbol) -> bool:
        """Whether a symbol is another name of an indirect function."""
        expression = symbol.expression
        while isinstance(expression, Binary):
            expression = expression.left
        return isinstance(expression, AsmSymbol) and expression.type is SymbolType.GNU_IFUNC

    def _size(self, symbol: AsmSymbol) -> int:
        if symbol.size is None:
            return 0
        try:
            size = self._assembly.evaluator.known(symbol.size)
        except ExpressionError:
            size = None
        if size is None:
            self._assembly.diagnostics.error(f"the size of {symbol.name!r} is not a constant", symbol.mark, symbol.name)
            return 0
        return size & (1 << 64) - 1

    # Attributes

    def _attributes(self) -> Section:
        """`.riscv.attributes` (psABI, "Attributes"): the instruction set, and what `.attribute` gave."""
        values: dict[int, int | str] = {_ARCH_TAG: self._assembly.modes.isa.attribute}
        if self._assembly.uses_privileged:
            values |= _PRIVILEGED_1_11
        values |= self._assembly.attributes
        body = b""
        for tag in sorted(values):
            value = values[tag]
            if value == 0:
                continue  # what is not named is 0
            body += leb128.written(tag, signed=False)
            body += leb128.written(value, signed=False) if isinstance(value, int) else value.encode() + b"\0"
        # one sub-section of file scope (tag 1) in the vendor's section
        file_scope = b"\x01" + (len(body) + 5).to_bytes(4, "little") + body
        vendor = b"riscv\0"
        content = b"A" + (len(vendor) + len(file_scope) + 4).to_bytes(4, "little") + vendor + file_scope
        return Section(".riscv.attributes", SectionType.RISCV_ATTRIBUTES, 0, 1, 0, bytearray(content))
