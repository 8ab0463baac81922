"""`ld -r`: the object that joins others is GNU ld's, section by section, symbol by symbol, relocation by relocation."""

import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from linker.commands.as_ import main as our_as
from tests.linker.dissect import SCRIPTS, Oracle, dissect

PIECES = Path(__file__).parent / "pieces"
MACHINE = ["-march=rv64gc", "-mabi=lp64d"]
COMPILED = [*MACHINE, "-mcmodel=medany", "-ffreestanding"]
SCRIPT = """ENTRY(main)
SECTIONS {
  . = 0x80000000;
  .text : { first = .; *(.text .text.*) behind_code = .; }
  between = . + 2;
  PROVIDE_HIDDEN(maybe = .);
  .rodata ALIGN(64) : { *(.rodata .rodata.*) BYTE(5) . = ALIGN(32); }
  PROVIDE(absent = 7);
  PROVIDE_HIDDEN(counter_of_nobody = 8);
  .all : { *(.data .data.*) *(.sdata .sdata.*) HIDDEN(inner = .); }
  .nothing : { here = .; }
  /DISCARD/ : { *(.note.*) }
}"""
CASES = {
    "unoptimised": "gcc0.o more0.o",
    "optimised": "gcc1.o more1.o thread1.o",
    "a section for each function, debug information, common symbols": "gcc2.o more2.o start.o",
    "unwind tables, position independent": "gcc3.o thread3.o more0.o",
    "assembly": "joined.o odd.o start.o",
    "groups that two objects bring": "joined.o joined_too.o gcc2.o",
    "the same in the other order": "gcc2.o joined_too.o joined.o",
    "a single object": "joined.o",
    "relaxable": "relaxable.o joined.o",
    "of this assembler": "ours.o gcc0.o start_ours.o",
    "an archive": "gcc1.o start.o libparts.a",
    "members of a whole archive": "--whole-archive libparts.a gcc1.o",
    "a script": "-T script.ld gcc2.o joined.o start.o",
    "the script of a kernel": f"-T {SCRIPTS / 'xv6.ld'} gcc2.o start.o more2.o",
    "common symbols get places": "-d joined.o gcc2.o odd.o",
    "without debug information": "-S gcc2.o joined.o",
    "without local symbols": "-x gcc2.o joined.o",
    "stripped": "-s gcc2.o joined.o more2.o",
    "an entry and wanted symbols": "-e main -u nobody joined.o gcc1.o",
    "what nothing uses is collected": "--gc-sections -u more -e main gcc2.o more2.o joined.o",
    "symbols of the command line": "--defsym one=joined+4 --defsym two=0x123 joined.o",
    "the first definition wins": "-z muldefs gcc1.o gcc0.o",
    "an address for a section": "--section-start .data=0x1000 joined.o more1.o",
    "of Clang": "clang0.o clang_more0.o clang_thread0.o",
    "of Clang, optimised, for another system": "clang1.o clang_more1.o start.o",
    "of Clang, a section for each function, types apart": "clang2.o clang_more2.o joined.o",
    "of Clang, position independent, debug information compressed": "clang3.o clang_thread3.o more0.o",
    "of Rust": "rust0.o gcc1.o",
    "of Rust, with unwind tables, and of Clang": "rust1.o clang2.o odd.o",
    "of Rust without local symbols": "-x rust1.o clang3.o",
    "of Rust and Clang, what nothing uses collected": "--gc-sections -u more -e main rust1.o clang2.o clang_more2.o",
    "debug information compressed in GNU's old way": "zlib_gnu.o joined.o",
}


@dataclass
class Parts:
    """All of an object but where things lie in its file; symbols and relocations in their order."""

    header: dict[str, object]
    sections: list[tuple[object, ...]] = field(default_factory=list)
    symbols: list[tuple[object, ...]] = field(default_factory=list)
    relocations: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)


_TABLES = ("SHT_SYMTAB", "SHT_STRTAB", "SHT_RELA")


