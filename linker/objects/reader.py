"""Reads ELF relocatable objects into the model: 64-bit, little endian, RISC-V only."""

import struct
from io import BytesIO

from linker.errors import Diagnostic, Location, ObjectFileError
from linker.objects.compression import COMPRESSED, decompress, decompress_old, is_old
from linker.objects.model import (
    Group,
    ObjectFile,
    Relocation,
    Section,
    SectionType,
    Special,
    Symbol,
    SymbolBinding,
    SymbolType,
    SymbolVisibility,
)

_ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELA = struct.Struct("<QQq")

_ET_REL = 1
_EM_RISCV = 243
_SHN_XINDEX = 0xFFFF
_SHT_SYMTAB_SHNDX = 18
_SHT_REL = 9
_GRP_COMDAT = 1
_UNSEEN = {SectionType.SYMTAB, SectionType.STRTAB, SectionType.RELA, SectionType.GROUP, _SHT_SYMTAB_SHNDX}
_MAX_SECTION_SIZE = 1 << 40
"""Bytes: no memory that this linker lays out is larger."""


class _Header:
    """One entry of the section header table."""

    __slots__ = ("addralign", "entsize", "flags", "info", "link", "name", "name_offset", "offset", "size", "type")

    def __init__(self, fields: tuple[int, ...]) -> None:
        self.name_offset, self.type, self.flags, _, self.offset, self.size = fields[:6]
        self.link, self.info, self.addralign, self.entsize = fields[6:]
        self.name = ""


def read_object(data: bytes, name: str) -> ObjectFile:
    """Read a relocatable object.

    `name` stands in messages. Raises ObjectFileError when the data is damaged, or is an ELF of another
    machine, class, byte order or kind.

    >>> read_object(b"#!/bin/sh", "a.o")
    Traceback (most recent call last):
    ...
    linker.errors.ObjectFileError: a.o: error: not an object file: it does not start with an ELF header
    """
    check_elf(data, name, wanted_type=_ET_REL)
    return _Reader(data, name).read()


def check_elf(data: bytes, name: str, *, wanted_type: int | None = None) -> None:
    """Raise ObjectFileError unless the data starts as an ELF file for RV64, little endian (gABI, "ELF Header")."""
    if data[:4] != b"\x7fELF":
        raise _error(name, "not an object file: it does not start with an ELF header")
    # Loaded with the first file: whoever links what was just assembled does without.
    from elftools.common.exceptions import ELFError
    from elftools.construct.core import ConstructError
    from elftools.elf.elffile import ELFFile

    try:
        header = ELFFile(BytesIO(data[:64])).header
        ident = header["e_ident"]
        elf_class, byte_order = ident["EI_CLASS"], ident["EI_DATA"]
        machine, kind = header["e_machine"], header["e_type"]
    except (ELFError, ConstructError, ValueError, KeyError, TypeError, AttributeError) as reason:
        raise _error(name, "damaged ELF header") from reason
    if elf_class != "ELFCLASS64":
        raise _error(name, "a 32-bit object: this toolchain links RV64 only (compile with -march=rv64gc -mabi=lp64d)")
    if byte_order != "ELFDATA2LSB":
        raise _error(name, "a big-endian object: this toolchain links little-endian RV64 only")
    if machine != "EM_RISCV":
        raise _error(name, f"an object for another machine ({machine}), not for RISC-V")
    if wanted_type == _ET_REL and kind != "ET_REL":
        what = {"ET_EXEC": "an executable", "ET_DYN": "a shared object", "ET_CORE": "a core dump"}.get(str(kind), kind)
        raise _error(name, f"{what}, not a relocatable object: link the .o files that it was made of")


def _error(name: str, message: str) -> ObjectFileError:
    return ObjectFileError([Diagnostic(message, Location(name))])


