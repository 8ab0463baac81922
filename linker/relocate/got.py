"""The global offset table of a static link: position-independent code reads addresses from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from linker.objects.model import Section, SectionFlag, SectionType, Symbol, SymbolBinding, SymbolType
from linker.objects.riscv import R
from linker.parts.inputs import InputSection
from linker.parts.order import table_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from linker.parts.inputs import InputFile
    from linker.parts.symbols import LinkSymbol, SymbolTable

GOT_TYPES = frozenset({R.GOT_HI20, R.TLS_GOT_HI20, R.TLS_GD_HI20})
_WORD = 8
_RELA_SIZE = 24
_HEADER_WORDS = 1
"""The first word is the dynamic linker's: the address of `_DYNAMIC`, 0 here."""
_DTP_OFFSET = 0x800
"""Thread-local offsets of the general-dynamic model count from here (psABI, "Thread Local Storage")."""
TABLE_SYMBOL = "_GLOBAL_OFFSET_TABLE_"

Key: TypeAlias = "Symbol | LinkSymbol"


@dataclass(eq=False, slots=True)
class GlobalOffsetTable:
    """The table: one word for each symbol and kind of access, two for general-dynamic TLS."""

    section: InputSection
    words: list[tuple[Key, R]] = field(default_factory=list)
    slots: dict[tuple[Key, R], int] = field(default_factory=dict)

    def add(self, key: Key, kind: R) -> None:
        """Reserve the words of an access, once."""
        if (key, kind) in self.slots:
            return
        self.slots[key, kind] = len(self.words) + _HEADER_WORDS
        self.words.append((key, kind))
        if kind == R.TLS_GD_HI20:
            self.words.append((key, R.NONE))

    def size(self) -> int:
        """In bytes."""
        return (_HEADER_WORDS + len(self.words)) * _WORD

    def address(self, key: Key, kind: R) -> int:
        """Of the word that an access reads."""
        return self.section.address + self.slots[key, kind] * _WORD

    def fill(self, address_of: Callable[[Key], int], tls_base: int) -> None:
        """Write the words, when all addresses are known."""
        data = self.section.section.data
        for index, (key, kind) in enumerate(self.words, _HEADER_WORDS):
            address = address_of(key)
            if kind == R.TLS_GOT_HI20:
                value = address - tls_base
            elif kind == R.TLS_GD_HI20:
                value = 1  # the number of the module: the program itself
            elif kind == R.NONE:
                value = address - tls_base - _DTP_OFFSET
            else:
                value = address
            data[index * _WORD : (index + 1) * _WORD] = (value & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(_WORD, "little")


def key_of(table: SymbolTable, symbol: Symbol) -> Key:
    """What identifies the table's word for a symbol: local ones are each their own."""
    return table.resolve(symbol) or symbol


def make_got(table: SymbolTable) -> GlobalOffsetTable | None:
    """Make the table when anything reads from it; words stand in GNU ld's order: locals by file, then globals."""
    local, shared = _accesses(table)
    wanted = table.names.get(TABLE_SYMBOL)
    if not local and not shared and (wanted is None or wanted.defined or not table.files):
        return None
    first = first_relocated(table.files) or table.files[0]
    got = GlobalOffsetTable(_make_section(first, ".got"))
    # The dynamic linker's part of the table: unused here, but GNU ld keeps its two words.
    plt = _make_section(first, ".got.plt")
    plt.section.data = bytearray(b"\xff" * _WORD + bytes(_WORD))
    plt.size = len(plt.section.data)
    for key, kind in local:
        got.add(key, kind)
    for name in table_order(table.names):
        for kind in sorted(shared.get(name, ()), key=_GOT_ORDER.index):
            got.add(table.names[name], kind)
    room = _dynamic_relocations(local, shared) * _RELA_SIZE
    if room:
        _make_relocation_room(first, room)
    got.section.section.data = bytearray(got.size())
    got.section.size = got.size()
    entry = table.get(TABLE_SYMBOL)
    if not entry.defined:
        entry.defined, entry.weak, entry.home, entry.file = True, False, got.section, None
        entry.hidden, entry.type = True, SymbolType.OBJECT
    return got


def first_relocated(files: list[InputFile]) -> InputFile | None:
    """The first file that has anything to relocate: the sections that the linker makes stand among its own (BFD)."""
    for file in files:
        if any(s.relocations and s.is_alloc and not s.discarded for s in file.sections):
            return file
    return None


def _accesses(table: SymbolTable) -> tuple[list[tuple[Key, R]], dict[str, list[R]]]:
    """The accesses: to local symbols, and by name to global ones."""
    local: list[tuple[Key, R]] = []
    shared: dict[str, list[R]] = {}
    for file in table.files:
        for section in file.sections:
            if section.discarded or not section.is_alloc:
                continue
            for relocation in section.relocations:
                if relocation.type in GOT_TYPES and relocation.symbol is not None:
                    symbol, kind = relocation.symbol, R(relocation.type)
                    if symbol.binding == SymbolBinding.LOCAL:
                        local.append((symbol, kind))
                    else:
                        shared.setdefault(symbol.name, []).append(kind)
    return local, shared


_GOT_ORDER = [R.TLS_GD_HI20, R.TLS_GOT_HI20, R.GOT_HI20]


def _dynamic_relocations(local: list[tuple[Key, R]], shared: dict[str, list[R]]) -> int:
    """How many relocations GNU ld keeps room for, although a static program has none: for each thread-local word."""
    globals_ = {(name, kind) for name, kinds in shared.items() for kind in kinds}
    locals_ = {(key, kind) for key, kind in local if kind != R.GOT_HI20}
    weights = {R.GOT_HI20: 0, R.TLS_GOT_HI20: 1, R.TLS_GD_HI20: 2}
    return len({key for key, _ in locals_}) + sum(weights[kind] for _, kind in globals_)


def _make_relocation_room(file: InputFile, size: int) -> None:
    source = Section(".rela.dyn", SectionType.RELA, SectionFlag.ALLOC, _WORD, _RELA_SIZE, bytearray(size))
    file.sections.append(InputSection(source, file, ".rela.dyn", _WORD, size, linker_made=True, keep=True))


def _make_section(file: InputFile, name: str) -> InputSection:
    flags = SectionFlag.ALLOC | SectionFlag.WRITE
    source = Section(name, SectionType.PROGBITS, flags, _WORD, _WORD)
    section = InputSection(source, file, name, _WORD, 0, linker_made=True, keep=True)
    file.sections.append(section)
    return section