def take_apart(path: Path) -> Parts:
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        keys = ("e_type", "e_machine", "e_entry", "e_flags", "e_phnum", "e_phoff")
        result = Parts({key: elf.header[key] for key in keys})
        sections = list(elf.iter_sections())
        table = elf.get_section_by_name(".symtab")

        def symbol(index: int) -> tuple[object, ...]:
            entry = table.get_symbol(index)
            info, where = entry["st_info"], entry["st_shndx"]
            home = f"{where} {sections[where].name}" if isinstance(where, int) else where
            value = (entry["st_value"], entry["st_size"], entry["st_other"]["visibility"])
            return (entry.name, *value, info["type"], info["bind"], home)

        # The symbols of groups' own sections: nothing can refer to them.
        groups = {f"{number} {section.name}" for number, section in enumerate(sections) if section.name == ".group"}
        every = [symbol(index) for index in range(table.num_symbols())]
        result.symbols = [s for s in every if s[4] != "STT_SECTION" or s[6] not in groups]
        for number, section in enumerate(sections):
            keys = ("sh_type", "sh_flags", "sh_addr", "sh_size", "sh_addralign", "sh_entsize")
            own = section["sh_type"] in ("SHT_SYMTAB", "SHT_STRTAB")
            shape = () if own else tuple(section[key] for key in keys)
            result.sections.append((section.name, *shape, sections[section["sh_link"]].name))
            key = f"{number} {section.name}"
            if section["sh_type"] == "SHT_RELA":
                result.relocations[f"{section['sh_info']} {key}"] = [
                    # An empty relocation says nothing, wherever it is; GNU's may lie behind the section's end.
                    (r["r_info_type"] and r["r_offset"], r["r_info_type"], symbol(r["r_info_sym"]), r["r_addend"])
                    for r in section.iter_relocations()
                ]
            elif section["sh_type"] == "SHT_GROUP":
                result.relocations[key] = [symbol(section["sh_info"])]
                words = struct.unpack(f"<{section['sh_size'] // 4}I", section.data())
                result.relocations[key] += [(words[0], *sorted(words[1:]))]
            elif section["sh_type"] not in (*_TABLES, "SHT_NOBITS"):
                result.contents[key] = section.data()
    return result


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory, oracle: Oracle) -> Path:
    """A directory with the objects that the cases name."""
    home = tmp_path_factory.mktemp("parts")
    gcc, assembler, archiver = (oracle(f"riscv64-unknown-elf-{tool}") for tool in ("gcc", "as", "ar"))
    flags = {
        "0": ["-O0"],
        "1": ["-O1", "-g"],
        "2": ["-O2", "-g", "-fcommon", "-ffunction-sections", "-fdata-sections"],
        "3": ["-Os", "-fPIC", "-fasynchronous-unwind-tables", "-fpatchable-function-entry=2", "-ffunction-sections"],
    }
    commands: list[list[str]] = []
    for kind, options in flags.items():
        for source, name in (("code.c", "gcc"), ("more.c", "more"), ("thread.c", "thread")):
            commands.append([gcc, *COMPILED, *options, "-c", source, "-o", str(home / f"{name}{kind}.o")])
    clang = {
        "0": ["--target=riscv64-unknown-elf", "-O0", "-g"],
        "1": ["--target=riscv64-unknown-linux-gnu", "-O1", "-fno-pic", "-faddrsig", "-fstack-size-section"],
        "2": ["--target=riscv64-unknown-elf", "-O2", "-g", "-fdata-sections", "-ffunction-sections", "-fcommon"],
        "3": ["--target=riscv64-unknown-elf", "-Os", "-fPIC", "-g", "-gz=zlib", "-fasynchronous-unwind-tables"],
    }
    clang["2"].append("-fdebug-types-section")
    for kind, options in clang.items():
        for source, name in (("code.c", "clang"), ("more.c", "clang_more"), ("thread.c", "clang_thread")):
            commands.append([oracle("clang"), *COMPILED, *options, "-c", source, "-o", str(home / f"{name}{kind}.o")])
    rust = [oracle("/usr/bin/rustc"), "--target=riscv64gc-unknown-none-elf", "-Cpanic=abort", "crate.rs"]
    commands.append([*rust, "-g", f"--emit=obj={home}/rust0.o"])
    commands.append([*rust, "-Copt-level=2", "-g", "-Cforce-unwind-tables=yes", f"--emit=obj={home}/rust1.o"])
    commands.append([gcc, *COMPILED, "-O1", "-g", "-gz=zlib-gnu", "-c", "code.c", "-o", str(home / "zlib_gnu.o")])
    commands.append([assembler, *MACHINE, "-mno-relax", "start.s", "-o", str(home / "start.o")])
    commands.append([assembler, *MACHINE, "odd.s", "-o", str(home / "odd.o")])
    commands.append([assembler, *MACHINE, "start.s", "-o", str(home / "relaxable.o")])
    for command in commands:
        environment = {"RUSTC_BOOTSTRAP": "1", "PATH": "/usr/bin:/bin"}
        subprocess.run(command, check=True, cwd=PIECES, env=environment, capture_output=True)
    text = (PIECES / "joined.s").read_text()
    for name in ("joined", "joined_too", "plain", "ours"):
        source = home / f"{name}.s"
        own = text.partition("# What has a meaning in objects only.")[0] if name in ("plain", "ours") else text
        source.write_text(own.replace("SELF", name).replace("elsewhere_too", f"{name}_elsewhere"))
        if name != "ours":
            subprocess.run(
                [assembler, *MACHINE, source.name, "-o", f"{name}.o"], check=True, cwd=home, capture_output=True
            )
    assert our_as([*MACHINE, str(home / "ours.s"), "-o", str(home / "ours.o")]) == 0
    assert our_as([*MACHINE, str(PIECES / "start.s"), "-o", str(home / "start_ours.o")]) == 0
    subprocess.run([archiver, "rcs", "libparts.a", "more0.o", "thread1.o", "odd.o"], check=True, cwd=home)
    (home / "script.ld").write_text(SCRIPT)
    return home


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_joined_object_is_that_of_gnu(
    case: str, pool: Path, monkeypatch: pytest.MonkeyPatch, gnu_ld: Callable[..., Path], our_ld: Callable[..., Path]
) -> None:
    arguments = [str(pool / word) if (pool / word).exists() else word for word in case.split()]
    expected, found = take_apart(gnu_ld("-r", *arguments)), take_apart(our_ld("-r", *arguments))
    assert found.header == expected.header
    assert found.sections == expected.sections
    assert found.symbols == expected.symbols
    assert found.relocations == expected.relocations
    assert [key for key, data in expected.contents.items() if found.contents.get(key) != data] == []


