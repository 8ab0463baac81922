"""The link's symbol table: which definition each name means (gABI, "Symbol Table"; COMMON, weak, COMDAT)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from linker.objects.model import Section, Symbol, SymbolBinding, SymbolType, SymbolVisibility
from linker.parts.inputs import InputFile, InputSection
from linker.parts.sections import OutputSection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from linker.errors import Diagnostic

Home: TypeAlias = InputSection | OutputSection | None
"""Where a symbol lives; None: its value is absolute."""


@dataclass(eq=False, slots=True, repr=False)
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
    by_object: bool = False
    """Whether an object defines it, other than as COMMON; the script may define it anew."""
    from_script: bool = False
    hidden: bool = False
    referenced: bool = False
    """Whether an object mentions it: only then PROVIDE provides it."""
    wanted: bool = False
    """Whether the command line or the script asked for it by name: it is shown even when nothing defines it."""

    @property
    def address(self) -> int:
        """Its value in the running program. Only after layout."""
        if self.home is None:
            return self.value
        if isinstance(self.home, OutputSection):
            return (self.home.vma + self.value) & 0xFFFF_FFFF_FFFF_FFFF
        return place_of(self.home, self.value)


def constrained(one: SymbolVisibility, other: SymbolVisibility) -> SymbolVisibility:
    """The most constraining visibility: internal before hidden before protected."""
    return min((v for v in (one, other) if v), default=SymbolVisibility.DEFAULT)


def place_of(home: InputSection, value: int) -> int:
    """The address of an offset of an input section, through deletions and merging."""
    if home.merged is not None:
        section, offset = home.merged.find(home, value)
        return section.address + offset
    return home.address + home.moved(value)


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
        entry.referenced = entry.wanted = True
        if not entry.defined:
            entry.weak = False
        return entry

    def resolve(self, symbol: Symbol) -> LinkSymbol | None:
        """The entry that a reference of an object means; None for a local symbol."""
        if symbol.binding == SymbolBinding.LOCAL:
            return None
        return self.names.get(symbol.name)

    def undefined(self, wanted: Callable[[LinkSymbol], bool]) -> Iterable[LinkSymbol]:
        """Entries without a definition."""
        return (entry for entry in self.names.values() if not entry.defined and wanted(entry))
