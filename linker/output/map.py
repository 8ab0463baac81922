"""The memory map as text, in the form of GNU ld's `-Map`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linker.layout.placement import Plan
    from linker.layout.scope import Scope
    from linker.layout.symbols import SymbolTable


def write_map(table: SymbolTable, plan: Plan, scope: Scope) -> str:
    """The map."""
    return ""
