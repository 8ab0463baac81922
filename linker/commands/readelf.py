"""`ekernel readelf`: the headers, sections, segments, symbols and relocations of an ELF file."""

import argparse
import sys
from collections.abc import Sequence

from linker.commands.image import Image, SectionView, damage_reported, open_images
from linker.commands.run import guarded

PROGRAM = "ekernel readelf"
_FLAG_LETTERS: tuple[tuple[int, str], ...] = (
    (1, "W"),
    (2, "A"),
    (4, "X"),
    (0x10, "M"),
    (0x20, "S"),
    (0x40, "I"),
    (0x80, "L"),
    (0x200, "G"),
)
_FLAG_LETTERS += ((0x400, "T"),)
_FLOAT_ABI = {0: "soft-float ABI", 2: "single-float ABI", 4: "double-float ABI", 6: "quad-float ABI"}
_TYPES = {"ET_REL": "REL (Relocatable file)", "ET_EXEC": "EXEC (Executable file)", "ET_DYN": "DYN (Shared object file)"}


def main(argv: Sequence[str] | None = None) -> int:
    """Show what the arguments ask for. Returns the exit status."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Show what an ELF file consists of.", add_help=False)
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE")
    add("-a", "--all", action="store_true", help="everything below")
    add("-h", "--file-header", action="store_true", help="the ELF header", dest="header")
    add("-S", "--section-headers", "--sections", action="store_true", help="sections", dest="sections")
    add("-l", "--program-headers", "--segments", action="store_true", help="segments", dest="segments")
    add("-s", "--symbols", "--syms", action="store_true", help="symbols", dest="symbols")
    add("-r", "--relocs", action="store_true", help="relocations", dest="relocations")
    add("-e", "--headers", action="store_true", help="all headers (-h -l -S)", dest="headers")
    add("-W", "--wide", action="store_true", help="long lines (always)")
    add("-H", "--help", action="help", help="show this help")
    options = parser.parse_args(sys.argv[1:] if argv is None else list(argv))
    return guarded(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    for path in options.files:
        for image in open_images(path):
            if len(options.files) > 1 or image.name != path:
                print(f"\nFile: {image.name}")
            with damage_reported(image.name):
                _show(image, options)
    return 0


def _show(image: Image, options: argparse.Namespace) -> None:
    if options.all or options.headers or options.header:
        _file_header(image)
    if options.all or options.headers or options.sections:
        _sections(image)
    if options.all or options.headers or options.segments:
        _segments(image)
    if options.all or options.relocations:
        _relocations(image)
    if options.all or options.symbols:
        _symbols(image)


def _file_header(image: Image) -> None:
    header = image.header
    flags = header["e_flags"]
    words = ["RVC"] * bool(flags & 1) + [_FLOAT_ABI[flags & 6]]
    rows = [
        ("Class", "ELF64"),
        ("Data", "2's complement, little endian"),
        ("Version", "1 (current)"),
        ("OS/ABI", "UNIX - System V"),
        ("ABI Version", "0"),
        ("Type", _TYPES.get(str(header["e_type"]), str(header["e_type"]))),
        ("Machine", "RISC-V"),
        ("Version", f"{header['e_version'] if isinstance(header['e_version'], int) else 1:#x}"),
        ("Entry point address", f"{header['e_entry']:#x}"),
        ("Start of program headers", f"{header['e_phoff']} (bytes into file)"),
        ("Start of section headers", f"{header['e_shoff']} (bytes into file)"),
        ("Flags", f"{flags:#x}, {', '.join(words)}"),
        ("Size of this header", f"{header['e_ehsize']} (bytes)"),
        ("Size of program headers", f"{header['e_phentsize']} (bytes)"),
        ("Number of program headers", str(header["e_phnum"])),
        ("Size of section headers", f"{header['e_shentsize']} (bytes)"),
        ("Number of section headers", str(header["e_shnum"])),
        ("Section header string table index", str(header["e_shstrndx"])),
    ]
    print("ELF Header:")
    print(f"  Magic:   {' '.join(f'{byte:02x}' for byte in image.data[:16])} ")
    for name, value in rows:
        print(f"  {name + ':':<34} {value}")


def _letters(section: SectionView) -> str:
    return "".join(letter for bit, letter in _FLAG_LETTERS if section.flags & bit)


def _sections(image: Image) -> None:
    print(f"\nThere are {len(image.sections)} section headers, starting at offset {image.header['e_shoff']:#x}:")
    print("\nSection Headers:")
    print("  [Nr] Name              Type            Address          Off    Size   ES Flg Lk Inf Al")
    for s in image.sections:
        kind = s.type.removeprefix("SHT_")
        align = 0 if s.index == 0 else s.align
        print(
            f"  [{s.index:2}] {s.name:<17} {kind:<15} {s.address:016x} {s.offset:06x} {s.size:06x} {s.entry_size:02x}"
            f" {_letters(s):>3} {s.link:>2} {s.info:>3} {align:>2}"
        )
    print("Key to Flags:\n  W (write), A (alloc), X (execute), M (merge), S (strings), I (info),")
    print("  L (link order), G (group), T (TLS)")


def _segments(image: Image) -> None:
    if not image.segments:
        print("\nThere are no program headers in this file.")
        return
    kind = _TYPES.get(str(image.header["e_type"]), str(image.header["e_type"]))
    print(f"\nElf file type is {kind}\nEntry point {image.header['e_entry']:#x}")
    print(f"There are {len(image.segments)} program headers, starting at offset {image.header['e_phoff']}")
    print("\nProgram Headers:")
    print("  Type           Offset   VirtAddr           PhysAddr           FileSiz  MemSiz   Flg Align")
    for p in image.segments:
        name = str(p["p_type"]).removeprefix("PT_")
        if name.isdigit():
            name = f"{int(name):#x}"
        flags = "".join(c if p["p_flags"] & bit else " " for bit, c in ((4, "R"), (2, "W"), (1, "E")))
        print(
            f"  {name[:14]:<14} 0x{p['p_offset']:06x} 0x{p['p_vaddr']:016x} 0x{p['p_paddr']:016x}"
            f" 0x{p['p_filesz']:06x} 0x{p['p_memsz']:06x} {flags} {p['p_align']:#x}"
        )
    print("\n Section to Segment mapping:\n  Segment Sections...")
    for index, p in enumerate(image.segments):
        names = [s.name for s in image.sections[1:] if _covers(p, s)]
        print(f"   {index:02}     {' '.join(names)} ".rstrip(" ") + " ")


def _covers(segment: dict[str, int], section: SectionView) -> bool:
    """Whether a segment holds a section, by address when it is loaded, else by its place in the file."""
    if not section.flags & 2:
        begin, end = segment["p_offset"], segment["p_offset"] + segment["p_filesz"]
        return section.size > 0 and str(segment["p_type"]) != "PT_LOAD" and begin <= section.offset < end
    if section.flags & 0x400 and section.is_nobits and str(segment["p_type"]) != "PT_TLS":
        return False
    begin = segment["p_vaddr"]
    return begin <= section.address and section.address + section.size <= begin + segment["p_memsz"]


def _relocations(image: Image) -> None:
    if not image.relocations:
        print("\nThere are no relocations in this file.")
    for index, relocations in image.relocations.items():
        section = image.sections[index]
        noun = "entry" if len(relocations) == 1 else "entries"
        print(
            f"\nRelocation section '{section.name}' at offset {section.offset:#x} contains {len(relocations)} {noun}:"
        )
        print("    Offset             Info             Type               Symbol's Value  Symbol's Name + Addend")
        for r in relocations:
            line = f"{r.offset:016x}  {r.info:016x} {r.type_name:<22}"
            if r.symbol is not None:
                sign = "-" if r.addend < 0 else "+"
                line += f" {r.symbol.value:016x} {r.symbol.name} {sign} {abs(r.addend):x}"
            else:
                line += f" {'':16} {r.addend:x}"
            print(line)


_SPECIAL = {0: "UND", 0xFFF1: "ABS", 0xFFF2: "COM"}


def _symbols(image: Image) -> None:
    if not image.symbols:
        return
    noun = "entry" if len(image.symbols) == 1 else "entries"
    print(f"\nSymbol table '.symtab' contains {len(image.symbols)} {noun}:")
    print("   Num:    Value          Size Type    Bind   Vis      Ndx Name")
    for index, s in enumerate(image.symbols):
        where = _SPECIAL.get(s.section, str(s.section))
        kind = f"{s.type:<7} {s.binding:<6} {s.visibility:<8}"
        print(f"{index:6}: {s.value:016x} {s.size:5} {kind} {where:>3} {s.name}")


if __name__ == "__main__":
    sys.exit(main())
