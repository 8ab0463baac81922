"""Leaves out of `.eh_frame` what nobody needs: entries of functions that are gone, CIEs that equal others, padding.

So does GNU ld (BFD, elf-eh-frame.c), and what it does to the bytes is done here.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from linker.objects.model import Section, SymbolBinding
from linker.parts.inputs import InputSection
from linker.unwind.entries import LOCATION, TERMINATOR_SIZE, Cie, Entry, Fde, read_entries
from linker.unwind.reading import ABSOLUTE, is_relative, is_signed, pointer_width

if TYPE_CHECKING:
    from linker.objects.model import Symbol
    from linker.parts.sections import OutputSection
    from linker.parts.symbols import SymbolTable

NAME = ".eh_frame"
_ALIGN = 4
_MAX_INSTRUCTIONS = 50
"""Bytes of initial instructions: BFD joins no CIE that has more."""
_WORD = 0xFFFF_FFFF_FFFF_FFFF

Likeness: TypeAlias = "tuple[tuple[bytes, bytes], int, int]"
"""What CIEs that are one have in common: their bytes, and the routine that they name."""


class Row(NamedTuple):
    """Where an FDE is, and the function that it describes; addresses in the running program."""

    start: int
    length: int
    fde: int


@dataclass(eq=False, slots=True)
class UnwindTables:
    """The entries of an output section `.eh_frame`."""

    table: SymbolTable
    entries: dict[InputSection, list[Entry]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    """Of the sections whose bytes are finished."""
    odd: list[InputSection] = field(default_factory=list)
    """Sections that stay as they are, since they hold something else."""

    def edit(self, output: OutputSection) -> None:
        """Decide what stays, and where in its section; the output section has its alignment by now."""
        inputs = output.inputs()
        known: dict[Likeness, Cie] = {}
        for section in inputs:
            if not section.size or section.is_nobits:
                continue
            entries = read_entries(section)
            if entries is None:
                self.odd.append(section)
                continue
            self.entries[section] = entries
            section.merged = self
            for entry in entries:
                self._decide(section, entry, known, is_last=section is inputs[-1])
            section.size = _place(entries)
            for entry in entries:
                if isinstance(entry, Cie) and entry.merged is not None and entry.merged.home is not None:
                    there = entry.merged.home.offset + entry.merged.new_offset
                    entry.shift = there - section.offset - entry.offset
        self._pad(inputs, output.align)

    def _pad(self, inputs: list[InputSection], align: int) -> None:
        """Let entries reach up to the next section: zeros between them would end the table."""
        position = len(inputs) - 1
        while position >= 0 and inputs[position].size <= TERMINATOR_SIZE:
            inputs[position].ghost |= not inputs[position].size
            position -= 1
        for section in inputs[: max(position, 0)]:
            section.size = (section.size + align - 1) & -align

    def _decide(self, section: InputSection, entry: Entry, known: dict[Likeness, Cie], *, is_last: bool) -> None:
        if isinstance(entry, Fde):
            if entry.cie is not None and not self._is_gone(section, entry):
                entry.removed = False
                entry.cie = self._shared(entry.cie, known)
        elif not isinstance(entry, Cie):
            entry.removed = not is_last

    def _is_gone(self, section: InputSection, fde: Fde) -> bool:
        """Whether the function is in no section of this object that is linked (BFD, bfd_elf_reloc_symbol_deleted_p)."""
        symbol = fde.function.symbol if fde.function is not None else None
        if symbol is None:
            return True
        home: object
        if symbol.binding == SymbolBinding.LOCAL:
            home = self.table.sections[symbol.section] if isinstance(symbol.section, Section) else None
            return isinstance(home, InputSection) and (home.kept is not None or home.output is None)
        name = self.table.names.get(symbol.name)
        if name is None or not name.defined:
            return False
        home = name.home
        return not isinstance(home, InputSection) or home.file is not section.file or home.output is None

    def _shared(self, cie: Cie, known: dict[Likeness, Cie]) -> Cie:
        """The CIE that stands for this one: itself, or an equal one before it."""
        if not cie.removed:
            return cie
        if cie.merged is not None:
            return cie.merged
        person = cie.personality.symbol if cie.personality is not None else None
        own = id(cie) if cie.instructions > _MAX_INSTRUCTIONS else 0
        first = known.setdefault((cie.fixed, self._identity(person), own), cie)
        if first is cie:
            cie.removed = False
        else:
            cie.merged = first
        return first

    def _identity(self, symbol: Symbol | None) -> int:
        return 0 if symbol is None else id(self.table.resolve(symbol) or symbol)

    def count(self, section: InputSection) -> int:
        """How many functions the entries of a section describe."""
        return sum(isinstance(entry, Fde) and not entry.removed for entry in self.entries[section])

    # Reading

    def find(self, section: InputSection, offset: int) -> tuple[InputSection, int]:
        """Where the byte at an offset of the original section has gone."""
        entries = self.entries[section]
        index = max(bisect_right(entries, offset, key=lambda entry: entry.offset) - 1, 0)
        if not entries:
            return section, offset
        entry = entries[index]
        inside = offset - entry.offset
        if not entry.removed:
            return section, entry.new_offset + inside
        if isinstance(entry, Cie) and entry.merged is not None:
            return section, offset + entry.shift
        after = next((e.new_offset for e in entries[index + 1 :] if not e.removed), section.size)
        return section, after + inside

    def contents(self, section: InputSection) -> bytes:
        """The original bytes: they are relocated where they were, and put together by `finished`."""
        return bytes(section.section.data)

    def finished(self, section: InputSection, data: bytearray) -> bytearray:
        """The bytes that the section keeps, of those relocated."""
        live = [entry for entry in self.entries[section] if not entry.removed]
        result = bytearray(section.size)
        ends = [entry.new_offset for entry in live[1:]] + [section.size]
        for entry, end in zip(live, ends, strict=True):
            if not isinstance(entry, Cie | Fde):
                continue
            body = data[entry.offset : entry.offset + entry.size]
            body[:4] = (end - entry.new_offset - 4).to_bytes(4, "little")
            if isinstance(entry, Fde):
                self._point_to_cie(section, entry, body)
            for place, width, encoding in entry.relative:
                value = _pointer(body, place, width, encoding)
                if value:
                    moved = (value + entry.offset - entry.new_offset) & ((1 << 8 * width) - 1)
                    body[place : place + width] = moved.to_bytes(width, "little")
            result[entry.new_offset : entry.new_offset + entry.size] = body
        return result

    def _point_to_cie(self, section: InputSection, fde: Fde, body: bytearray) -> None:
        cie = fde.cie
        assert cie is not None
        assert cie.home is not None
        distance = section.offset + fde.new_offset + 4 - cie.home.offset - cie.new_offset
        body[4:8] = (distance & 0xFFFF_FFFF).to_bytes(4, "little")
        width = pointer_width(cie.fde_encoding)
        start = _pointer(body, LOCATION, width, cie.fde_encoding)
        if start and is_relative(cie.fde_encoding):
            start = (start + section.address + fde.offset + LOCATION) & _WORD
        length = _pointer(body, LOCATION + width, width, ABSOLUTE)
        self.rows.append(Row(start, length, section.address + fde.new_offset))


def _place(entries: list[Entry]) -> int:
    """Give the entries that stay their offsets; returns the size of all."""
    offset = 0
    for entry in entries:
        if entry.removed:
            continue
        align = _ALIGN
        if isinstance(entry, Fde) and entry.cie is not None:
            align = max(pointer_width(entry.cie.fde_encoding), _ALIGN)
        entry.new_offset = (offset + align - 1) & -align
        offset = entry.new_offset + entry.size
    return (offset + _ALIGN - 1) & -_ALIGN


def _pointer(body: bytearray, place: int, width: int, encoding: int) -> int:
    value = int.from_bytes(body[place : place + width], "little", signed=is_signed(encoding))
    return value & _WORD
