"""Sizes of C structures, from the DWARF of an ELF: entries are passed over until one has the name (section 7.5).

pyelftools takes longer to load than this takes to find one of a Linux's. It is asked about what is rare: 64-bit DWARF,
compressed sections, strings by index.
"""

from collections.abc import Iterator, Mapping
from struct import Struct

from emu.firmware.entries import children
from emu.firmware.leb128 import signed, unsigned
from emu.hints import Any, NamedTuple

_STRUCTURE, _TYPEDEF = "DW_TAG_structure_type", "DW_TAG_typedef"
_TAG_STRUCTURE, _TAG_TYPEDEF = 0x13, 0x16
_MOST_TYPEDEFS = 64
"""That lead from one to the next."""
_SIBLING, _NAME, _BYTE_SIZE, _TYPE = 0x01, 0x03, 0x0B, 0x49
_LENGTH, _OLD_HEADER, _HEADER = Struct("<IH"), Struct("<IB"), Struct("<BBI")
_LONG = 0xFFFFFFF0
"""From here on lengths of units have other meanings: 64-bit DWARF."""
_COMPILED = 1
"""DW_UT_compile."""
_STRING, _STRING_PLACE, _LINE_STRING_PLACE, _CONSTANT, _PRESENT = 0x08, 0x0E, 0x1F, 0x21, 0x19
_REFERENCE, _UNSIGNED, _SIGNED = 0x13, (0x0F, 0x15, 0x1A, 0x1B, 0x22, 0x23), 0x0D
_BYTES = {
    0x01: 8, 0x05: 2, 0x06: 4, 0x07: 8, 0x0B: 1, 0x0C: 1, 0x0E: 4, 0x10: 4, 0x11: 1, 0x12: 2, 0x13: 4, 0x14: 8,
    0x17: 4, 0x19: 0, 0x1E: 16, 0x1F: 4, 0x20: 8, 0x21: 0, 0x25: 1, 0x26: 2, 0x27: 3, 0x28: 4, 0x29: 1, 0x2A: 2,
    0x2B: 3, 0x2C: 4,
}  # fmt: skip
"""Of forms whose values have as many in 32-bit DWARF on a 64-bit machine."""
_BLOCKS = {0x03: 2, 0x04: 4, 0x0A: 1}
"""Bytes that say how many follow."""
_LONG_BLOCKS = 0x09, 0x18
"""DW_FORM_block and DW_FORM_exprloc."""


class Unusual(Exception):
    """What is not read here."""


class Information(NamedTuple):
    """The contents of sections."""

    info: memoryview
    abbreviations: bytes
    strings: bytes
    line_strings: bytes


class _Abbreviation(NamedTuple):
    """What entries with one code have."""

    tag: int
    has_children: bool
    attributes: tuple[tuple[int, int, int], ...]
    """Attribute, form, and the value where that stands here."""
    size: int
    """Bytes of all, or -1 where each says."""


def structure_size(data: Information, name: str) -> int | None:
    """Bytes of the structure with this tag, or that a typedef of this name stands for; None when there is none.

    Raises Unusual for what is not read here, and whatever damaged data trips.
    """
    wanted, tables = name.encode(), dict[int, Mapping[int, _Abbreviation]]()
    at = 0
    while at < len(data.info):
        length, version = _LENGTH.unpack_from(data.info, at)
        if length >= _LONG or not 2 <= version <= 5:
            raise Unusual
        start = at + _LENGTH.size
        if version < 5:
            place, _ = _OLD_HEADER.unpack_from(data.info, start)
            start += _OLD_HEADER.size
        else:
            kind, _, place = _HEADER.unpack_from(data.info, start)
            start += _HEADER.size
            if kind != _COMPILED:
                raise Unusual
        if place not in tables:
            tables[place] = _abbreviations(data.abbreviations, place)
        unit = _Unit(data, tables[place], at, start, at + 4 + length)
        size = unit.structure_size(wanted)
        if size is not None:
            return size
        at = unit.end
    return None


def structure_size_by_library(elf: Any, name: str) -> int | None:  # pyelftools has no types
    """The same of an open `ELFFile`."""
    if not elf.has_dwarf_info():
        return None
    wanted = name.encode()
    for unit in elf.get_dwarf_info(relocate_dwarf_sections=False).iter_CUs():
        for entry in children(unit.get_top_DIE()):
            if entry.tag not in (_STRUCTURE, _TYPEDEF) or "DW_AT_name" not in entry.attributes:
                continue
            if entry.attributes["DW_AT_name"].value != wanted:
                continue
            for _ in range(_MOST_TYPEDEFS):
                if entry.tag != _TYPEDEF or "DW_AT_type" not in entry.attributes:
                    break
                entry = entry.get_DIE_from_attribute("DW_AT_type")
            if "DW_AT_byte_size" in entry.attributes:
                return int(entry.attributes["DW_AT_byte_size"].value)
    return None


