"""`ekernel objdump`: disassembly, section headers, symbols, relocations and contents."""

from __future__ import annotations

import argparse
import linecache
import sys
from bisect import bisect_right
from io import BytesIO
from typing import TYPE_CHECKING

from elftools.elf.elffile import ELFFile

from linker.commands.image import Image, RelocationView, SectionView, SymbolView, damage_reported, open_images
from linker.commands.objcopy import load_address
from linker.commands.run import guarded
from linker.objects.reader import read_object
from linker.parts.inputs import LineRow
from linker.relocate.lines import read_lines, read_rows, section_base

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from capstone import Cs

PROGRAM = "ekernel objdump"
_NO_CONTENTS = {"SHT_NULL", "SHT_SYMTAB", "SHT_STRTAB", "SHT_RELA", "SHT_GROUP", "SHT_SYMTAB_SHNDX"}
_CODE = 0x4
_ALLOC = 0x2


def main(argv: Sequence[str] | None = None) -> int:
    """Show what the arguments ask for. Returns the exit status."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Look into objects and executables.", add_help=False)
    add = parser.add_argument
    add("files", nargs="*", default=["a.out"], metavar="FILE")
    add("-d", "--disassemble", action="store_true", help="disassemble code")
    add("-D", "--disassemble-all", action="store_true", help="disassemble all sections")
    add("-S", "--source", action="store_true", help="disassemble, with source lines")
    add("-h", "--section-headers", "--headers", action="store_true", help="sections", dest="headers")
    add("-t", "--syms", action="store_true", help="symbols")
    add("-r", "--reloc", action="store_true", help="relocations")
    add("-s", "--full-contents", action="store_true", help="the bytes of sections")
    add("-f", "--file-headers", action="store_true", help="a summary of the file")
    add("-j", "--section", action="append", default=[], metavar="NAME", help="only this section")
    add("-M", "--disassembler-options", metavar="OPTIONS", help="accepted, without effect")
    add("-H", "--help", action="help", help="show this help")
    options = parser.parse_args(sys.argv[1:] if argv is None else list(argv))
    return guarded(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    for path in options.files:
        for image in open_images(path):
            print(f"\n{image.name}:     file format elf64-littleriscv\n")
            with damage_reported(image.name):
                _show(image, options)
    return 0


def _show(image: Image, options: argparse.Namespace) -> None:
    if options.file_headers:
        print(f"architecture: riscv:rv64\nstart address 0x{image.header['e_entry']:016x}\n")
    if options.headers:
        _headers(image)
    if options.syms:
        _symbols(image)
    disassembling = options.disassemble or options.disassemble_all or options.source
    if options.reloc and not disassembling:
        _relocations(image)
    if options.full_contents:
        _contents(image, options.section)
    if disassembling:
        _disassemble(image, options)


def _chosen(section: SectionView, names: list[str]) -> bool:
    return not names or section.name in names


def _headers(image: Image) -> None:
    print("Sections:\nIdx Name          Size      VMA               LMA               File off  Algn")
    shown = [s for s in image.sections[1:] if s.type not in ("SHT_SYMTAB", "SHT_STRTAB", "SHT_RELA", "SHT_GROUP")]
    for index, section in enumerate(shown):
        power = section.align.bit_length() - 1
        lma = load_address(image, section)
        print(
            f"{index:3} {section.name:<13} {section.size:08x}  {section.address:016x}  {lma:016x}"
            f"  {section.offset:08x}  2**{power}"
        )
        print(" " * 18 + ", ".join(_words(image, section)))


def _words(image: Image, section: SectionView) -> Iterator[str]:
    if not section.is_nobits:
        yield "CONTENTS"
    if section.flags & _ALLOC:
        yield "ALLOC"
        if not section.is_nobits:
            yield "LOAD"
    if any(relocations and image.sections[i].info == section.index for i, relocations in image.relocations.items()):
        yield "RELOC"
    if not section.flags & 0x1:
        yield "READONLY"
    if section.flags & _CODE:
        yield "CODE"
    elif section.flags & _ALLOC and not section.is_nobits:
        yield "DATA"
    if section.name.startswith(".debug"):
        yield "DEBUGGING"
    if section.flags & 0x400:
        yield "THREAD_LOCAL"


def _symbols(image: Image) -> None:
    print("SYMBOL TABLE:")
    if not image.symbols[1:]:
        print("no symbols")
    for symbol in image.symbols[1:]:
        scope = {"LOCAL": "l", "GLOBAL": "g", "WEAK": " "}.get(symbol.binding, "u")
        if symbol.section == 0 and symbol.binding != "WEAK":
            scope = " "
        weak = "w" if symbol.binding == "WEAK" else " "
        debug = "d" if symbol.type in ("SECTION", "FILE") else " "
        kind = {"FUNC": "F", "OBJECT": "O", "FILE": "f"}.get(symbol.type, " ")
        hidden = ".hidden " if symbol.visibility == "HIDDEN" else ""
        where = image.section_name(symbol.section)
        print(f"{symbol.value:016x} {scope}{weak}    {debug}{kind} {where}\t{symbol.size:016x} {hidden}{symbol.name}")
    print()


def _relocations(image: Image) -> None:
    for index, relocations in image.relocations.items():
        target = image.sections[image.sections[index].info].name
        print(f"RELOCATION RECORDS FOR [{target}]:\nOFFSET           TYPE              VALUE")
        for relocation in relocations:
            print(f"{relocation.offset:016x} {relocation.type_name:<17} {_target(relocation)}")
        print("\n")


def _target(relocation: RelocationView) -> str:
    name = relocation.symbol.name if relocation.symbol is not None else "*ABS*"
    if not relocation.addend:
        return name
    return f"{name}{'-' if relocation.addend < 0 else '+'}0x{abs(relocation.addend):016x}"


def _contents(image: Image, names: list[str]) -> None:
    for section in image.sections[1:]:
        if section.type in ("SHT_SYMTAB", "SHT_STRTAB", "SHT_RELA") and not names:
            continue
        if not section.data or not _chosen(section, names):
            continue
        print(f"Contents of section {section.name}:")
        width = max(4, len(f"{section.address + section.size:x}"))
        for offset in range(0, len(section.data), 16):
            row = section.data[offset : offset + 16]
            words = " ".join(row[i : i + 4].hex() for i in range(0, len(row), 4))
            text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
            print(f" {section.address + offset:0{width}x} {words:<35}  {text:<16}")


def _disassemble(image: Image, options: argparse.Namespace) -> None:
    lister = _Lister(image, options)
    for section in image.sections[1:]:
        wanted = options.disassemble_all or section.flags & _CODE or section.name in options.section
        if wanted and section.data and _chosen(section, options.section):
            lister.section(section)


class _Lister:
    def __init__(self, image: Image, options: argparse.Namespace) -> None:
        self.image = image
        self.options = options
        self.engine = _engine()
        self.rows = _source_rows(image) if options.source else []
        self.starts = [row.address for row in self.rows]
        self.bias = 0
        self.shown: tuple[str, int] = ("", 0)

    def section(self, section: SectionView) -> None:
        print(f"\nDisassembly of section {section.name}:")
        labels = _labels(self.image, section)
        self.bias = section_base(self._number(section)) if self.image.is_object else 0
        addresses = sorted(labels)
        relocations = self._relocations_of(section)
        position = 0
        if not addresses or addresses[0] > section.address:
            print(f"\n{section.address:016x} <{section.name}>:")
        while position < len(section.data):
            address = section.address + position
            if address in labels:
                print(f"\n{address:016x} <{labels[address]}>:")
            if self.rows:
                self._source(address)
            following = bisect_right(addresses, address)
            limit = addresses[following] - section.address if following < len(addresses) else len(section.data)
            position += self._line(section, position, limit, labels, addresses)
            while relocations and relocations[0].offset + (0 if self.image.is_object else section.address) < (
                section.address + position
            ):
                relocation = relocations.pop(0)
                print(f"\t\t\t{relocation.offset:x}: {relocation.type_name}\t{_target(relocation)}")

    def _number(self, section: SectionView) -> int:
        """Which of the sections with contents it is, as the reader counts them."""
        return sum(s.type not in _NO_CONTENTS for s in self.image.sections[: section.index])

    def _relocations_of(self, section: SectionView) -> list[RelocationView]:
        if not self.options.reloc:
            return []
        found = [
            r for i, rs in self.image.relocations.items() if self.image.sections[i].info == section.index for r in rs
        ]
        return sorted(found, key=lambda relocation: relocation.offset)

    def _line(
        self, section: SectionView, position: int, limit: int, labels: dict[int, str], addresses: list[int]
    ) -> int:
        address = section.address + position
        data = section.data[position : min(position + 4, max(limit, position + 1))]
        length = 4 if data[0] & 3 == 3 else 2
        if len(data) < length:
            text = "".join(f" {byte:02x}" for byte in data)
            print(f"{address:8x}:\t{data[::-1].hex():<12}\t.byte\t{text.strip().replace(' ', ', 0x')}")
            return len(data)
        code = data[:length]
        raw = code[::-1].hex()
        decoded = next(self.engine.disasm_lite(code, address, 1), None)
        if decoded is None:
            name = ".short" if length == 2 else ".word"
            print(f"{address:8x}:\t{raw:<12}\t{name}\t0x{raw}")
            return length
        _, _, mnemonic, operands = decoded
        comment = _target_name(code, address, labels, addresses)
        text = f"{mnemonic}\t{operands.replace(', ', ',')}{comment}".rstrip()
        print(f"{address:8x}:\t{raw:<12}\t{text}")
        return length

    def _source(self, address: int) -> None:
        index = bisect_right(self.starts, address + self.bias) - 1
        if index < 0 or not self.rows[index].line:
            return
        _, file, line = self.rows[index]
        if (file, line) != self.shown:
            self.shown = (file, line)
            text = linecache.getline(file, line).rstrip("\n")
            print(f"{file}:{line}" + (f"\n{text}" if text else ""))


def _engine() -> Cs:
    from capstone import CS_ARCH_RISCV, CS_MODE_RISCV64, CS_MODE_RISCVC, Cs

    return Cs(CS_ARCH_RISCV, CS_MODE_RISCV64 | CS_MODE_RISCVC)


def _labels(image: Image, section: SectionView) -> dict[int, str]:
    """Names by address: functions and globals before local labels."""
    rank = {"GLOBAL": 0, "WEAK": 1, "LOCAL": 2}
    best: dict[int, tuple[int, SymbolView]] = {}
    base = section.address if image.is_object else 0
    for symbol in image.symbols:
        if symbol.section != section.index or not symbol.name or symbol.type in ("SECTION", "FILE"):
            continue
        if symbol.name.startswith((".L", "$")):
            continue
        address, order = symbol.value + base, rank.get(symbol.binding, 3)
        if address not in best or order < best[address][0]:
            best[address] = (order, symbol)
    return {address: symbol.name for address, (_, symbol) in best.items()}


def _target_name(code: bytes, address: int, labels: dict[int, str], addresses: list[int]) -> str:
    """`<symbol+offset>` for jumps and branches, whose operand is relative."""
    target = jump_target(int.from_bytes(code, "little"), len(code), address)
    if target is None:
        return ""
    index = bisect_right(addresses, target) - 1
    if index < 0:
        return f"\t# {target:x}"
    base = addresses[index]
    plus = f"+{target - base:#x}" if target != base else ""
    return f"\t# {target:x} <{labels[base]}{plus}>"


def jump_target(word: int, length: int, address: int) -> int | None:
    """Where a jump or branch goes; None for other instructions.

    >>> hex(jump_target(0x0000006F, 4, 0x1000))
    '0x1000'
    """
    if length == 4 and word & 0x7F == 0x6F:
        offset = (word >> 31) << 20 | (word >> 12 & 0xFF) << 12 | (word >> 20 & 1) << 11 | (word >> 21 & 0x3FF) << 1
        return _relative(address, offset, 21)
    if length == 4 and word & 0x7F == 0x63:
        offset = (word >> 31) << 12 | (word >> 7 & 1) << 11 | (word >> 25 & 0x3F) << 5 | (word >> 8 & 0xF) << 1
        return _relative(address, offset, 13)
    if length == 2 and word & 0xE003 == 0xA001:
        offset = (word >> 12 & 1) << 11 | (word >> 11 & 1) << 4 | (word >> 9 & 3) << 8 | (word >> 8 & 1) << 10
        offset |= (word >> 7 & 1) << 6 | (word >> 6 & 1) << 7 | (word >> 3 & 7) << 1 | (word >> 2 & 1) << 5
        return _relative(address, offset, 12)
    if length == 2 and word & 0xC003 == 0xC001:
        offset = (word >> 12 & 1) << 8 | (word >> 10 & 3) << 3 | (word >> 5 & 3) << 6 | (word >> 3 & 3) << 1
        offset |= (word >> 2 & 1) << 5
        return _relative(address, offset, 9)
    return None


def _relative(address: int, offset: int, bits: int) -> int:
    sign = 1 << (bits - 1)
    return (address + ((offset ^ sign) - sign)) & 0xFFFF_FFFF_FFFF_FFFF


def _source_rows(image: Image) -> list[LineRow]:
    """Where source lines begin; in an object, by the addresses of `linker.relocate.lines`."""
    if image.is_object:
        return read_lines(read_object(image.data, image.name))
    return read_rows(ELFFile(BytesIO(image.data)))


if __name__ == "__main__":
    sys.exit(main())
