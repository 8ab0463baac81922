"""`.eh_frame_hdr`, which `--eh-frame-hdr` makes: unwind entries sorted by address (LSB, section 10.6.2)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linker.errors import Diagnostic, Location
from linker.objects.model import Section, SectionFlag, SymbolType, SymbolVisibility
from linker.parts.inputs import InputSection
from linker.unwind.editing import NAME

if TYPE_CHECKING:
    from linker.parts.inputs import InputFile
    from linker.parts.sections import OutputSection
    from linker.parts.symbols import SymbolTable
    from linker.unwind.editing import Row, UnwindTables

HEADER = ".eh_frame_hdr"
_SYMBOL = "__GNU_EH_FRAME_HDR"
_ALIGN = 4
_SMALLEST = 8
"""Bytes: a section that is no larger holds no entry."""
_VERSION, _RELATIVE_32, _UNSIGNED_32, _FROM_HERE_32, _OMITTED = 1, 0x1B, 0x03, 0x3B, 0xFF
_START, _COUNT, _ROW = struct.Struct("<4Bi"), struct.Struct("<I"), struct.Struct("<ii")
_REACH = 1 << 31


def make_header(files: list[InputFile]) -> InputSection | None:
    """Add an empty header to the first file that has unwind entries; None when there is none."""
    for file in files:
        if any(s.name == NAME and s.section.size > _SMALLEST for s in file.sections):
            source = Section(HEADER, flags=SectionFlag.ALLOC, align=_ALIGN)
            header = InputSection(source, file, HEADER, _ALIGN, 0, linker_made=True)
            file.sections.append(header)
            return header
    return None


def settle_header(header: InputSection, frames: OutputSection | None, table: SymbolTable) -> bool:
    """Once the sections have outputs: name the header for programs, or leave it out when there is nothing to find."""
    if header.output is None or frames is None or not any(s.size > _SMALLEST for s in frames.inputs()):
        header.ghost = True
        return False
    header.keep = True  # its output section stays, though it has no size yet
    entry = table.get(_SYMBOL)
    if not entry.defined:
        entry.defined, entry.weak, entry.home, entry.file = True, False, header, header.file
        entry.type, entry.visibility, entry.hidden = SymbolType.NOTYPE, SymbolVisibility.HIDDEN, True
    return True


def size_header(header: InputSection, tables: UnwindTables) -> None:
    """Give the header its room: the table is left out when a section could not be read."""
    rows = 0 if tables.odd else sum(tables.count(section) for section in tables.entries)
    size = _START.size if tables.odd else _START.size + _COUNT.size + rows * _ROW.size
    header.size = size
    header.section.data = bytearray(size)


def header_bytes(header: InputSection, frames: OutputSection, tables: UnwindTables, errors: list[Diagnostic]) -> bytes:
    """The bytes of the header, once the sections of entries are finished."""
    here = header.address
    start = frames.vma - here - 4
    if tables.odd:
        return _START.pack(_VERSION, _RELATIVE_32, _OMITTED, _OMITTED, start)
    rows = sorted(tables.rows, key=lambda row: (row.start, row.length))
    _check(rows, here, errors)
    if errors:
        return bytes(header.size)
    result = _START.pack(_VERSION, _RELATIVE_32, _UNSIGNED_32, _FROM_HERE_32, start) + _COUNT.pack(len(rows))
    return result + b"".join(_ROW.pack(row.start - here, row.fde - here) for row in rows)


def _check(rows: list[Row], here: int, errors: list[Diagnostic]) -> None:
    where = Location(HEADER)
    for index, row in enumerate(rows):
        if not -_REACH <= row.start - here < _REACH:
            message = f"the function at {row.start:#x} is more than 2 GiB away from the table at {here:#x}"
            errors.append(
                Diagnostic(message, where, hint="keep all sections within 2 GiB, or leave out --eh-frame-hdr")
            )
        elif index and row.start < rows[index - 1].start + rows[index - 1].length:
            message = f"two unwind entries describe the function at {row.start:#x}"
            errors.append(Diagnostic(message, where, hint="write one .cfi_startproc for each function"))
