"""Source lines by address, from the DWARF line tables of an ELF."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import cache, cached_property, partial
from pathlib import PurePosixPath
from typing import Any

from emu.firmware.linerows import END, rows
from emu.lateclass import dataclass

_EXECUTABLE = 4
"""SHF_EXECINSTR (gABI, sections)."""
_SET_ADDRESS = re.compile(rb"\0\x09\x02(.{8})", re.DOTALL)
"""What a sequence of lines begins with: DW_LNE_set_address (DWARF 5, section 6.2.5.3)."""


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of a source file.

    >>> str(SourceLine("kernel/mm/frames/bitmap.S", 42))
    'kernel/mm/frames/bitmap.S:42'
    """

    file: str
    """As the compiler was told it, joined with its directory unless that is the compilation directory."""
    line: int
    """Counts from 1."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Sequence:
    """A run of code with ascending addresses (DWARF 5, section 6.2.5): row i holds from `starts[i]` on."""

    starts: list[int]
    rows: list[SourceLine]
    end: int
    """The first address after it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A compilation unit: where its code lies, and how to read its lines."""

    ranges: list[tuple[int, int]]
    """First addresses and the addresses behind (DWARF 5, section 6.1.2); empty when the file does not say."""
    read: Callable[[], Iterable[Sequence]]
    has_more: Callable[[], bool] = lambda: False
    """Whether code of it lies outside of `ranges`: GCC's does where an `asm` of the file leaves its section open."""


class SourceLines:
    """The lines of an image; each compilation unit is read when an address of its code is first asked for.

    >>> rows = [SourceLine("a.S", 1), SourceLine("a.S", 2)]
    >>> lines = SourceLines(lambda: [Unit([], lambda: [Sequence([0x80200000, 0x80200004], rows, 0x80200008)])])
    >>> print(lines.at(0x80200006), lines.at(0x80200008))
    a.S:2 None
    """

    def __init__(self, read_units: Callable[[], Iterable[Unit]]) -> None:
        self._read_units = read_units
        self._tables: dict[int, _Table] = {}

    def at(self, address: int) -> SourceLine | None:
        """The line that the instruction at `address` was made from, or None where the file does not say."""
        index = bisect_right(self._starts, address) - 1
        if index >= 0 and address < self._ranges[index][1]:
            line = self._table(self._ranges[index][2]).at(address)
            if line is not None:
                return line
        return self._unplaced.at(address)

    def rows(self) -> Iterator[tuple[int, int, SourceLine]]:
        """Each run of code that one line was made into: its first address, the one behind it, the line."""
        for unit in self._units:
            for sequence in unit.read():
                yield from zip(sequence.starts, [*sequence.starts[1:], sequence.end], sequence.rows, strict=True)

    @cached_property
    def _units(self) -> list[Unit]:
        return list(self._read_units())

    @cached_property
    def _ranges(self) -> list[tuple[int, int, int]]:
        return sorted((*part, index) for index, unit in enumerate(self._units) for part in unit.ranges)

    @cached_property
    def _starts(self) -> list[int]:
        return [start for start, _, _ in self._ranges]

    @cached_property
    def _unplaced(self) -> "_Table":
        units = [unit for unit in self._units if not unit.ranges or unit.has_more()]
        return _Table(sequence for unit in units for sequence in unit.read())

    def _table(self, index: int) -> "_Table":
        if index not in self._tables:
            self._tables[index] = _Table(self._units[index].read())
        return self._tables[index]


class _Table:
    """Sequences, found by two bisections."""

    def __init__(self, sequences: Iterable[Sequence]) -> None:
        # Of sequences with one start (code that the linker threw away is left at 0), the longest is asked.
        self._sequences = sorted(sequences, key=lambda sequence: (sequence.starts[0], sequence.end))
        self._starts = [sequence.starts[0] for sequence in self._sequences]

    def at(self, address: int) -> SourceLine | None:
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._sequences[index].end:
            return None
        sequence = self._sequences[index]
        return sequence.rows[bisect_right(sequence.starts, address) - 1]


