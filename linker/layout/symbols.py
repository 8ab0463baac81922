"""The link's symbol table: which definition each name means (gABI, "Symbol Table"; COMMON, weak, COMDAT)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from linker.errors import Diagnostic, Location
from linker.layout.inputs import InputFile, InputSection, wrap
from linker.layout.order import table_order
from linker.layout.sections import OutputSection
from linker.objects.model import (
    ObjectFile,
    Section,
    SectionFlag,
    SectionType,
    Special,
    Symbol,
    SymbolBinding,
    SymbolType,
    SymbolVisibility,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from linker.objects.archive import Archive

Home: TypeAlias = InputSection | OutputSection | None
"""Where a symbol lives; None: its value is absolute."""


@dataclass(eq=False, slots=True)
class LinkSymbol:
    """One global name of the link."""

    name: str
    defined: bool = False
    weak: bool = False
    """A weak definition, or when undefined, only weak references so far."""
    common: bool = False
    home: Home = None
    value: int = 0
    """Offset in its home; for COMMON not yet allocated, the alignment."""
    size: int = 0
    type: SymbolType = SymbolType.NOTYPE
    visibility: SymbolVisibility = SymbolVisibility.DEFAULT
    file: InputFile | None = None
    """Whose definition it is."""
    symbol: Symbol | None = None
    from_script: bool = False
    hidden: bool = False
    referenced: bool = False
    """Whether an object mentions it: only then PROVIDE provides it."""

    @property
    def address(self) -> int:
        """Its value in the running program. Only after layout."""
        if self.home is None:
            return self.value
        if isinstance(self.home, OutputSection):
            return (self.home.vma + self.value) & 0xFFFF_FFFF_FFFF_FFFF
        return place_of(self.home, self.value)


def place_of(home: InputSection, value: int) -> int:
    """The address of an offset of an input section, through deletions and merging."""
    if home.merged is not None:
        section, offset = home.merged.find(home, value)
        return section.address + offset
    return home.address + home.moved(value)


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


@dataclass(slots=True)
class SymbolTable:
    """All global symbols, the files that were loaded, and what was wrong with them."""

    names: dict[str, LinkSymbol] = field(default_factory=dict)
    files: list[InputFile] = field(default_factory=list)
    errors: list[Diagnostic] = field(default_factory=list)
    sections: dict[Section, InputSection] = field(default_factory=dict)
    groups: dict[str, InputFile] = field(default_factory=dict)
    pulled: list[tuple[InputFile, InputFile | None, str]] = field(default_factory=list)
    """Archive members in the order of loading, each with who asked for which symbol (for the map)."""
    allow_multiple: bool = False

    def get(self, name: str) -> LinkSymbol:
        """The entry of a name, made when it is new."""
        entry = self.names.get(name)
        if entry is None:
            entry = self.names[name] = LinkSymbol(name)
        return entry

    def reference(self, name: str) -> LinkSymbol:
        """An entry that something outside the objects needs: the entry point, EXTERN, `-u`."""
        entry = self.get(name)
        entry.referenced = True
        if not entry.defined:
            entry.weak = False
        return entry

    # Files

    def add_object(self, obj: ObjectFile, archive: str | None = None, member: str = "") -> InputFile:
        """Take an object into the link."""
        file = InputFile(obj, archive, member or obj.name)
        wrap(file)
        self.files.append(file)
        for section in file.sections:
            self.sections[section.section] = section
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
            entry = self.names.get(name)
            if entry is None or entry.defined or entry.weak or entry.common or id(member) in loaded:
                continue
            if not entry.referenced:
                continue
            loaded.add(id(member))
            asker = entry.file
            file = self.add_object(archive.load(member), archive.name, member.name)
            self.pulled.append((file, asker, name))
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
            keeper = self.groups.setdefault(key, file)
            if keeper is not file:
                section.discarded = True
                section.kept = _counterpart(section, keeper)

    # Symbols

    def _add_symbol(self, file: InputFile, symbol: Symbol) -> None:
        entry = self.get(symbol.name)
        entry.referenced = True
        home: Home = None
        if isinstance(symbol.section, Section):
            home = self.sections[symbol.section]
            if home.discarded:  # the group that was kept defines it
                self._refer(entry, file, symbol)
                return
        if symbol.visibility != SymbolVisibility.DEFAULT:
            # The most constraining one wins: internal 1, hidden 2, protected 3.
            known = entry.visibility
            entry.visibility = symbol.visibility if known == 0 else min(known, symbol.visibility)
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
        entry.defined, entry.weak, entry.common = True, weak, False
        entry.home, entry.value, entry.size, entry.type = home, symbol.value, symbol.size, symbol.type
        entry.file, entry.symbol = file, symbol

    def _report_duplicate(self, entry: LinkSymbol, file: InputFile, symbol: Symbol) -> None:
        if self.allow_multiple:
            return
        first = self._at("first defined here", entry.file, entry.symbol, "note")
        error = self._at(f"multiple definition of '{entry.name}'", file, symbol, "error")
        self.errors.append(replace(error, notes=(first,)))

    def _at(self, message: str, file: InputFile | None, symbol: Symbol | None, severity: str) -> Diagnostic:
        """A finding where a symbol is defined: with object, section and offset, and the source line if known."""
        from linker.relocate.lines import source_line

        where = file.name if file is not None else "the command line"
        line = symbol.location if symbol is not None else None
        if symbol is not None and isinstance(symbol.section, Section):
            home = self.sections[symbol.section]
            where = home.describe(symbol.value)
            line = line or source_line(home, symbol.value)
        if line is None:
            return Diagnostic(message, Location(where), severity)
        return Diagnostic(f"{message}, in {where}", line, severity)

    # COMMON

    def allocate_commons(self) -> None:
        """Give each COMMON symbol its place in a section named COMMON of the file that it came from."""
        sections: dict[int, InputSection] = {}
        for name in table_order(self.names):
            entry = self.names[name]
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

    def resolve(self, symbol: Symbol) -> LinkSymbol | None:
        """The entry that a reference of an object means; None for a local symbol."""
        if symbol.binding == SymbolBinding.LOCAL:
            return None
        return self.names.get(symbol.name)

    def undefined(self, wanted: Callable[[LinkSymbol], bool]) -> Iterable[LinkSymbol]:
        """Entries without a definition."""
        return (entry for entry in self.names.values() if not entry.defined and wanted(entry))
