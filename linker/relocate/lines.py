"""Source lines of places in objects, from their DWARF, for messages only: read when an error is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linker.errors import Location

if TYPE_CHECKING:
    from linker.layout.inputs import InputSection


def source_line(section: InputSection, offset: int) -> Location | None:
    """The source line of an offset of a section, when the object has line information."""
    return None
