"""Writes the ELF executable: headers, sections, symbol table (System V gABI, chapters 4 and 5)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from linker.objects.model import SectionType

if TYPE_CHECKING:
    from linker.parts.sections import OutputSection
    from linker.parts.segments import Segment

_ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_IDENT = b"\x7fELF\x02\x01\x01" + bytes(9)
_ET_EXEC, _EM_RISCV, _EV_CURRENT = 2, 243, 1
_SHN_LORESERVE = 0xFF00


@dataclass(frozen=True, slots=True)
class OutputSymbol:
    """An entry of the symbol table."""

    name: str
    value: int
    size: int = 0
    binding: int = 0
    type: int = 0
    visibility: int = 0
    section_index: int = 0


@dataclass(slots=True)
class StringTable:
    """Names, each stored once."""

    data: bytearray = field(default_factory=lambda: bytearray(1))
    offsets: dict[str, int] = field(default_factory=lambda: {"": 0})

    def add(self, name: str) -> int:
        """The offset of a name."""
        offset = self.offsets.get(name)
        if offset is None:
            offset = self.offsets[name] = len(self.data)
            self.data += name.encode("utf-8", "surrogateescape") + b"\0"
        return offset


def symbol_table(symbols: list[OutputSymbol]) -> tuple[bytes, bytes, int]:
    """`.symtab`, `.strtab` and the index of the first global, of symbols ordered with locals first."""
    names = StringTable()
    entries = [bytes(_SYMBOL.size)]
    first_global = 1
    for symbol in symbols:
        info = symbol.binding << 4 | symbol.type
        first_global += symbol.binding == 0
        value = symbol.value & 0xFFFF_FFFF_FFFF_FFFF
        entries.append(
            _SYMBOL.pack(names.add(symbol.name), info, symbol.visibility, symbol.section_index, value, symbol.size)
        )
    return b"".join(entries), bytes(names.data), first_global


def write_elf(
    sections: list[tuple[OutputSection, bytes]],
    segments: list[Segment],
    symbols: list[OutputSymbol] | None,
    entry: int,
    flags: int,
) -> bytes:
    """The file. Sections have their file offsets by now; without `symbols` it is stripped."""
    end = 64 + len(segments) * _PROGRAM_HEADER.size
    for section, data in sections:
        end = max(end, section.file_offset + len(data))
    image = bytearray(end)
    names = StringTable()
    headers = [bytes(_SECTION_HEADER.size)]
    for section, data in sections:
        image[section.file_offset : section.file_offset + len(data)] = data
        headers.append(_section_header(section, names.add(section.name)))
    if symbols is not None:
        table, strings, first_global = symbol_table(symbols)
        _append_table(image, headers, names, ".symtab", table, (len(headers) + 1, first_global, 8, _SYMBOL.size))
        _append_table(image, headers, names, ".strtab", strings, (0, 0, 1, 0))
    name_offset = names.add(".shstrtab")
    headers.append(_SECTION_HEADER.pack(name_offset, SectionType.STRTAB, 0, 0, len(image), len(names.data), 0, 0, 1, 0))
    image += names.data
    image += bytes(-len(image) % 8)
    header_offset = len(image)
    for header in headers:
        image += header
    program = b"".join(_program_header(segment) for segment in segments)
    image[64 : 64 + len(program)] = program
    image[:64] = _ELF_HEADER.pack(
        _IDENT,
        _ET_EXEC,
        _EM_RISCV,
        _EV_CURRENT,
        entry & 0xFFFF_FFFF_FFFF_FFFF,
        64 if segments else 0,
        header_offset,
        flags,
        64,
        _PROGRAM_HEADER.size if segments else 0,
        len(segments),
        _SECTION_HEADER.size,
        len(headers),
        len(headers) - 1,
    )
    return bytes(image)


def _append_table(
    image: bytearray,
    headers: list[bytes],
    names: StringTable,
    name: str,
    data: bytes,
    shape: tuple[int, int, int, int],
) -> None:
    link, info, align, entry_size = shape
    image += bytes(-len(image) % align)
    kind = SectionType.SYMTAB if entry_size else SectionType.STRTAB
    headers.append(
        _SECTION_HEADER.pack(names.add(name), kind, 0, 0, len(image), len(data), link, info, align, entry_size)
    )
    image += data


def _section_header(section: OutputSection, name: int) -> bytes:
    return _SECTION_HEADER.pack(
        name,
        section.elf_type,
        section.elf_flags,
        section.vma,
        section.file_offset,
        section.size,
        0,
        0,
        section.elf_align,
        section.elf_entry_size,
    )


def _program_header(segment: Segment) -> bytes:
    return _PROGRAM_HEADER.pack(
        segment.type,
        segment.elf_flags,
        *(
            value & 0xFFFF_FFFF_FFFF_FFFF
            for value in (segment.offset, segment.vaddr, segment.paddr, segment.file_size, segment.memory_size)
        ),
        segment.align,
    )
