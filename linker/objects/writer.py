"""Writes relocatable objects: ELF64, little endian, RISC-V (System V gABI, chapters 4 and 5)."""

import struct
from dataclasses import dataclass

from linker.objects.model import (
    Group,
    ObjectFile,
    Section,
    SectionFlag,
    SectionType,
    Special,
    Symbol,
    SymbolBinding,
    SymbolType,
)

_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_SHDR = struct.Struct("<IIQQQQIIQQ")
_SYM = struct.Struct("<IBBHQQ")
_RELA = struct.Struct("<QQq")
_IDENT = b"\x7fELF\x02\x01\x01" + bytes(9)
_ET_REL = 1
_EM_RISCV = 243
_GRP_COMDAT = 1
_MAX_SECTIONS = 0xFF00
_MAX_FILE_ALIGNMENT = 4096


class StringTable:
    r"""Names, each once, addressed by their offset.

    >>> table = StringTable()
    >>> table.add("a"), table.add("bc"), table.add("a"), bytes(table.data)
    (1, 3, 1, b'\x00a\x00bc\x00')
    """

    def __init__(self) -> None:
        self.data = bytearray(b"\0")
        self._offsets: dict[str, int] = {"": 0}

    def add(self, name: str) -> int:
        """The offset of a name."""
        offset = self._offsets.get(name)
        if offset is None:
            offset = self._offsets[name] = len(self.data)
            self.data += name.encode("utf-8", "surrogateescape") + b"\0"
        return offset


@dataclass(slots=True)
class _Header:
    """A section header, with the bytes it describes."""

    name: str
    type: int
    flags: int
    data: bytes | bytearray
    size: int
    link: int = 0
    info: int = 0
    align: int = 1
    entry_size: int = 0
    address: int = 0


