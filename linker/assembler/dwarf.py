"""DWARF line information for `-g` and `.loc` (DWARF 4 standard, sections 6.1.2, 6.2 and 7.5)."""

import struct
from dataclasses import dataclass
from pathlib import Path

from linker.assembler.program import FAKE_LABEL, LineEntry, SectionBuilder
from linker.assembler.state import Assembly
from linker.objects import leb128
from linker.objects.model import ObjectFile, Relocation, Section, SectionType, Symbol, SymbolType
from linker.objects.riscv import R

_VERSION = 4
_LINE_BASE, _LINE_RANGE, _OPCODE_BASE = -5, 14, 13
_OPCODE_LENGTHS = bytes((0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1))
"""Operands of the standard opcodes 1..12."""

_COPY, _ADVANCE_PC, _ADVANCE_LINE, _SET_FILE, _SET_COLUMN, _NEGATE_STMT, _BASIC_BLOCK = 1, 2, 3, 4, 5, 6, 7
_PROLOGUE_END, _EPILOGUE_BEGIN = 10, 11
_END_SEQUENCE, _SET_ADDRESS = b"\0\x01\x01", b"\0\x09\x02"
_FLAG_OPCODES = {"basic_block": _BASIC_BLOCK, "prologue_end": _PROLOGUE_END, "epilogue_begin": _EPILOGUE_BEGIN}

_COMPILE_UNIT = 0x11
_AT_NAME, _AT_STMT_LIST, _AT_LOW_PC, _AT_LANGUAGE, _AT_COMP_DIR, _AT_PRODUCER, _AT_RANGES = (
    0x03, 0x10, 0x11, 0x13, 0x1B, 0x25, 0x55,
)  # fmt: skip
_FORM_ADDR, _FORM_DATA2, _FORM_STRING, _FORM_SEC_OFFSET = 0x01, 0x05, 0x08, 0x17
_LANGUAGE_ASSEMBLER = 0x8001

