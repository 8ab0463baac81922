"""Sections that GNU ld makes for dynamic relocations, finds empty in a static program, and throws away again.

They take no room, but what is laid out behind them sees where they would have been: load addresses follow them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linker.objects.model import Section, SectionFlag, SectionType, SymbolBinding
from linker.objects.riscv import R
from linker.parts.inputs import InputSection
from linker.relocate.got import first_relocated

if TYPE_CHECKING:
    from linker.parts.symbols import SymbolTable

_WORD = 8
_RELA_SIZE = 24
_STATIC = frozenset({R.PCREL_HI20, R.JAL, R.BRANCH, R.RVC_BRANCH, R.RVC_JUMP, R.TPREL_HI20, R.HI20, R.ABS64, R.ABS32})
"""Relocations that a shared library could not keep (BFD, riscv_elf_check_relocs)."""


def make_ghosts(table: SymbolTable) -> None:
    """Add a section for each that refers to symbols which a shared library might define otherwise."""
    holder = first_relocated(table.files)
    names: dict[str, None] = {}
    for file in table.files:
        for section in file.sections:
            if section.relocations and section.is_alloc and not section.discarded and _is_open(table, section):
                names.setdefault(".rela" + section.name)
    for name in names:
        assert holder is not None
        source = Section(name, SectionType.RELA, SectionFlag.ALLOC, _WORD, _RELA_SIZE)
        holder.sections.append(InputSection(source, holder, name, _WORD, 0, linker_made=True, ghost=True))


def _is_open(table: SymbolTable, section: InputSection) -> bool:
    for relocation in section.relocations:
        symbol = relocation.symbol
        if relocation.type in _STATIC and symbol is not None and symbol.binding != SymbolBinding.LOCAL:
            entry = table.names.get(symbol.name)
            if entry is not None and (not entry.by_object or (entry.defined and entry.weak)):
                return True
    return False