class _Writer:
    def __init__(self, obj: ObjectFile) -> None:
        self._obj = obj
        self._headers: list[_Header] = [_Header("", SectionType.NULL, 0, b"", 0, align=0)]
        self._indexes: dict[Section, int] = {}
        self._groups: dict[Group, int] = {}
        self._signatures: dict[Symbol, int] = {}
        self._members: dict[Group, list[Section]] = {}
        self._symbol_indexes: dict[Symbol, int] = {}
        self._names = StringTable()

    def write(self) -> bytes:
        self._number_sections()
        symbols = self._ordered_symbols()
        strings = StringTable()
        table = bytearray(_SYM.size)
        for index, symbol in enumerate(symbols, 1):
            self._symbol_indexes[symbol] = index
            table += self._symbol(symbol, strings)
        first_global = 1 + sum(symbol.binding is SymbolBinding.LOCAL for symbol in symbols)
        symtab = len(self._headers)
        self._headers.append(
            _Header(".symtab", SectionType.SYMTAB, 0, table, len(table), symtab + 1, first_global, 8, _SYM.size)
        )
        self._headers.append(_Header(".strtab", SectionType.STRTAB, 0, strings.data, len(strings.data)))
        self._fill_sections(symtab)
        return self._lay_out()

    def _number_sections(self) -> None:
        """Give every section its index: groups first, as the gABI wants, and relocations behind what they are for."""
        self._members = {group: [] for group in self._obj.groups}
        for section in self._obj.sections:
            if section.group is not None:
                self._members.setdefault(section.group, []).append(section)
        for group in self._members:
            self._groups[group] = self._signatures[group.signature] = len(self._headers)
            self._headers.append(_Header(".group", SectionType.GROUP, 0, b"", 0, align=4, entry_size=4))
        for section in self._obj.sections:
            self._indexes[section] = len(self._headers)
            nobits = section.type == SectionType.NOBITS
            data = b"" if nobits else section.data
            self._headers.append(
                _Header(
                    section.name,
                    section.type,
                    section.flags,
                    data,
                    section.size,
                    0,
                    0,
                    section.align,
                    section.entry_size,
                    section.address,
                )
            )
            if section.relocations:
                self._headers.append(_Header(f".rela{section.name}", SectionType.RELA, 0, b"", 0))
        if len(self._headers) >= _MAX_SECTIONS:
            raise ValueError(f"{self._obj.name}: an object cannot have {len(self._headers)} sections")

    def _ordered_symbols(self) -> list[Symbol]:
        """Locals before the others, and the signatures of groups among them."""
        symbols = list(self._obj.symbols)
        known = set(symbols)
        symbols += [group.signature for group in self._groups if group.signature not in known]
        return sorted(symbols, key=lambda symbol: symbol.binding is not SymbolBinding.LOCAL)

    def _symbol(self, symbol: Symbol, strings: StringTable) -> bytes:
        name = 0 if symbol.type is SymbolType.SECTION else strings.add(symbol.name)
        index = self._indexes[symbol.section] if isinstance(symbol.section, Section) else int(symbol.section)
        if symbol.section is Special.UNDEFINED and symbol.binding is SymbolBinding.LOCAL:
            # a group's signature that is no symbol of the source lives in the group, as GNU has it
            index = self._signatures.get(symbol, 0)
        return _SYM.pack(name, symbol.binding << 4 | symbol.type, symbol.visibility, index, symbol.value, symbol.size)

    def _fill_sections(self, symtab: int) -> None:
        for group, index in self._groups.items():
            header = self._headers[index]
            words = [_GRP_COMDAT if group.comdat else 0]
            for section in self._members[group]:
                words.append(self._indexes[section])
                if section.relocations:
                    words.append(self._indexes[section] + 1)
            header.data = struct.pack(f"<{len(words)}I", *words)
            header.size = len(header.data)
            header.link, header.info = symtab, self._symbol_indexes[group.signature]
        for section, index in self._indexes.items():
            header = self._headers[index]
            if section.link_order is not None:
                header.link = self._indexes[section.link_order]
            if section.relocations:
                self._fill_relocations(section, index, symtab)

    def _fill_relocations(self, section: Section, index: int, symtab: int) -> None:
        header = self._headers[index + 1]
        indexes = self._symbol_indexes
        header.data = b"".join(
            _RELA.pack(r.offset, (indexes[r.symbol] if r.symbol is not None else 0) << 32 | r.type, r.addend)
            for r in section.relocations
        )
        header.size = len(header.data)
        header.flags = SectionFlag.INFO_LINK | (SectionFlag.GROUP if section.group else 0)
        header.link, header.info, header.align, header.entry_size = symtab, index, 8, _RELA.size

    def _lay_out(self) -> bytes:
        self._headers.append(_Header(".shstrtab", SectionType.STRTAB, 0, b"", 0))
        offsets = [self._names.add(header.name) for header in self._headers]
        self._headers[-1].data = self._names.data
        self._headers[-1].size = len(self._names.data)
        body = bytearray(_EHDR.size)
        table = bytearray()
        for header, name in zip(self._headers, offsets, strict=True):
            if header.type != SectionType.NULL:
                # a linker reads sections wherever they stand, so that a huge alignment need not make a huge file
                body += bytes(-len(body) % min(max(header.align, 1), _MAX_FILE_ALIGNMENT))
            offset = 0 if header.type == SectionType.NULL else len(body)
            body += header.data
            table += _SHDR.pack(
                name, header.type, header.flags, header.address, offset, header.size, header.link, header.info,
                header.align, header.entry_size,
            )  # fmt: skip
        body += bytes(-len(body) % 8)
        count = len(self._headers)
        ehdr = _EHDR.pack(
            _IDENT,
            _ET_REL,
            _EM_RISCV,
            1,
            self._obj.entry,
            0,
            len(body),
            self._obj.flags,
            _EHDR.size,
            0,
            0,
            _SHDR.size,
            count,
            count - 1,
        )
        body[: _EHDR.size] = ehdr
        return bytes(body + table)


def write_object(obj: ObjectFile) -> bytes:
    """An object as the bytes of an ELF file (`ET_REL`, `EM_RISCV`).

    Raises:
        ValueError: it has more sections than an ELF file can number without extensions.

    """
    return _Writer(obj).write()