def read_units(elf: Any) -> Iterator[Unit]:  # pyelftools has no types
    """The compilation units of an open `ELFFile` with lines of versions 2 to 5; what cannot be decoded is left out."""
    if not elf.has_dwarf_info():
        return
    # An executable's debug sections are relocated already, and the relocations of RISC-V are not all known there.
    dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False)
    ranges: dict[int, list[tuple[int, int]]] = {}
    for entry in _address_ranges(dwarf):
        ranges.setdefault(entry.info_offset, []).append((entry.begin_addr, entry.begin_addr + entry.length))
    places = _Places(elf, dwarf, [part for parts in ranges.values() for part in parts])
    units = dwarf.iter_CUs()
    while True:
        try:
            unit = next(units)
        except StopIteration:
            return
        except Exception:  # noqa: BLE001  # damaged DWARF trips the parser anywhere; the image still boots
            return
        yield Unit(ranges.get(unit.cu_offset, []), partial(_read_unit, dwarf, unit), partial(places.has_more, unit))


class _Places:
    """Where in `.debug_line` sequences begin whose code lies in none of all units' ranges."""

    def __init__(self, elf: Any, dwarf: Any, ranges: Iterable[tuple[int, int]]) -> None:
        self._elf, self._dwarf, self._ranges = elf, dwarf, sorted(ranges)

    def has_more(self, unit: Any) -> bool:
        """Whether one of them is a unit's."""
        try:
            if not self._found:
                return False
            start = unit.get_top_DIE().attributes["DW_AT_stmt_list"].value
            end = start + 4 + int.from_bytes(self._lines[start : start + 4], "little")
        except Exception:  # noqa: BLE001  # as above
            return False
        index = bisect_left(self._found, start)
        return index < len(self._found) and self._found[index] < end

    @cached_property
    def _lines(self) -> bytes:
        return bytes(self._dwarf.debug_line_sec.stream.getvalue())

    @cached_property
    def _found(self) -> list[int]:
        code = [
            range(section["sh_addr"], section["sh_addr"] + section["sh_size"])
            for section in self._elf.iter_sections() if section["sh_flags"] & _EXECUTABLE
        ]  # fmt: skip
        starts, found = [start for start, _ in self._ranges], []
        for match in _SET_ADDRESS.finditer(self._lines):
            address = int.from_bytes(match[1], "little")
            index = bisect_right(starts, address) - 1
            told = index >= 0 and address < self._ranges[index][1]
            if not told and any(address in part for part in code):
                found.append(match.start())
        return found


def _address_ranges(dwarf: Any) -> Iterable[Any]:
    try:
        table = dwarf.get_aranges()
    except Exception:  # noqa: BLE001  # as above
        return ()
    return () if table is None else table.entries


def _read_unit(dwarf: Any, unit: Any) -> list[Sequence]:
    try:
        program = dwarf.line_program_for_CU(unit)
        return list(_decode(program)) if program is not None else []
    except Exception:  # noqa: BLE001  # as above
        return []


def _decode(program: Any) -> Iterator[Sequence]:
    names = file_names(program.header)
    known: dict[tuple[int, int], SourceLine] = {}
    starts: list[int] = []
    found: list[SourceLine] = []
    for address, file, number in _rows(program):
        if number == END:
            if found:
                yield Sequence(starts, found, address)
            starts, found = [], []
            continue
        line = known.get((file, number))
        if line is None:
            line = known[file, number] = SourceLine(names(file), number)
        if starts and address <= starts[-1]:
            found[-1] = line  # the last row for an address holds
        else:
            starts.append(address)
            found.append(line)


def _rows(program: Any) -> Iterator[tuple[int, int, int]]:
    header = program.header
    program.stream.seek(program.program_start_offset)
    return rows(
        program.stream.read(program.program_end_offset - program.program_start_offset),
        opcode_base=header.opcode_base,
        line_base=header.line_base,
        line_range=header.line_range,
        shortest=header.minimum_instruction_length,
        lengths=tuple(header.standard_opcode_lengths),
    )


def file_names(header: Any) -> Callable[[int], str]:
    """Give the path of a file by its number in the line table.

    Version 5 counts files and directories from 0, earlier ones from 1 with directory 0 implied; directory 0 is the
    compilation directory in all of them (DWARF 5, section 6.2.4).
    """
    first = 0 if header.version >= 5 else 1
    directories = [_text(directory) for directory in header.include_directory or ()]

    @cache
    def name(number: int) -> str:
        index = number - first
        if not 0 <= index < len(header.file_entry):
            return "?"
        entry = header.file_entry[index]
        file, directory = _text(entry.name), entry.dir_index or 0
        if directory == 0 or not first <= directory < len(directories) + first:
            return file
        return str(PurePosixPath(directories[directory - first], file))

    return name


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
