"""Splits an `.eh_frame` section into its entries (LSB, section 10.6; BFD, _bfd_elf_parse_eh_frame)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from linker.objects.model import Section
from linker.unwind.reading import ABSOLUTE, ALIGNED, OMITTED, Reader, Unreadable, is_relative, pointer_width

if TYPE_CHECKING:
    from linker.objects.model import Relocation
    from linker.parts.inputs import InputSection

_VERSIONS = (1, 3, 4)
_MAX_AUGMENTATION = 20
TERMINATOR_SIZE = 4
"""Bytes of the entry without contents that ends a table."""
LOCATION = 8
"""Where the address of an FDE's function stands: behind its length and the distance to its CIE."""


@dataclass(eq=False, slots=True)
class Entry:
    """A CIE, an FDE or a terminator, without the nops at its end."""

    offset: int
    """In its input section."""
    size: int = TERMINATOR_SIZE
    home: InputSection | None = None
    relocations: list[Relocation] = field(default_factory=list)
    """All that apply to it."""
    relative: list[tuple[int, int, int]] = field(default_factory=list)
    """Pointers that count from their own place: where in the entry, their width and encoding."""
    new_offset: int = 0
    removed: bool = True


@dataclass(eq=False, slots=True)
class Cie(Entry):
    """What the FDEs of some functions have in common."""

    augmentation: bytes = b""
    fde_encoding: int = ABSOLUTE
    lsda_encoding: int = OMITTED
    personality: Relocation | None = None
    instructions: int = 0
    """Bytes of its instructions."""
    fixed: tuple[bytes, bytes] = (b"", b"")
    """Its bytes, before and behind the pointer to the personality routine."""
    merged: Cie | None = None
    """The equal one that stands for it."""
    shift: int = 0
    """How far away that was while the sections had their first places: labels inside move so far (BFD)."""


@dataclass(eq=False, slots=True)
class Fde(Entry):
    """How to unwind one function."""

    cie: Cie | None = None
    """None: the function has no bytes, and nobody can be inside of it."""
    function: Relocation | None = None


def read_entries(section: InputSection) -> list[Entry] | None:
    """The entries of a section; None when it holds anything else, and is to stay as it is."""
    try:
        return _Splitter(section).run()
    except Unreadable:
        return None


class _Splitter:
    def __init__(self, section: InputSection) -> None:
        self.section = section
        self.data = section.section.data
        self.pending = [r for r in section.relocations if r.type or r.symbol is not None]
        self.next = 0
        """Of the relocations, the first that no part of an entry took."""
        self.cies: dict[int, Cie] = {}

    def run(self) -> list[Entry]:
        result: list[Entry] = []
        position, size = 0, len(self.data)
        while position < size:
            reader = Reader(self.data, position, size)
            length = reader.number(4)
            if length == 0:
                self._end(position)
                result.append(Entry(position, home=self.section))
                break
            reader.skip(length)
            first, reader = self.next, Reader(self.data, position + 4, position + 4 + length)
            distance = reader.number(4)
            entry = self._fde(position, distance, reader) if distance else self._cie(position, reader)
            entry.home = self.section
            position += 4 + length
            if distance:
                self._pass_over(position)
            entry.relocations = self.pending[first : self.next]
            result.append(entry)
        return result

    def _end(self, position: int) -> None:
        """Behind a terminator there are none but more of them."""
        if any(self.data[position:]) or len(self.data) % 4 or self.next < len(self.pending):
            raise Unreadable

    # Relocations

    def _pass_over(self, position: int) -> None:
        while self.next < len(self.pending) and self.pending[self.next].offset < position:
            self.next += 1

    def _expect_none(self, position: int) -> None:
        if self.next < len(self.pending) and self.pending[self.next].offset < position:
            raise Unreadable

    def _at(self, position: int) -> Relocation | None:
        found = self.pending[self.next] if self.next < len(self.pending) else None
        return found if found is not None and found.offset == position else None

    # Entries

    def _cie(self, position: int, reader: Reader) -> Cie:
        cie = self.cies[position] = Cie(position)
        version = reader.number(1)
        cie.augmentation = reader.text()
        if version not in _VERSIONS or len(cie.augmentation) >= _MAX_AUGMENTATION:
            raise Unreadable
        if version == 4 and (reader.number(1), reader.number(1)) != (8, 0):  # sizes of an address and of a segment
            raise Unreadable
        reader.leb()
        reader.leb()
        if version == 1:
            reader.skip(1)
        else:
            reader.leb()
        self._expect_none(reader.position)
        split = self._augmentation(cie, reader)
        self._expect_none(reader.end)
        begin = reader.position
        if reader.instructions(pointer_width(cie.fde_encoding)):
            raise Unreadable
        cie.instructions = reader.position - begin
        start = position + LOCATION  # behind its length and the number that says what it is
        cie.size = reader.position - position
        begin, end = split or (reader.position, reader.position)
        cie.fixed = bytes(self.data[start:begin]), bytes(self.data[end : reader.position])
        return cie

    def _augmentation(self, cie: Cie, reader: Reader) -> tuple[int, int] | None:
        """Read what the augmentation string announces; returns where the pointer to the personality routine stands."""
        split = None
        letters = cie.augmentation
        if letters[:1] == b"z":
            reader.leb()
            letters = letters[1:]
        for letter in letters.decode("latin-1"):
            if letter in "BS":
                continue
            encoding = reader.number(1)
            width = pointer_width(encoding)
            if not width or letter not in "LRP" or encoding & 0x70 == ALIGNED:
                raise Unreadable
            if letter == "L":
                cie.lsda_encoding = encoding
            elif letter == "R":
                cie.fde_encoding = encoding
            else:
                self._expect_none(reader.position)
                cie.personality = self._at(reader.position)
                if cie.personality is None:
                    raise Unreadable
                split = reader.position, reader.position + width
                if is_relative(encoding):
                    cie.relative.append((reader.position - cie.offset, width, encoding))
                reader.skip(width)
                while self._at(split[0]) is not None:
                    self.next += 1
        return split

    def _fde(self, position: int, distance: int, reader: Reader) -> Fde:
        cie = self.cies.get(position + 4 - distance)
        if cie is None:
            raise Unreadable
        fde = Fde(position, cie=cie)
        self._expect_none(reader.position)
        fde.function = self._at(reader.position)
        if fde.function is None or not self._is_own(fde.function):
            raise Unreadable
        width = pointer_width(cie.fde_encoding)
        if is_relative(cie.fde_encoding):
            fde.relative.append((LOCATION, width, cie.fde_encoding))
        reader.skip(width)
        self._pass_over(reader.position)
        if self._at(reader.position) is None and reader.number(width) == 0:
            fde.cie = None
        else:
            reader.position = position + LOCATION
            reader.skip(2 * width)
        length = reader.leb() if cie.augmentation[:1] == b"z" else 0
        if cie.lsda_encoding != OMITTED and is_relative(cie.lsda_encoding):
            place = reader.position - position
            fde.relative.append((place, pointer_width(cie.lsda_encoding), cie.lsda_encoding))
        if cie.lsda_encoding != OMITTED and cie.augmentation[:1] != b"z":
            length = reader.end - reader.position
        reader.skip(length)
        for place in reader.instructions(width):
            if is_relative(cie.fde_encoding):
                fde.relative.append((place - position, width, cie.fde_encoding))
        fde.size = reader.position - position
        return fde

    def _is_own(self, relocation: Relocation) -> bool:
        """Whether the function is one of this object: what others define is none of its business."""
        symbol = relocation.symbol
        return symbol is not None and (isinstance(symbol.section, Section) or not symbol.section)
