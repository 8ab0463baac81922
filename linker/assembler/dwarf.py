"""DWARF line information for `-g` and `.loc` (DWARF 5 standard, sections 6.2 and 7.5)."""

from linker.assembler.sections import SectionBuilder
from linker.assembler.state import Assembly
from linker.objects.model import ObjectFile, Section, Symbol


def add_debug_sections(
    assembly: Assembly,
    obj: ObjectFile,
    sections: dict[SectionBuilder, Section],
    section_symbols: dict[str, Symbol],
) -> None:
    """Append the debug sections, if the source has line entries."""
