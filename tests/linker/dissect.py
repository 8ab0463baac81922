"""Where the programs and scripts of these tests are, and what two executables have in common."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from elftools.elf.elffile import ELFFile

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
    symbols: set[tuple[object, ...]] = field(default_factory=set)


_OWN_TABLES = (".symtab", ".strtab", ".shstrtab")


def dissect(path: Path) -> Anatomy:
    """Take an executable apart with pyelftools."""
    result = Anatomy()
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        result.header = {key: elf.header[key] for key in ("e_type", "e_machine", "e_entry", "e_flags")}
        names = [section.name for section in elf.iter_sections()]
        for section in elf.iter_sections():
            if section.name in _OWN_TABLES or not section.name:
                continue
            keys = ("sh_type", "sh_flags", "sh_addr", "sh_offset", "sh_size", "sh_addralign", "sh_entsize")
            result.sections.append((section.name, *(section[key] for key in keys)))
            if section["sh_type"] != "SHT_NOBITS":
                result.contents[section.name] = section.data()
        keys = ("p_type", "p_flags", "p_offset", "p_vaddr", "p_paddr", "p_filesz", "p_memsz", "p_align")
        result.segments = [tuple(segment[key] for key in keys) for segment in elf.iter_segments()]
        table = elf.get_section_by_name(".symtab")
        for symbol in table.iter_symbols() if table is not None else ():
            info, where = symbol["st_info"], symbol["st_shndx"]
            # LLVM leaves temporary labels without a name, which nobody can look up.
            if symbol.name and info["type"] not in ("STT_SECTION", "STT_FILE"):
                home = names[where] if isinstance(where, int) else where
                visibility = symbol["st_other"]["visibility"]
                value = (symbol["st_value"], symbol["st_size"])
                result.symbols.add((symbol.name, *value, info["type"], info["bind"], visibility, home))
    return result
