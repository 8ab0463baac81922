"""The section table of an ELF64 file, read directly: pyelftools takes longer to load than a small guest to boot."""

import struct

from emu.counted import counted
from emu.hints import NamedTuple, TypeVar

B = TypeVar("B", bytes, memoryview)

# ELF gABI, chapter 4 (sections).
_TABLE = struct.Struct("<40x Q 10x HHH")
_SECTION = struct.Struct("<IIQQQQII16x")
_NO_BITS, _COMPRESSED, _ZLIB = 8, 1 << 11, 1
_PACKED = struct.Struct("<I4x Q 8x")
_EXTENDED = 0xFFFF
"""In place of an index that does not fit: section 0 has it."""


class Section(NamedTuple):
    """A section's header."""

    name: str
    kind: int
    address: int
    offset: int
    size: int
    link: int
    flags: int

    @property
    def is_packed(self) -> bool:
        """Whether its contents are compressed."""
        return bool(self.flags & _COMPRESSED)

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.size


def read_sections(data: bytes) -> list[Section]:
    """The headers of all sections; struct.error for a table that is not in the file."""
    table, size, count, names = _TABLE.unpack_from(data)
    if not table:
        return []
    _, _, _, _, _, first_size, first_link, _ = _SECTION.unpack_from(data, table)
    count, names = count or first_size, first_link if names == _EXTENDED else names
    if table + count * size > len(data):
        raise struct.error(f"the file has no room for {counted(count, 'section')}")
    headers = [_SECTION.unpack_from(data, table + size * number) for number in range(count)]
    text = data[headers[names][4] :][: headers[names][5]] if names < count else b""
    return [
        Section(_name(text, at), kind, address, offset, length, link, flags)
        for at, kind, flags, address, offset, length, link, _ in headers
    ]


def contents(data: B, section: Section) -> B:
    """What the file has of a section."""
    return data[:0] if section.kind == _NO_BITS else data[section.offset : section.offset + section.size]


def unpacked(data: bytes, section: Section) -> bytes:
    """The same, in plain bytes where they are compressed by zlib; raises zlib.error or ValueError."""
    found = contents(data, section)
    if section.is_packed:
        kind, size = _PACKED.unpack_from(found)
        packed = found[_PACKED.size :]
    elif section.name.startswith(".z"):
        kind, size = _ZLIB if found[:4] == b"ZLIB" else 0, int.from_bytes(found[4:12], "big")
        packed = found[12:]
    else:
        return found
    if kind != _ZLIB:
        raise ValueError(kind)
    import zlib

    return zlib.decompressobj().decompress(packed, size)


def _name(text: bytes, at: int) -> str:
    end = text.find(b"\0", at)
    return text[at : end if end >= 0 else None].decode("utf-8", "replace")
