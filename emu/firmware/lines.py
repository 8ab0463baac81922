"""Source lines by address, from the DWARF line tables of an ELF."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any


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


class SourceLines:
    """The lines of an image; read on first use, found by two bisections.

    >>> lines = SourceLines(lambda: [Sequence([0x80200000, 0x80200004], [SourceLine("a.S", 1), SourceLine("a.S", 2)],
    ...                                       0x80200008)])
    >>> print(lines.at(0x80200006), lines.at(0x80200008))
    a.S:2 None
    """

    def __init__(self, read: Callable[[], Iterable[Sequence]]) -> None:
        self._read = read

    def at(self, address: int) -> SourceLine | None:
        """The line that the instruction at `address` was made from, or None where the file does not say."""
        index = bisect_right(self._first_addresses, address) - 1
        if index < 0 or address >= self._sequences[index].end:
            return None
        sequence = self._sequences[index]
        return sequence.rows[bisect_right(sequence.starts, address) - 1]

    @cached_property
    def _sequences(self) -> list[Sequence]:
        # Of sequences with one start (code that the linker threw away is left at 0), the longest is asked.
        return sorted(self._read(), key=lambda sequence: (sequence.starts[0], sequence.end))

    @cached_property
    def _first_addresses(self) -> list[int]:
        return [sequence.starts[0] for sequence in self._sequences]


def read_sequences(elf: Any) -> Iterator[Sequence]:  # pyelftools has no types
    """The line tables (versions 2 to 5) of an open `ELFFile`; units that cannot be decoded are left out."""
    if not elf.has_dwarf_info():
        return
    # An executable's debug sections are relocated already, and the relocations of RISC-V are not all known there.
    dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False)
    units = dwarf.iter_CUs()
    while True:
        try:
            program = dwarf.line_program_for_CU(next(units))
            sequences = list(_decode(program)) if program is not None else []
        except StopIteration:
            return
        except Exception:  # noqa: BLE001, S112  # damaged DWARF trips the parser anywhere; the image still boots
            continue
        yield from sequences


def _decode(program: Any) -> Iterator[Sequence]:
    names = _file_names(program.header)
    known: dict[tuple[int, int], SourceLine] = {}
    starts: list[int] = []
    rows: list[SourceLine] = []
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        if state.end_sequence:
            if rows:
                yield Sequence(starts, rows, state.address)
            starts, rows = [], []
            continue
        key = (state.file, state.line)
        line = known.get(key)
        if line is None:
            line = known[key] = SourceLine(names(state.file), state.line)
        if starts and state.address <= starts[-1]:
            rows[-1] = line  # the last row for an address holds
        else:
            starts.append(state.address)
            rows.append(line)


def _file_names(header: Any) -> Callable[[int], str]:
    """Give the path of a file by its number in the line table.

    Version 5 counts files and directories from 0, earlier ones from 1 with directory 0 implied; directory 0 is the
    compilation directory in all of them (DWARF 5, section 6.2.4).
    """
    first = 0 if header.version >= 5 else 1
    directories = [_text(directory) for directory in header.include_directory or ()]

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