@pytest.mark.parametrize(
    "parts",
    [
        "gcc2.o plain.o",
        "thread1.o gcc1.o plain.o",
        "ours.o gcc0.o start_ours.o",
        "start.o gcc2.o ours.o",
        "clang3.o plain.o rust1.o",
    ],
)
def test_a_link_of_a_joined_object_is_that_of_gnus_two_steps(
    parts: str, pool: Path, tmp_path: Path, gnu_ld: Callable[..., Path], our_ld: Callable[..., Path]
) -> None:
    objects = [pool / name for name in parts.split()]
    theirs = gnu_ld("-r", *objects).rename(tmp_path / "theirs.o")
    mine = our_ld("-r", *objects).rename(tmp_path / "mine.o")
    rest = ["--defsym", "_stack_top=main", "--defsym", "elsewhere=3", "-e", "main", pool / "more1.o"]
    for extra in ([], ["--gc-sections"], ["-T", SCRIPTS / "rcore.ld"]):
        gnu = gnu_ld(*extra, *rest, theirs)
        expected, found = dissect(gnu), dissect(our_ld(*extra, *rest, mine))
        assert found == expected
        # GNU's second step makes the same file of either object, to the last byte.
        data = gnu.read_bytes()
        assert gnu_ld(*extra, *rest, mine).read_bytes().replace(b"mine.o", b"theirs.o") == data


def test_the_spellings_of_the_option_mean_the_same(pool: Path, our_ld: Callable[..., Path]) -> None:
    results = [
        our_ld(flag, pool / "joined.o").read_bytes() for flag in ("-r", "-i", "-Ur", "--relocatable", "-relocatable")
    ]
    assert len(set(results)) == 1
    assert not our_ld("-r", pool / "joined.o").stat().st_mode & 0o111
