"""--gc-sections: leaves out what neither the entry point, KEEP nor anything kept refers to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linker.objects.model import Section, SectionFlag, SectionType
from linker.parts.inputs import InputSection
from linker.unwind.editing import NAME
from linker.unwind.entries import Fde, read_entries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from linker.objects.model import Relocation, Symbol
    from linker.parts.inputs import InputFile
    from linker.parts.symbols import SymbolTable

_RETAIN = 1 << 21
"""SHF_GNU_RETAIN."""


_ARRAYS = (SectionType.PREINIT_ARRAY, SectionType.INIT_ARRAY, SectionType.FINI_ARRAY)


def collect(table: SymbolTable, roots: Iterable[str], *, relocatable: bool = False) -> list[InputSection]:
    """Mark sections that nothing needs as discarded, and return them.

    A relocatable output keeps what is run before and after the program: no script says KEEP for it yet.
    """
    return _Collector(table, relocatable=relocatable).run(roots)


class _Collector:
    def __init__(self, table: SymbolTable, *, relocatable: bool) -> None:
        self.table = table
        self.relocatable = relocatable
        self.live: set[InputSection] = set()
        self.work: list[InputSection] = []
        self.by_name: dict[str, list[InputSection]] = {}
        self.split: set[InputSection] = set()
        """Sections of unwind entries."""
        self.frames: dict[InputSection, list[Fde]] = {}
        """The unwind entries of the functions in a section."""
        self._split_frames()
        for file in table.files:
            for section in file.sections:
                if section.name.isidentifier():
                    self.by_name.setdefault(section.name, []).append(section)

    def run(self, roots: Iterable[str]) -> list[InputSection]:
        for name in roots:
            entry = self.table.names.get(name)
            if entry is not None:
                self.mark_home(entry.home)
        for file in self.table.files:
            for section in file.sections:
                is_array = self.relocatable and section.section.type in _ARRAYS
                if not section.discarded and (is_array or _is_root(section)):
                    self.mark(section)
        self.follow()
        self._keep_followers()
        for file in self.table.files:
            self._keep_debug(file)
        self.follow()
        removed = []
        for file in self.table.files:
            for section in file.sections:
                if section not in self.live and not section.discarded:
                    section.discarded = True
                    removed.append(section)
        return removed

    def mark(self, section: InputSection) -> None:
        if section not in self.live and not section.discarded:
            self.live.add(section)
            self.work.append(section)

    def mark_home(self, home: object) -> None:
        if isinstance(home, InputSection):
            self.mark(home)

    def follow(self) -> None:
        while self.work:
            section = self.work.pop()
            group = section.section.group
            if group is not None:
                for other in section.file.sections:
                    if other.section.group is group:
                        self.mark(other)
            if section not in self.split:
                self.mark_all(section.relocations)
            for fde in self.frames.get(section, ()):
                self.mark_all(fde.relocations)
                if fde.cie is not None:
                    self.mark_all(fde.cie.relocations)

    def mark_all(self, relocations: Iterable[Relocation]) -> None:
        for relocation in relocations:
            if relocation.symbol is not None:
                self.mark_symbol(relocation.symbol)

    def _split_frames(self) -> None:
        """Unwind entries describe functions, they do not use them; what they name lives with their functions."""
        for file in self.table.files:
            for section in file.sections:
                entries = read_entries(section) if section.name == NAME and not section.discarded else None
                if entries is None:
                    continue
                self.split.add(section)
                for entry in entries:
                    symbol = entry.function.symbol if isinstance(entry, Fde) and entry.function is not None else None
                    home = self._home(symbol) if symbol is not None else None
                    if home is not None and isinstance(entry, Fde):
                        self.frames.setdefault(home, []).append(entry)

    def _home(self, symbol: Symbol) -> InputSection | None:
        entry = self.table.resolve(symbol)
        home: object = entry.home if entry is not None else None
        if entry is None and isinstance(symbol.section, Section):
            home = self.table.sections[symbol.section]
        return home if isinstance(home, InputSection) else None

    def mark_symbol(self, symbol: Symbol) -> None:
        if isinstance(symbol.section, Section) and symbol.binding == 0:
            self.mark(self.table.sections[symbol.section])
            return
        entry = self.table.resolve(symbol)
        if entry is None:
            return
        self.mark_home(entry.home)
        for prefix in ("__start_", "__stop_"):
            if entry.name.startswith(prefix) and not entry.defined:
                for section in self.by_name.get(entry.name.removeprefix(prefix), ()):
                    self.mark(section)

    def _keep_followers(self) -> None:
        """Sections that are there for another one (SHF_LINK_ORDER) stay with it."""
        followers = [s for file in self.table.files for s in file.sections if s.section.link_order is not None]
        before = -1
        while before != len(self.live):
            before = len(self.live)
            for section in followers:
                if section.section.link_order and self.table.sections[section.section.link_order] in self.live:
                    self.mark(section)
            self.follow()

    def _keep_debug(self, file: InputFile) -> None:
        """Debug and other unloaded sections stay with a file of which something else stays."""
        kept = any(
            section in self.live and section.is_alloc and section.section.type != SectionType.NOTE
            for section in file.sections
        )
        if not kept:
            return
        for section in file.sections:
            special = not section.is_alloc and (section.name.startswith(".debug") or not section.relocations)
            if special and section.section.group is None:
                self.live.add(section)


def _is_root(section: InputSection) -> bool:
    source = section.section
    if section.keep or source.flags & _RETAIN:
        return True
    return source.type == SectionType.NOTE and source.group is None and bool(source.flags & SectionFlag.ALLOC)