class _Unit:
    """A compilation unit."""

    def __init__(
        self, data: Information, abbreviations: Mapping[int, _Abbreviation], at: int, start: int, end: int
    ) -> None:
        self._data, self._abbreviations, self._at, self._start, self.end = data, abbreviations, at, start, end

    def structure_size(self, wanted: bytes) -> int | None:
        """See above."""
        for entry in self._children():
            abbreviation, values, _ = self._read(entry)
            if self._text(values) != wanted:
                continue
            for _ in range(_MOST_TYPEDEFS):
                if abbreviation.tag != _TAG_TYPEDEF or _TYPE not in values:
                    break
                form, place = values[_TYPE]
                if form != _REFERENCE:
                    raise Unusual
                abbreviation, values, _ = self._read(self._at + place)
            if _BYTE_SIZE in values:
                return values[_BYTE_SIZE][1]
        return None

    def _children(self) -> Iterator[int]:
        """Where the structures and typedefs stand that are no part of anything else."""
        info, abbreviations, at, depth = self._data.info, self._abbreviations, self._start, 0
        while at < self.end:
            entry = at
            code, at = unsigned(info, at)
            if not code:
                depth -= 1
                if depth <= 0:
                    return
                continue
            abbreviation = abbreviations[code]
            if depth == 1 and abbreviation.tag in (_TAG_STRUCTURE, _TAG_TYPEDEF):
                yield entry
            sibling = 0
            if abbreviation.size >= 0 and (not abbreviation.has_children or depth != 1):
                at += abbreviation.size
            else:
                _, values, at = self._read(entry)
                sibling = values[_SIBLING][1] if depth == 1 and _SIBLING in values else 0
            if sibling and values[_SIBLING][0] == _REFERENCE:
                if self._at + sibling < at:
                    raise ValueError(sibling)
                at = self._at + sibling
            elif abbreviation.has_children:
                depth += 1
            elif not depth:
                return

    def _read(self, entry: int) -> tuple[_Abbreviation, dict[int, tuple[int, int]], int]:
        """What an entry is: form and value of each attribute, of text its place; and the place behind it."""
        info = self._data.info
        code, at = unsigned(info, entry)
        abbreviation, values = self._abbreviations[code], dict[int, tuple[int, int]]()
        for attribute, form, value in abbreviation.attributes:
            if form in _BYTES:
                behind = at + _BYTES[form]
                if form not in (_CONSTANT, _PRESENT):
                    value = int.from_bytes(info[at:behind], "little")
            elif form in _UNSIGNED:
                value, behind = unsigned(info, at)
            elif form == _SIGNED:
                value, behind = signed(info, at)
            elif form == _STRING:
                value, behind = at, at
                while info[behind]:
                    behind += 1
                behind += 1
            elif form in _BLOCKS:
                size = _BLOCKS[form]
                behind = at + size + int.from_bytes(info[at : at + size], "little")
            elif form in _LONG_BLOCKS:
                size, behind = unsigned(info, at)
                behind += size
            else:
                raise Unusual
            values[attribute] = form, value
            at = behind
        return abbreviation, values, at

    def _text(self, values: Mapping[int, tuple[int, int]]) -> bytes | None:
        if _NAME not in values:
            return None
        form, place = values[_NAME]
        if form == _STRING:
            return bytes(self._data.info[place : self.end]).partition(b"\0")[0]
        if form not in (_STRING_PLACE, _LINE_STRING_PLACE):
            raise Unusual
        text = self._data.strings if form == _STRING_PLACE else self._data.line_strings
        return text[place : text.index(b"\0", place)]


def _abbreviations(data: bytes, at: int) -> dict[int, _Abbreviation]:
    found: dict[int, _Abbreviation] = {}
    while True:
        code, at = unsigned(data, at)
        if not code:
            return found
        tag, at = unsigned(data, at)
        has_children, at = bool(data[at]), at + 1
        attributes, sizes = list[tuple[int, int, int]](), list[int]()
        while True:
            attribute, at = unsigned(data, at)
            form, at = unsigned(data, at)
            value = 0
            if form == _CONSTANT:
                value, at = signed(data, at)
            if not attribute and not form:
                break
            attributes.append((attribute, form, value))
            sizes.append(_BYTES.get(form, -1))
        found[code] = _Abbreviation(tag, has_children, tuple(attributes), -1 if -1 in sizes else sum(sizes))
