"""`ekernel objcopy`: an executable as a raw memory image, or without symbols and debug sections."""

import argparse
import struct
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase

from linker.commands.files import read_input, write_output
from linker.commands.image import Image, SectionView, read_image
from linker.commands.run import guarded
from linker.errors import Diagnostic, Location, ObjectFileError

PROGRAM = "ekernel objcopy"
_MAX_BINARY = 1 << 31
_ALLOC = 0x2
_HEADER = struct.Struct("<IIQQQQIIQQ")


def main(argv: Sequence[str] | None = None) -> int:
    """Copy as the arguments say. Returns the exit status."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Copy an ELF file, changed or as raw binary.")
    parser.add_argument("input", metavar="FILE")
    parser.add_argument("output", nargs="?", metavar="OUTPUT", help="where to (the input itself)")
    parser.add_argument("-O", "--output-target", default="elf64-littleriscv", metavar="FORMAT", help="binary, or ELF")
    parser.add_argument("-S", "--strip-all", action="store_true", help="leave out symbols and debug sections")
    parser.add_argument("-g", "--strip-debug", action="store_true", help="leave out debug sections")
    parser.add_argument("-j", "--only-section", action="append", default=[], metavar="NAME", help="only this section")
    parser.add_argument("-R", "--remove-section", action="append", default=[], metavar="NAME", help="not this section")
    parser.add_argument("--gap-fill", default="0", metavar="BYTE", help="what fills gaps in raw binary (0)")
    options = parser.parse_args(sys.argv[1:] if argv is None else list(argv))
    return guarded(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    data = read_input(options.input)
    image = read_image(data, options.input)
    target = options.output or options.input
    if options.output_target == "binary":
        write_output(target, to_binary(image, _chooser(options), _byte(options.gap_fill)), executable=True)
    elif options.output_target.startswith("elf64"):
        write_output(target, to_elf(image, _chooser(options), symbols=not options.strip_all), executable=True)
    else:
        hint = "binary or elf64-littleriscv"
        raise ObjectFileError([Diagnostic(f"unknown output format '{options.output_target}'", hint=hint)])
    return 0


def _byte(text: str) -> int:
    try:
        return int(text, 0) & 0xFF
    except ValueError:
        raise ObjectFileError([Diagnostic(f"'{text}' is no byte")]) from None


class _chooser:  # noqa: N801 - used as a function
    """Whether a section is to be copied."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.only = options.only_section
        self.removed = options.remove_section
        self.no_debug = options.strip_all or options.strip_debug

    def __call__(self, section: SectionView) -> bool:
        if any(fnmatchcase(section.name, pattern) for pattern in self.removed):
            return False
        if self.only and not any(fnmatchcase(section.name, pattern) for pattern in self.only):
            return False
        return not (self.no_debug and section.name.startswith((".debug", ".line", ".stab", ".gdb_index")))


def load_address(image: Image, section: SectionView) -> int:
    """Where a section is loaded: by the program header that holds it, else its own address."""
    for header in image.segments:
        begin, size = header["p_vaddr"], header["p_memsz"]
        inside = begin <= section.address and section.address + section.size <= begin + size
        if header["p_type"] == "PT_LOAD" and section.flags & _ALLOC and inside:
            return int(header["p_paddr"]) + section.address - int(begin)
    return section.address


def to_binary(image: Image, wanted: "_chooser", gap: int = 0) -> bytes:
    """The loaded bytes from the lowest load address on, without headers.

    Raises ObjectFileError when the sections lie too far apart for a file.
    """
    parts = [
        (load_address(image, section), section.data)
        for section in image.sections
        if section.flags & _ALLOC and section.data and not section.is_nobits and wanted(section)
    ]
    if not parts:
        return b""
    base = min(address for address, _ in parts)
    end = max(address + len(data) for address, data in parts)
    if end - base > _MAX_BINARY:
        message = f"the sections reach from {base:#x} to {end:#x}: too far apart for a raw binary"
        hint = "copy some of them with -j, or give load addresses with AT in the linker script"
        raise ObjectFileError([Diagnostic(message, Location(image.name), hint=hint)])
    result = bytearray(bytes([gap]) * (end - base))
    for address, data in parts:
        result[address - base : address - base + len(data)] = data
    return bytes(result)


def to_elf(image: Image, wanted: "_chooser", *, symbols: bool) -> bytes:
    """The same file with some sections left out; what is loaded keeps its place in the file."""
    linking = {"SHT_SYMTAB", "SHT_STRTAB"}
    if image.is_object:
        hint = "strip it with the linker's -s or -S instead"
        raise ObjectFileError([Diagnostic("an object's sections cannot be left out", Location(image.name), hint=hint)])
    keep = [s for s in image.sections[1:] if (wanted(s) if s.type not in linking else symbols or s.name == ".shstrtab")]
    number = {section.index: position for position, section in enumerate(keep, 1)}
    number[0] = 0
    end = max([64 + 56 * len(image.segments), *(s.offset + s.size for s in keep if s.flags & _ALLOC and s.data)])
    result = bytearray(image.data[:end])
    headers = [bytes(_HEADER.size)]
    names = bytearray(1)
    for section in keep:
        data, offset = section.data, section.offset
        if section.type == "SHT_SYMTAB":
            data = _renumbered(data, number)
        if section.name == ".shstrtab":
            continue
        if not section.flags & _ALLOC:
            result += bytes(-len(result) % section.align)
            offset = len(result)
            result += data
        headers.append(_header(image, section, len(names), offset, number))
        names += section.name.encode("utf-8", "surrogateescape") + b"\0"
    own = len(names)
    names += b".shstrtab\0"
    headers.append(_HEADER.pack(own, 3, 0, 0, len(result), len(names), 0, 0, 1, 0))
    result += names
    result += bytes(-len(result) % 8)
    table = len(result)
    result += b"".join(headers)
    struct.pack_into("<Q", result, 40, table)
    struct.pack_into("<HH", result, 60, len(headers), len(headers) - 1)
    return bytes(result)


def _header(image: Image, section: SectionView, name: int, offset: int, number: dict[int, int]) -> bytes:
    start = int.from_bytes(image.data[40:48], "little") + section.index * _HEADER.size
    fields = list(_HEADER.unpack_from(image.data, start))
    fields[0], fields[4], fields[6] = name, offset, number.get(section.link, 0)
    return _HEADER.pack(*fields)


def _renumbered(data: bytes, number: dict[int, int]) -> bytes:
    """A symbol table whose symbols name the sections by their new numbers; those of lost sections are absolute."""
    result = bytearray(data)
    for position in range(0, len(data) - 23, 24):
        (index,) = struct.unpack_from("<H", data, position + 6)
        if index < 0xFF00:
            struct.pack_into("<H", result, position + 6, number.get(index, 0xFFF1))
    return bytes(result)


if __name__ == "__main__":
    sys.exit(main())
