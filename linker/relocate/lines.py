"""Source lines of places in objects, from their DWARF, for messages only: read when an error is reported."""

from __future__ import annotations

import linecache
from bisect import bisect_right
from io import BytesIO
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from linker.errors import Location
from linker.objects.model import ObjectFile, Section
from linker.parts.inputs import LineRow
from linker.relocate.data import add_to_field

if TYPE_CHECKING:
    from elftools.dwarf.lineprogram import LineProgram
    from elftools.elf.elffile import ELFFile

    from linker.parts.inputs import InputSection

_SPACING = 40
"""An object's sections stand this many bits apart while its line table is read, so that an address names one."""


def section_base(number: int) -> int:
    """The address that a section, by its position in the object, has in the object's line table."""
    return (number + 1) << _SPACING


def source_line(section: InputSection, offset: int) -> Location | None:
    """The source line of an offset of a section, when the object has line information."""
    file = section.file
    if file.lines is None:
        file.lines = read_lines(file.object)
    rows = file.lines
    try:
        number = file.object.sections.index(section.section)
    except ValueError:
        return None
    index = bisect_right(rows, (section_base(number) + offset, "\U0010ffff", 0)) - 1
    if index < 0 or not rows[index].line or rows[index].address >> _SPACING != number + 1:
        return None
    row = rows[index]
    return Location(row.file, row.line, text=linecache.getline(row.file, row.line).rstrip("\n"))


def read_lines(obj: ObjectFile) -> list[LineRow]:
    """The line table of an object, ordered; empty when it has none or it is damaged."""
    sections = {section.name: section for section in obj.sections if section.name.startswith(".debug")}
    if ".debug_line" not in sections or ".debug_info" not in sections:
        return []
    from elftools.elf.elffile import ELFFile

    return read_rows(ELFFile(BytesIO(_image(obj, list(sections.values())))))


def read_rows(elf: ELFFile) -> list[LineRow]:
    """The line table of an ELF file, ordered; as far as it is not damaged."""
    rows: list[LineRow] = []
    try:
        dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False)
        for unit in dwarf.iter_CUs():
            program = dwarf.line_program_for_CU(unit)
            if program is not None:
                rows += _rows(program)
    except Exception:  # noqa: BLE001  # pyelftools raises whatever damaged DWARF trips; the message does without
        return sorted(rows)
    return sorted(rows)


def _image(obj: ObjectFile, sections: list[Section]) -> bytes:
    """An ELF file of the debug sections alone, with their references resolved within the object."""
    from linker.output.elf import write_elf
    from linker.parts.sections import OutputSection

    places = {section: section_base(number) for number, section in enumerate(obj.sections)}
    contents, offset = [], 64
    for section in sections:
        data = bytearray(section.data)
        for relocation in section.relocations:
            symbol = relocation.symbol
            if symbol is None or not isinstance(symbol.section, Section):
                continue
            base = 0 if symbol.section.name.startswith(".debug") else places[symbol.section]
            add_to_field(data, relocation.offset, relocation.type, base + symbol.value + relocation.addend)
        output = OutputSection(section.name, created=True, size=len(data), file_offset=offset, has_contents=True)
        contents.append((output, bytes(data)))
        offset += len(data)
    return write_elf(contents, [], None, 0, 0)


def _rows(program: LineProgram) -> list[LineRow]:
    header = program.header
    base = 0 if header["version"] >= 5 else 1
    names: dict[int, str] = {}
    rows = []
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        if state.end_sequence:
            rows.append(LineRow(state.address, "", 0))
            continue
        if state.file not in names:
            names[state.file] = _file_name(header, state.file - base, base)
        rows.append(LineRow(state.address, names[state.file], state.line))
    return rows


def _file_name(header: object, index: int, base: int) -> str:
    entries = header["file_entry"]  # type: ignore[index]
    if not 0 <= index < len(entries):
        return "?"
    entry = entries[index]
    name = _text(entry.name)
    directories = header["include_directory"]  # type: ignore[index]
    directory = entry.dir_index - base
    if name.startswith("/") or not 0 <= directory < len(directories):
        return name
    return str(PurePosixPath(_text(directories[directory])) / name)


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
