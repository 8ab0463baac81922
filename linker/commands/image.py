"""ELF files as the viewing commands see them: objects, executables and archives, through pyelftools."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.construct.core import ConstructError
from elftools.elf.elffile import ELFFile

from linker.commands.files import read_input
from linker.errors import Diagnostic, Location, ObjectFileError
from linker.objects.archive import is_archive, read_archive
from linker.objects.reader import check_elf
from linker.objects.riscv import R

_DAMAGE = (
    ELFError,
    ConstructError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    AssertionError,
    MemoryError,
)
_SPECIAL_SECTIONS = {"SHN_UNDEF": 0, "SHN_ABS": 0xFFF1, "SHN_COMMON": 0xFFF2}


@dataclass(slots=True)
class SectionView:
    """A section header, and its bytes."""

    index: int
    name: str
    type: str
    flags: int
    address: int
    offset: int
    size: int
    align: int
    entry_size: int
    link: int
    info: int
    data: bytes

    @property
    def is_nobits(self) -> bool:
        """Whether the file has no bytes of it."""
        return self.type == "SHT_NOBITS"


@dataclass(slots=True)
class SymbolView:
    """A symbol."""

    name: str
    value: int
    size: int
    type: str
    binding: str
    visibility: str
    section: int
    """The index of its section, or 0 undefined, 0xfff1 absolute, 0xfff2 common."""


@dataclass(slots=True)
class RelocationView:
    """A relocation."""

    offset: int
    type: int
    symbol: SymbolView | None
    addend: int
    info: int

    @property
    def type_name(self) -> str:
        """`R_RISCV_...`, or the number of an unknown type."""
        try:
            return R(self.type).elf_name
        except ValueError:
            return f"unknown: {self.type}"


@dataclass(slots=True)
class Image:
    """A file, taken apart."""

    name: str
    data: bytes
    header: Any
    sections: list[SectionView] = field(default_factory=list)
    segments: list[Any] = field(default_factory=list)
    symbols: list[SymbolView] = field(default_factory=list)
    relocations: dict[int, list[RelocationView]] = field(default_factory=dict)
    """By the index of the relocation section."""

    @property
    def is_object(self) -> bool:
        """Whether it is relocatable."""
        return bool(self.header["e_type"] == "ET_REL")

    def section_name(self, index: int) -> str:
        """The name of a section as symbol tables show it."""
        special = {0: "*UND*", 0xFFF1: "*ABS*", 0xFFF2: "*COM*"}
        if index in special:
            return special[index]
        return self.sections[index].name if index < len(self.sections) else "?"


def open_images(path: str) -> Iterator[Image]:
    """The images in a file: one, or the members of an archive. Raises ObjectFileError."""
    data = read_input(path)
    if not is_archive(data):
        yield read_image(data, path)
        return
    for member in read_archive(data, path).members:
        if member.data[:4] == b"\x7fELF":
            yield read_image(member.data, member.name)


@contextmanager
def damage_reported(name: str) -> Iterator[None]:
    """Turn what parsers raise for damaged data into ObjectFileError."""
    try:
        yield
    except _DAMAGE as error:
        reason = str(error).split("\n", 1)[0] or type(error).__name__
        raise ObjectFileError([Diagnostic(f"damaged ELF file: {reason}", Location(name))]) from error


def read_image(data: bytes, name: str) -> Image:
    """Take an ELF file apart. Raises ObjectFileError."""
    check_elf(data, name)
    with damage_reported(name):
        elf = ELFFile(BytesIO(data))
        if elf["e_shnum"] * 64 > len(data) or elf["e_phnum"] * 56 > len(data):
            message = "damaged ELF file: its header tables are larger than the file"
            raise ObjectFileError([Diagnostic(message, Location(name))])
        image = Image(name, data, elf.header)
        for index, section in enumerate(elf.iter_sections()):
            image.sections.append(_section(index, section, data))
        image.segments = [segment.header for segment in elf.iter_segments()]
        table = next((s for s in elf.iter_sections() if s["sh_type"] == "SHT_SYMTAB"), None)
        if table is not None:
            image.symbols = [_symbol(symbol, image) for symbol in table.iter_symbols()]
        for view in image.sections:
            if view.type == "SHT_RELA":
                image.relocations[view.index] = _relocations(view, image)
        return image


def _section(index: int, section: Any, data: bytes) -> SectionView:
    header = section.header
    kind = header["sh_type"]
    offset, size = header["sh_offset"], header["sh_size"]
    body = b"" if kind in ("SHT_NOBITS", "SHT_NULL") else data[offset : offset + size]
    return SectionView(
        index,
        section.name,
        str(kind),
        header["sh_flags"],
        header["sh_addr"],
        offset,
        size,
        max(header["sh_addralign"], 1),
        header["sh_entsize"],
        header["sh_link"],
        header["sh_info"],
        body,
    )


def _symbol(symbol: Any, image: Image) -> SymbolView:
    entry = symbol.entry
    where = entry["st_shndx"]
    index = where if isinstance(where, int) else _SPECIAL_SECTIONS.get(where, 0xFFF1)
    kind = str(entry["st_info"]["type"]).removeprefix("STT_")
    name = symbol.name
    if kind == "SECTION" and not name and index < len(image.sections):
        name = image.sections[index].name
    return SymbolView(
        name,
        entry["st_value"],
        entry["st_size"],
        kind,
        str(entry["st_info"]["bind"]).removeprefix("STB_"),
        str(entry["st_other"]["visibility"]).removeprefix("STV_"),
        index,
    )


def _relocations(section: SectionView, image: Image) -> list[RelocationView]:
    result = []
    for position in range(0, len(section.data) - 23, 24):
        offset = int.from_bytes(section.data[position : position + 8], "little")
        info = int.from_bytes(section.data[position + 8 : position + 16], "little")
        addend = int.from_bytes(section.data[position + 16 : position + 24], "little", signed=True)
        number = info >> 32
        symbol = image.symbols[number] if 0 < number < len(image.symbols) else None
        result.append(RelocationView(offset, info & 0xFFFF_FFFF, symbol, addend, info))
    return result
