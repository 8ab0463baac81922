"""Joins the inputs into one object (`ld -r`): sections, symbols, and relocations for a later link to apply."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from linker.errors import Diagnostic, Location
from linker.objects.model import (
    Group,
    ObjectFile,
    Relocation,
    Section,
    SectionFlag,
    Special,
    Symbol,
    SymbolBinding,
    SymbolType,
    SymbolVisibility,
)
from linker.output.contents import fill_sections
from linker.parts.inputs import InputSection
from linker.parts.order import table_order
from linker.parts.sections import OutputSection
from linker.relocate.data import clear_field

if TYPE_CHECKING:
    from linker.layout.scope import Scope
    from linker.options import LinkOptions
    from linker.parts.inputs import InputFile
    from linker.parts.symbols import LinkSymbol, SymbolTable

Place: TypeAlias = "tuple[Section | Special, int]"
"""Where a symbol is in the output: a section and the offset in it, or the value of an absolute symbol."""

_DEBUG = (".debug", ".gnu.debuglto_.debug_", ".gnu.linkonce.wi.", ".line", ".stab", ".gdb_index")
_COMPILERS = (".L", "..", "_.L_")
"""Labels of compilers: they are kept when a relocation uses them."""
_MAY_LOSE = (".eh_frame", ".gcc_except_table", ".stab")
"""Sections that may refer to code that was left out, though they are part of the program."""


@dataclass(slots=True)
class Joiner:
    """Makes the object of a layout. The order of symbols and relocations is BFD's (elf_link_input_bfd)."""

    table: SymbolTable
    scope: Scope
    live: list[OutputSection]
    options: LinkOptions
    errors: list[Diagnostic] = field(default_factory=list)
    _sections: dict[OutputSection, Section] = field(default_factory=dict)
    _section_symbols: dict[Section, Symbol] = field(default_factory=dict)
    _globals: dict[str, Symbol] = field(default_factory=dict)
    _locals: dict[Symbol, Symbol] = field(default_factory=dict)
    """Local symbols of the inputs, and what they are in the output."""
    _changed: dict[InputSection, bytearray] = field(default_factory=dict)
    """Contents of sections that referred to something that was left out."""
    _count: dict[Section, int] = field(default_factory=dict)
    """How many relocations each section may have."""

    def join(self, name: str, flags: int, entry: int) -> ObjectFile:
        """The object; what is wrong with it is left in `errors`."""
        result = ObjectFile(name, flags=flags, entry=entry)
        for output in self.live:
            result.sections.append(self._section(output))
        result.symbols += self._section_symbols.values()
        for key in table_order(self.table.names):
            symbol = self._global(self.table.names[key])
            if symbol is not None:
                self._globals[key] = symbol
        for file in self._files():
            self._file_symbols(file, result)
            for section in file.sections:
                self._relocations(section, result)
        hidden = [symbol for symbol in self._globals.values() if symbol.binding == SymbolBinding.LOCAL]
        if hidden:  # what the script hides belongs to no file
            result.symbols += [Symbol("", Special.ABSOLUTE, type=SymbolType.FILE), *hidden]
        result.symbols += [symbol for symbol in self._globals.values() if symbol.binding != SymbolBinding.LOCAL]
        groups = self._groups()
        result.groups += groups.values()
        for output, data in fill_sections(self.live, self):
            made = self._sections[output]
            made.data = bytearray(data)
            made.relocations.sort(key=lambda relocation: relocation.offset)
            made.group = groups[output.group] if output.group is not None else None
            made.link_order = self._link_order(output)
            if made.link_order is not None:
                made.flags |= SectionFlag.LINK_ORDER
        return result

    def contents(self, section: InputSection) -> bytes | bytearray:
        """The bytes of an input section, which a later link relocates."""
        return self._changed.get(section) or section.contents()

    # Sections

    def _section(self, output: OutputSection) -> Section:
        section = Section(
            output.name,
            output.elf_type,
            output.elf_flags,
            output.elf_align,
            output.elf_entry_size,
            nobits_size=output.size,
            address=output.vma,
        )
        self._sections[output] = section
        self._section_symbols[section] = Symbol(output.name, section, type=SymbolType.SECTION)
        self._count[section] = sum(len(item.relocations) for item in output.inputs())
        return section

    def _home(self, section: InputSection) -> Section | None:
        output = section.output
        return self._sections.get(output) if isinstance(output, OutputSection) else None

    def _files(self) -> list[InputFile]:
        """Those of which something is in the output, in its order."""
        return list(dict.fromkeys(item.file for output in self.live for item in output.inputs()))

    def _groups(self) -> dict[Group, Group]:
        """The groups of which something is in the output, in the order of the inputs."""
        kept = {output.group for output in self.live if output.group is not None}
        found = (section.section.group for file in self.table.files for section in file.sections)
        return {group: self._group(group) for group in dict.fromkeys(found) if group is not None and group in kept}

    def _group(self, group: Group) -> Group:
        signature = group.signature
        if signature.binding != SymbolBinding.LOCAL:
            return Group(self._globals[signature.name], group.comdat)
        return Group(self._locals.get(signature) or Symbol(signature.name), group.comdat)

    def _link_order(self, output: OutputSection) -> Section | None:
        for item in output.inputs():
            other = item.section.link_order
            if other is not None:
                return self._home(self.table.sections[other])
        return None

    # Symbols

    def _file_symbols(self, file: InputFile, result: ObjectFile) -> None:
        drop = self.options.discard_locals or self.options.strip_all
        named = False
        kept = (output.group for output in self.live if output.group is not None)
        signatures = {group.signature for group in kept}
        groups = (section.section.group for section in file.sections)
        dropped = {group.signature for group in groups if group is not None} - signatures
        for symbol in file.object.symbols:
            if symbol.binding != SymbolBinding.LOCAL or symbol.type == SymbolType.SECTION:
                continue
            if symbol in signatures and not isinstance(symbol.section, Section):
                # A signature that is no symbol of a source lives in the group itself.
                self._locals[symbol] = Symbol(symbol.name)
                result.symbols.append(self._locals[symbol])
                continue
            if drop or (symbol in dropped and not isinstance(symbol.section, Section)):
                continue
            if symbol.type == SymbolType.FILE:
                named = True
                result.symbols.append(Symbol(symbol.name, Special.ABSOLUTE, type=SymbolType.FILE))
                continue
            place = None if symbol.name.startswith(_COMPILERS) else self._place(symbol)
            if place is None:
                continue
            if not named:  # so that nobody takes its symbols for those of the file before it
                named = True
                result.symbols.append(Symbol(_base_name(file), Special.ABSOLUTE, type=SymbolType.FILE))
            result.symbols.append(self._moved(symbol, place))

    def _moved(self, symbol: Symbol, place: Place) -> Symbol:
        made = self._locals[symbol] = replace(symbol, section=place[0], value=place[1])
        return made

    def _place(self, symbol: Symbol) -> Place | None:
        """Where a local symbol is; None: nowhere."""
        if not isinstance(symbol.section, Section):
            return (Special.ABSOLUTE, symbol.value) if symbol.section is Special.ABSOLUTE else None
        home = self.table.sections[symbol.section]
        section = self._home(home)
        return None if section is None else (section, home.offset + symbol.value)

    def _global(self, entry: LinkSymbol) -> Symbol | None:
        binding = SymbolBinding.WEAK if entry.weak else SymbolBinding.GLOBAL
        visibility = entry.visibility
        if entry.defined and entry.hidden:
            binding, visibility = SymbolBinding.LOCAL, SymbolVisibility.DEFAULT
        shape = (entry.size, binding, entry.type, visibility)
        if entry.common:
            return Symbol(entry.name, Special.COMMON, entry.value, *shape)
        if not entry.defined:
            return Symbol(entry.name, Special.UNDEFINED, 0, *shape) if entry.referenced else None
        place = self._global_place(entry)
        return None if place is None else Symbol(entry.name, place[0], place[1], *shape)

    def _global_place(self, entry: LinkSymbol) -> Place | None:
        home = entry.home
        if isinstance(home, InputSection):
            section = self._home(home)
            return None if section is None else (section, home.offset + entry.value)
        if home is None:
            home = self.scope.anchors.get(entry.name)
        if home is None or home not in self._sections:
            return Special.ABSOLUTE, entry.address
        return self._sections[home], (entry.address - home.vma) & 0xFFFF_FFFF_FFFF_FFFF

    # Relocations

    def _relocations(self, section: InputSection, result: ObjectFile) -> None:
        home = self._home(section)
        if home is None:
            return
        for relocation in section.relocations:
            offset = section.offset + relocation.offset
            symbol, addend = relocation.symbol, relocation.addend
            if symbol is None:
                home.relocations.append(Relocation(offset, relocation.type, None, addend))
                continue
            found = self._target(section, symbol, result)
            if found is not None:
                home.relocations.append(Relocation(offset, relocation.type, found[0], addend + found[1]))
                continue
            self._lose(section, relocation)
            if self._count[home] > 1 and not section.is_alloc and section.name.startswith(_DEBUG):
                self._count[home] -= 1
            else:
                home.relocations.append(Relocation(offset, 0, None))

    def _target(self, section: InputSection, symbol: Symbol, result: ObjectFile) -> tuple[Symbol, int] | None:
        """The symbol of the output, and what the addend grows by; None: it was left out."""
        entry = self.table.resolve(symbol)
        if entry is not None:
            made = self._globals.get(entry.name)
            return None if made is None else (made, 0)
        made = self._locals.get(symbol)
        if made is not None:
            return made, 0
        if not isinstance(symbol.section, Section):
            place = self._place(symbol)
            if place is None:
                return None
        else:
            where = self.table.sections[symbol.section]
            home = self._home(where)
            if home is None and where.kept is not None and not section.name.startswith(_MAY_LOSE):
                # The copy that was kept stands for the one that was left out.
                where = where.kept
                home = self._home(where)
            if home is None:
                return None
            place = home, where.offset + symbol.value
            if symbol.type == SymbolType.SECTION:
                return self._section_symbols[home], place[1]
        made = self._moved(symbol, place)
        result.symbols.append(made)
        return made, 0

    def _lose(self, section: InputSection, relocation: Relocation) -> None:
        """Clear a field whose symbol was left out; the program itself must not need it."""
        if section.is_alloc and not section.name.startswith(_MAY_LOSE):
            symbol = relocation.symbol
            name = symbol.name if symbol is not None else ""
            message = f"'{name}' is used here, but its section was discarded"
            self.errors.append(Diagnostic(message, Location(section.describe(relocation.offset))))
            return
        data = self._changed.setdefault(section, bytearray(section.contents()))
        clear_field(data, relocation.offset, relocation.type, section.name)


def _base_name(file: InputFile) -> str:
    """The name of an object, or of a member of an archive, without directories."""
    name = file.name
    if name.endswith(")"):
        name = name[:-1].rpartition("(")[2]
    return name.rpartition("/")[2]
