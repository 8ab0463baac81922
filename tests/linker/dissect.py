"""Where the programs and scripts of these tests are, and what two executables have in common."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = Path(__file__).parent / "link" / "programs"
SCRIPTS = Path(__file__).parent / "link" / "scripts"

Oracle = Callable[[str], str]


@dataclass
class Anatomy:
    """What of an executable must be the same."""

    header: dict[str, object] = field(default_factory=dict)
    sections: list[tuple[object, ...]] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    segments: list[tuple[object, ...]] = field(default_factory=list)
    symbols: list[tuple[object, ...]] = field(default_factory=list)
    """Sorted: their order in the file is no promise."""


_OWN_TABLES = (".symtab", ".strtab", ".shstrtab")
_HEADER = struct.Struct("<16x2HIQQQI6H")
_SECTION, _SEGMENT, _SYMBOL = struct.Struct("<2I4Q2I2Q"), struct.Struct("<2I6Q"), struct.Struct("<I2BH2Q")
_SYMTAB, _NOBITS = 2, 8
_STT_SECTION, _STT_FILE = 3, 4


def dissect(path: Path) -> Anatomy:
    """Take an executable apart: the tables of the gABI, chapters 4 and 5, as numbers."""
    image = path.read_bytes()
    result = Anatomy()
    fields = _HEADER.unpack_from(image)
    kind, machine, _, entry, segments_at, sections_at, flags, _, _, segments, _, count, names = fields
    result.header = {"e_type": kind, "e_machine": machine, "e_entry": entry, "e_flags": flags}
    table = [_SECTION.unpack_from(image, sections_at + _SECTION.size * index) for index in range(count)]
    titles = [_text(image, table[names], row[0]) for row in table]
    for title, row in zip(titles, table, strict=True):
        if title in _OWN_TABLES or not title:
            continue
        result.sections.append((title, *row[1:6], row[8], row[9]))  # type flags address offset size alignment entsize
        if row[1] != _NOBITS:
            result.contents[title] = image[row[4] : row[4] + row[5]]
    for index in range(segments):
        result.segments.append(_SEGMENT.unpack_from(image, segments_at + _SEGMENT.size * index))
    for row in table:
        if row[1] != _SYMTAB:
            continue
        for name, info, other, home, value, size in _SYMBOL.iter_unpack(image[row[4] : row[4] + row[5]]):
            # LLVM leaves temporary labels without a name, which nobody can look up.
            if name and info & 0xF not in (_STT_SECTION, _STT_FILE):
                where = titles[home] if home < count else home
                text = _text(image, table[row[6]], name)
                result.symbols.append((text, value, size, info & 0xF, info >> 4, other & 3, where))
    result.symbols.sort(key=repr)
    return result


def _text(image: bytes, table: tuple[int, ...], offset: int) -> str:
    start = table[4] + offset
    return image[start : image.index(b"\0", start)].decode("utf-8", "surrogateescape")