_UNIT_ATTRIBUTES = (
    (_AT_STMT_LIST, _FORM_SEC_OFFSET), (_AT_LOW_PC, _FORM_ADDR), (_AT_RANGES, _FORM_SEC_OFFSET),
    (_AT_NAME, _FORM_STRING), (_AT_COMP_DIR, _FORM_STRING), (_AT_PRODUCER, _FORM_STRING), (_AT_LANGUAGE, _FORM_DATA2),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Code:
    """A section with line entries, in the object."""

    section: Section
    symbol: Symbol
    entries: list[LineEntry]


class _DebugSection:
    """A debug section being written, with the relocations into it."""

    def __init__(self, section: Section) -> None:
        self.section = section

    @property
    def data(self) -> bytearray:
        return self.section.data

    def address(self, symbol: Symbol, addend: int = 0, kind: R = R.ABS64) -> None:
        """Append a relocated address, or an offset into another debug section."""
        self.section.relocations.append(Relocation(len(self.data), kind, symbol, addend))
        self.section.data += bytes(8 if kind is R.ABS64 else 4)

    def close(self, start: int) -> None:
        """Fill in the length that a unit starts with."""
        self.data[start : start + 4] = (len(self.data) - start - 4).to_bytes(4, "little")


def add_debug_sections(
    assembly: Assembly,
    obj: ObjectFile,
    sections: dict[SectionBuilder, Section],
    symbols: dict[SectionBuilder, Symbol],
) -> None:
    """Append the debug sections, if the source has line entries; sections of the source's own are kept."""
    codes = [_Code(section, symbols[builder], builder.lines) for builder, section in sections.items() if builder.lines]
    if not codes:
        return
    _Writer(assembly, obj, codes).write()


class _Writer:
    def __init__(self, assembly: Assembly, obj: ObjectFile, codes: list[_Code]) -> None:
        self._assembly = assembly
        self._obj = obj
        self._codes = codes
        files = assembly.files if assembly.explicit_lines else {n: f for f, n in assembly.own_files.items()}
        last = max(files, default=0)
        self._files = [files.get(number, files.get(0, assembly.name)) for number in range(1, last + 1)] or [
            assembly.name
        ]

    def write(self) -> None:
        has_info = any(section.name == ".debug_info" for section in self._obj.sections)
        line, line_symbol = self._debug_section(".debug_line")
        self._line_table(line)
        if has_info:
            return  # a compiler wrote the rest, and refers to the line table
        abbreviations, abbreviations_symbol = self._debug_section(".debug_abbrev")
        abbreviations.data.extend(b"\x01" + bytes((_COMPILE_UNIT, 0)))
        for attribute, form in _UNIT_ATTRIBUTES:
            abbreviations.data.extend(bytes((attribute, form)))
        abbreviations.data.extend(bytes(3))
        ranges, ranges_symbol = self._debug_section(".debug_ranges")
        self._ranges(ranges)
        info, info_symbol = self._debug_section(".debug_info")
        self._unit(info, abbreviations_symbol, line_symbol, ranges_symbol)
        self._address_ranges(self._debug_section(".debug_aranges")[0], info_symbol)

    def _debug_section(self, name: str) -> tuple[_DebugSection, Symbol]:
        for section in self._obj.sections:
            if section.name == name:
                symbol = next(s for s in self._obj.symbols if s.section is section and s.type is SymbolType.SECTION)
                return _DebugSection(section), symbol
        section = Section(name, SectionType.PROGBITS)
        symbol = Symbol(name, section, type=SymbolType.SECTION)
        self._obj.sections.append(section)
        self._obj.symbols.insert(0, symbol)
        return _DebugSection(section), symbol

    # .debug_line

    def _line_table(self, out: _DebugSection) -> None:
        data = out.data
        start = len(data)
        header = bytes((1, 1, 1)) + struct.pack("<bBB", _LINE_BASE, _LINE_RANGE, _OPCODE_BASE) + _OPCODE_LENGTHS
        files = b"".join(_string(file) + bytes(3) for file in self._files)
        header += b"\0" + files + b"\0"
        data += bytes(4) + struct.pack("<HI", _VERSION, len(header)) + header
        for code in self._codes:
            self._sequence(out, code)
        out.close(start)

    def _sequence(self, out: _DebugSection, code: _Code) -> None:
        rows = _rows(code.entries)
        out.data.extend(_SET_ADDRESS)
        self._place(out, code, rows[0][0])
        address, line, file, column, statement = rows[0][0], 1, 1, 0, True
        for place, entry in rows:
            if entry.file != file:
                file = entry.file
                out.data.append(_SET_FILE)
                out.data.extend(leb128.written(max(file, 1), signed=False))
            if entry.column != column:
                column = entry.column
                out.data.append(_SET_COLUMN)
                out.data.extend(leb128.written(column, signed=False))
            if ("not_stmt" in entry.flags) == statement and ("is_stmt" in entry.flags or "not_stmt" in entry.flags):
                statement = not statement
                out.data.append(_NEGATE_STMT)
            out.data.extend(_FLAG_OPCODES[flag] for flag in entry.flags if flag in _FLAG_OPCODES)
            self._advance(out, code, place, place - address, entry.line - line)
            address, line = place, entry.line
        end = code.section.size
        if self._assembly.options.relax:
            out.data.extend(_SET_ADDRESS)
            self._place(out, code, end)
        else:
            out.data.append(_ADVANCE_PC)
            out.data.extend(leb128.written(end - address, signed=False))
        out.data.extend(_END_SEQUENCE)

    def _place(self, out: _DebugSection, code: _Code, offset: int) -> None:
        """An address in code; where the linker may move code a symbol of its own follows the move."""
        if not self._assembly.options.relax:
            out.address(code.symbol, offset)
            return
        symbol = Symbol(FAKE_LABEL, code.section, offset)
        self._obj.symbols.insert(0, symbol)
        out.address(symbol)

    def _advance(self, out: _DebugSection, code: _Code, place: int, distance: int, lines: int) -> None:
        """A row, by a special opcode where one reaches."""
        if self._assembly.options.relax and distance:
            out.data.extend(_SET_ADDRESS)
            self._place(out, code, place)
            distance = 0
        opcode = lines - _LINE_BASE + _LINE_RANGE * distance + _OPCODE_BASE
        if 0 <= lines - _LINE_BASE < _LINE_RANGE and opcode < 256:
            out.data.append(opcode)
            return
        if distance:
            out.data.append(_ADVANCE_PC)
            out.data.extend(leb128.written(distance, signed=False))
        if lines:
            out.data.append(_ADVANCE_LINE)
            out.data.extend(leb128.written(lines, signed=True))
        out.data.append(_COPY)

    # The unit

    def _unit(self, out: _DebugSection, abbreviations: Symbol, line: Symbol, ranges: Symbol) -> None:
        out.data.extend(bytes(4) + struct.pack("<H", _VERSION))
        out.address(abbreviations, kind=R.ABS32)
        out.data.extend(b"\x08\x01")
        out.address(line, kind=R.ABS32)
        out.data.extend(bytes(8))
        out.address(ranges, kind=R.ABS32)
        for text in (self._files[0], str(Path.cwd()), "ekernel as"):
            out.data.extend(_string(text))
        out.data.extend(struct.pack("<H", _LANGUAGE_ASSEMBLER))
        out.close(0)

    def _ranges(self, out: _DebugSection) -> None:
        for code in self._codes:
            self._place(out, code, 0)
            self._place(out, code, code.section.size)
        out.data.extend(bytes(16))

    def _address_ranges(self, out: _DebugSection, info: Symbol) -> None:
        out.data.extend(bytes(4) + struct.pack("<H", 2))
        out.address(info, kind=R.ABS32)
        out.data.extend(b"\x08\0" + bytes(4))  # tuples start at a multiple of their size
        for code in self._codes:
            out.address(code.symbol)
            out.data.extend(struct.pack("<Q", code.section.size))
        out.data.extend(bytes(16))
        out.close(0)


def _string(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape") + b"\0"


def _rows(entries: list[LineEntry]) -> list[tuple[int, LineEntry]]:
    """The entries by address; of several at one address the last counts."""
    rows: dict[int, LineEntry] = {}
    for entry in entries:
        rows[entry.fragment.address + entry.offset] = entry
    return sorted(rows.items())
