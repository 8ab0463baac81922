"""Takes objects and archive members into the link, and settles which definition each name means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from linker.errors import Diagnostic, Location
from linker.objects.model import (
    ObjectFile,
    Section,
    SectionFlag,
    SectionType,
    Special,
    Symbol,
    SymbolBinding,
    SymbolType,
)
from linker.parts.inputs import InputFile, InputSection, wrap
from linker.parts.order import table_order
from linker.parts.symbols import constrained
from linker.relocate.lines import source_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linker.objects.archive import Archive
    from linker.parts.symbols import Home, LinkSymbol, SymbolTable


_EXCLUDE = 1 << 31
"""SHF_EXCLUDE: of no use in an executable."""


@dataclass(slots=True)
class Loader:
    """Fills a symbol table."""

    table: SymbolTable
    relocatable: bool = False
    """Whether the output is an object: it may use what an executable cannot."""

    # Files

    def add_object(self, obj: ObjectFile, archive: str | None = None, member: str = "") -> InputFile:
        """Take an object into the link."""
        file = InputFile(obj, archive, member or obj.name)
        wrap(file)
        self.table.files.append(file)
        for section in file.sections:
            self.table.sections[section.section] = section
            if section.section.flags & _EXCLUDE and section.section.group is None and not self.relocatable:
                section.discarded = True
        self._drop_known_groups(file)
        for symbol in obj.symbols:
            if symbol.binding != SymbolBinding.LOCAL and symbol.name:
                self._add_symbol(file, symbol)
        return file

    def add_archives(self, archives: Sequence[Archive]) -> None:
        """Load the members that define what is still undefined, until nothing more is found."""
        loaded: set[int] = set()
        progress = True
        while progress:
            progress = False
            for archive in archives:
                while self._scan_archive(archive, loaded):
                    progress = len(archives) > 1

    def _scan_archive(self, archive: Archive, loaded: set[int]) -> bool:
        found = False
        for name, member in archive.index.items():
            entry = self.table.names.get(name)
            if entry is None or entry.defined or entry.weak or entry.common or id(member) in loaded:
                continue
            if not entry.referenced:
                continue
            loaded.add(id(member))
            asker = entry.file
            file = self.add_object(archive.load(member), archive.name, member.name)
            self.table.pulled.append((file, asker, name))
            found = True
        return found

    def _drop_known_groups(self, file: InputFile) -> None:
        """Discard the sections of COMDAT groups, and `.gnu.linkonce` sections, that another file brought."""
        for section in file.sections:
            group = section.section.group
            if group is not None and group.comdat:
                key = group.signature.name
            elif section.name.startswith(".gnu.linkonce."):
                key = section.name
            else:
                continue
            keeper = self.table.groups.setdefault(key, file)
            if keeper is not file:
                section.discarded = True
                section.kept = _counterpart(section, keeper)

    # Symbols

    def _add_symbol(self, file: InputFile, symbol: Symbol) -> None:
        entry = self.table.get(symbol.name)
        entry.referenced = True
        if entry.from_script and symbol.section is not Special.UNDEFINED:
            entry.defined = entry.from_script = False  # the script will define it anew
        home: Home = None
        if isinstance(symbol.section, Section):
            home = self.table.sections[symbol.section]
            if home.discarded:  # the group that was kept defines it
                self._refer(entry, file, symbol)
                return
        entry.visibility = constrained(entry.visibility, symbol.visibility)
        if symbol.section is Special.UNDEFINED:
            self._refer(entry, file, symbol)
        elif symbol.section is Special.COMMON:
            self._define_common(entry, file, symbol)
        else:
            self._define(entry, file, symbol, home)

    def _refer(self, entry: LinkSymbol, file: InputFile, symbol: Symbol) -> None:
        if entry.defined or entry.common:
            return
        weak = symbol.binding == SymbolBinding.WEAK
        entry.type = entry.type or symbol.type
        if entry.file is None:
            entry.weak, entry.file, entry.symbol = weak, file, symbol
        elif entry.weak and not weak:
            entry.weak, entry.file, entry.symbol = False, file, symbol

    def _define_common(self, entry: LinkSymbol, file: InputFile, symbol: Symbol) -> None:
        if entry.common:
            if symbol.size > entry.size:
                entry.size, entry.file, entry.symbol = symbol.size, file, symbol
            entry.value = max(entry.value, symbol.value)
            return
        if entry.defined and not entry.weak:
            return
        entry.defined, entry.weak, entry.common, entry.home = False, False, True, None
        entry.value, entry.size, entry.type = symbol.value, symbol.size, SymbolType.OBJECT
        entry.file, entry.symbol = file, symbol

    def _define(self, entry: LinkSymbol, file: InputFile, symbol: Symbol, home: Home) -> None:
        weak = symbol.binding == SymbolBinding.WEAK
        if entry.common and weak:
            return
        if entry.defined:
            if weak:
                return
            if not entry.weak:
                self._report_duplicate(entry, file, symbol)
                return
        entry.defined, entry.weak, entry.common, entry.by_object = True, weak, False, True
        entry.home, entry.value, entry.size, entry.type = home, symbol.value, symbol.size, symbol.type
        entry.file, entry.symbol = file, symbol

    def _report_duplicate(self, entry: LinkSymbol, file: InputFile, symbol: Symbol) -> None:
        if self.table.allow_multiple:
            return
        first = self._at("first defined here", entry.file, entry.symbol, "note")
        error = self._at(f"multiple definition of '{entry.name}'", file, symbol, "error")
        self.table.errors.append(replace(error, notes=(first,)))

    def _at(self, message: str, file: InputFile | None, symbol: Symbol | None, severity: str) -> Diagnostic:
        """A finding where a symbol is defined: with object, section and offset, and the source line if known."""
        where = file.name if file is not None else "the command line"
        line = symbol.location if symbol is not None else None
        if symbol is not None and isinstance(symbol.section, Section):
            home = self.table.sections[symbol.section]
            where = home.describe(symbol.value)
            line = line or source_line(home, symbol.value)
        if line is None:
            return Diagnostic(message, Location(where), severity)
        return Diagnostic(f"{message}, in {where}", line, severity)

    # COMMON

    def allocate_commons(self) -> None:
        """Give each COMMON symbol its place in a section named COMMON of the file that it came from."""
        sections: dict[int, InputSection] = {}
        for name in table_order(self.table.names):
            entry = self.table.names[name]
            if not entry.common:
                continue
            assert entry.file is not None
            home = sections.get(id(entry.file))
            if home is None:
                flags = SectionFlag.ALLOC | SectionFlag.WRITE
                home = InputSection(
                    Section("COMMON", SectionType.NOBITS, flags), entry.file, "COMMON", 1, 0, linker_made=True
                )
                sections[id(entry.file)] = home
                entry.file.sections.append(home)
            # An alignment that is no power of two counts as the one below it.
            align = 1 << max(entry.value.bit_length() - 1, 0)
            offset = (home.size + align - 1) & -align
            home.size = home.section.nobits_size = offset + entry.size
            home.align = home.section.align = max(home.align, align)
            entry.common, entry.defined, entry.home, entry.value = False, True, home, offset


def _counterpart(section: InputSection, keeper: InputFile) -> InputSection | None:
    """The section of the kept group with the same name and size."""
    for other in keeper.sections:
        if (
            other.name == section.name
            and other.size == section.size
            and bool(other.section.group) == bool(section.section.group)
        ):
            return other
    return None