class _Reader:
    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        self.flags = 0
        self.headers: list[_Header] = []
        self.by_index: dict[int, Section] = {}
        self.symbols: list[Symbol | None] = []

    def damaged(self, what: str) -> ObjectFileError:
        return _error(self.name, f"damaged object: {what}")

    def read(self) -> ObjectFile:
        self._read_headers()
        result = ObjectFile(self.name, flags=self.flags)
        for index, header in enumerate(self.headers):
            if index and header.type not in _UNSEEN and header.type != SectionType.NULL:
                section = self._section(header)
                self.by_index[index] = section
                result.sections.append(section)
        self._read_symbols()
        result.symbols = [symbol for symbol in self.symbols if symbol is not None]
        self._read_links()
        for index, header in enumerate(self.headers):
            if header.type == SectionType.RELA:
                self._read_relocations(header)
            elif header.type == SectionType.GROUP:
                self._read_group(header)
            elif header.type == _SHT_REL:
                raise self.damaged(f"section {index} holds REL relocations; RISC-V uses RELA")
        return result

    def _read_headers(self) -> None:
        if len(self.data) < _ELF_HEADER.size:
            raise self.damaged("the ELF header is cut off")
        fields = _ELF_HEADER.unpack_from(self.data)
        table, self.flags, entry_size, count, names = fields[6], fields[7], fields[11], fields[12], fields[13]
        if table == 0:
            return
        if entry_size != _SECTION_HEADER.size:
            raise self.damaged(f"a section header has {entry_size} bytes instead of {_SECTION_HEADER.size}")
        first = self._unpack_header(table)
        count = count or first.size
        names = first.link if names == _SHN_XINDEX else names
        if count * _SECTION_HEADER.size > len(self.data) - table:
            raise self.damaged(f"its {count} section headers reach beyond the end of the file")
        self.headers = [self._unpack_header(table + i * _SECTION_HEADER.size) for i in range(count)]
        if names >= count:
            raise self.damaged(f"section names in section {names} of {count}")
        text = self._bytes(self.headers[names])
        for header in self.headers:
            header.name = self._string(text, header.name_offset)

    def _unpack_header(self, offset: int) -> _Header:
        try:
            return _Header(_SECTION_HEADER.unpack_from(self.data, offset))
        except (struct.error, OverflowError) as reason:
            raise self.damaged("the section headers lie beyond the end of the file") from reason

    def _bytes(self, header: _Header) -> bytes:
        if header.type == SectionType.NOBITS:
            return b""
        if header.offset + header.size > len(self.data):
            raise self.damaged(f"section '{header.name}' reaches beyond the end of the file")
        return self.data[header.offset : header.offset + header.size]

    def _string(self, text: bytes, offset: int) -> str:
        if offset > len(text) or (offset == len(text) and offset):
            raise self.damaged(f"a name lies beyond its string table (offset {offset})")
        end = text.find(b"\0", offset)
        return text[offset : end if end >= 0 else len(text)].decode("utf-8", "surrogateescape")

    def _section(self, header: _Header) -> Section:
        name, data, align = header.name, self._bytes(header), header.addralign
        try:
            if header.flags & COMPRESSED:
                data, align = decompress(data)
            elif is_old(name, data):
                name, data = decompress_old(name, data)
        except ValueError as reason:
            raise self.damaged(f"section '{name}' {reason}") from None
        align = align or 1
        if align & (align - 1) or align > 1 << 32:
            raise self.damaged(f"section '{header.name}' has alignment {align}, not a power of two")
        if header.size > _MAX_SECTION_SIZE:
            raise self.damaged(f"section '{header.name}' claims {header.size} bytes")
        nobits = header.type == SectionType.NOBITS
        return Section(
            name,
            header.type,
            header.flags & ~COMPRESSED,
            align,
            header.entsize,
            bytearray(data),
            header.size if nobits else 0,
        )

    def _read_symbols(self) -> None:
        table = next((h for h in self.headers if h.type == SectionType.SYMTAB), None)
        if table is None:
            return
        raw = self._bytes(table)
        if len(raw) % _SYMBOL.size:
            raise self.damaged("the symbol table is cut off")
        names = self._bytes(self._header(table.link))
        wide = self._wide_indices()
        for index, (name, info, other, where, value, size) in enumerate(_SYMBOL.iter_unpack(raw)):
            if index == 0:
                self.symbols.append(None)
                continue
            text = self._string(names, name)
            if where == _SHN_XINDEX:
                where = wide[index] if index < len(wide) else 0
                section: Section | Special = self._symbol_section(where, text)
            else:
                section = self._symbol_section(where, text)
            self.symbols.append(self._symbol(text, info, other, section, value, size))

    def _symbol(self, name: str, info: int, other: int, section: "Section | Special", value: int, size: int) -> Symbol:
        binding, kind = info >> 4, info & 0xF
        if binding > SymbolBinding.WEAK:
            raise self.damaged(f"symbol '{name}' has the binding {binding}, which is none of local, global and weak")
        if kind > SymbolType.TLS:
            raise self.damaged(f"symbol '{name}' has the type {kind}, which is not supported")
        if kind == SymbolType.SECTION and not name and isinstance(section, Section):
            name = section.name
        return Symbol(name, section, value, size, SymbolBinding(binding), SymbolType(kind), SymbolVisibility(other & 3))

    def _wide_indices(self) -> tuple[int, ...]:
        header = next((h for h in self.headers if h.type == _SHT_SYMTAB_SHNDX), None)
        if header is None:
            return ()
        raw = self._bytes(header)
        return struct.unpack(f"<{len(raw) // 4}I", raw[: len(raw) // 4 * 4])

    def _symbol_section(self, index: int, name: str) -> "Section | Special":
        if index in self.by_index:
            return self.by_index[index]
        try:
            return Special(index)
        except ValueError:
            if 0 < index < len(self.headers):  # the symbol of a relocation or group section
                return Special.ABSOLUTE
            raise self.damaged(f"symbol '{name}' lies in section {index}, which does not exist") from None

    def _header(self, index: int) -> _Header:
        if not 0 <= index < len(self.headers):
            raise self.damaged(f"a reference to section {index}, which does not exist")
        return self.headers[index]

    def _linked_symbol(self, index: int, what: str) -> Symbol | None:
        if not 0 <= index < len(self.symbols):
            raise self.damaged(f"{what} names symbol {index} of {len(self.symbols)}")
        return self.symbols[index]

    def _read_links(self) -> None:
        for index, section in self.by_index.items():
            link = self.headers[index].link
            if section.flags & 0x80 and link:
                section.link_order = self.by_index.get(link)

    def _read_relocations(self, header: _Header) -> None:
        target = self.by_index.get(header.info)
        if target is None:
            raise self.damaged(f"section '{header.name}' relocates section {header.info}, which has no contents")
        raw = self._bytes(header)
        if len(raw) % _RELA.size:
            raise self.damaged(f"section '{header.name}' is cut off")
        limit = len(target.data)
        symbols, append = self.symbols, target.relocations.append
        count = len(symbols)
        for offset, info, addend in _RELA.iter_unpack(raw):
            index = info >> 32
            if index >= count and index:
                raise self.damaged(f"a relocation at {target.name}+{offset:#x} names symbol {index} of {count}")
            if offset > limit:
                if not info & 0xFFFF_FFFF:  # GNU ld -r leaves those of unwind entries without code out there
                    continue
                raise self.damaged(f"a relocation at {target.name}+{offset:#x} lies beyond the section's end")
            append(Relocation(offset, info & 0xFFFF_FFFF, symbols[index] if index else None, addend))

    def _read_group(self, header: _Header) -> None:
        raw = self._bytes(header)
        if len(raw) < 4 or len(raw) % 4:
            raise self.damaged(f"section group '{header.name}' is cut off")
        signature = self._linked_symbol(header.info, f"section group '{header.name}'")
        if signature is None:
            raise self.damaged(f"section group '{header.name}' has no signature")
        flags, *members = struct.unpack(f"<{len(raw) // 4}I", raw)
        group = Group(signature, bool(flags & _GRP_COMDAT))
        for index in members:
            if index in self.by_index:
                self.by_index[index].group = group
            elif not 0 < index < len(self.headers):
                raise self.damaged(f"section group '{header.name}' holds section {index}, which does not exist")
