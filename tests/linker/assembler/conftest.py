"""GNU `as` as the reference: the same source through both, and everything that differs."""

import io
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from linker.assembler import AssemblerOptions, assemble
from linker.errors import AssemblyError
from linker.objects.writer import write_object

DEFAULT = AssemblerOptions()
_BOOKKEEPING = ("SHT_SYMTAB", "SHT_STRTAB", "SHT_NULL", "SHT_RELA", "SHT_GROUP")


def describe(data: bytes) -> dict[str, Any]:
    """What matters of an object: sections, relocations, symbols, groups, without the order of symbols."""
    elf = ELFFile(io.BytesIO(data))
    table = elf.get_section_by_name(".symtab")
    described: dict[str, Any] = {"flags": elf["e_flags"]}

    def name_of(index: int) -> tuple[str, int]:
        symbol = table.get_symbol(index)
        if symbol["st_info"]["type"] == "STT_SECTION":
            return "section " + elf.get_section(symbol["st_shndx"]).name, 0
        return symbol.name, symbol["st_value"]

    for section in elf.iter_sections():
        if section["sh_type"] not in _BOOKKEEPING:
            described.setdefault(f"section {section.name}", []).append(
                (
                    section["sh_type"],
                    section["sh_flags"],
                    section["sh_addralign"],
                    section["sh_entsize"],
                    section["sh_size"],
                    b"" if section["sh_type"] == "SHT_NOBITS" else section.data(),
                )
            )
        if section["sh_type"] == "SHT_RELA":
            described.setdefault(section.name, []).extend(
                (r["r_offset"], r["r_info_type"], name_of(r["r_info_sym"]), r["r_addend"])
                for r in section.iter_relocations()
            )
        if section["sh_type"] == "SHT_GROUP":
            words = [int.from_bytes(section.data()[i : i + 4], "little") for i in range(0, section["sh_size"], 4)]
            described.setdefault("groups", []).append((words[0], *(elf.get_section(i).name for i in words[1:])))
    symbols = []
    for symbol in list(table.iter_symbols())[1:]:
        # mapping symbols ($x, $d) are not written here, and section symbols have no names
        if symbol["st_info"]["type"] == "STT_SECTION" or symbol.name.startswith("$"):
            continue
        index = symbol["st_shndx"]
        where = elf.get_section(index).name if isinstance(index, int) else index
        symbols.append(
            (
                symbol.name,
                symbol["st_value"],
                symbol["st_size"],
                symbol["st_info"]["bind"],
                symbol["st_info"]["type"],
                symbol["st_other"]["visibility"],
                where,
            )
        )
    described["symbols"] = sorted(symbols)
    return described


@dataclass(frozen=True)
class Outcome:
    """An object described, or the numbers of the lines that were rejected."""

    described: dict[str, Any] | None
    rejected: frozenset[int]
    messages: str


@dataclass(frozen=True)
class Reference:
    """Both assemblers."""

    program: str
    directory: Path

    def gnu(self, source: str, *flags: str) -> Outcome:
        path, output = self.directory / "source.s", self.directory / "gnu.o"
        path.write_text(source, encoding="utf-8")
        command = [self.program, *flags, "-I", str(self.directory), "-o", str(output), str(path)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            lines = re.findall(r"^[^\n:]*:(\d+): Error:", result.stderr, re.MULTILINE)
            return Outcome(None, frozenset(map(int, lines)), result.stderr)
        return Outcome(describe(output.read_bytes()), frozenset(), result.stderr)

    def ours(self, source: str, options: AssemblerOptions) -> Outcome:
        try:
            obj = assemble(source, name=str(self.directory / "source.s"), options=options)
        except AssemblyError as error:
            lines = frozenset(d.location.line for d in error.diagnostics if d.location and d.severity == "error")
            return Outcome(None, lines, str(error))
        return Outcome(describe(write_object(obj)), frozenset(), "")

    def check(self, source: str, options: AssemblerOptions = DEFAULT) -> None:
        """Assert that both make the same of a source."""
        flags = [f"-march={options.march}", *([] if options.relax else ["-mno-relax"])]
        flags += [flag for directory in options.include_dirs for flag in ("-I", str(directory))]
        flags += [flag for name, value in options.defines.items() for flag in ("--defsym", f"{name}={value}")]
        gnu = self.gnu(source, *flags)
        ours = self.ours(source, options)
        assert gnu.described is not None, gnu.messages
        assert ours.described is not None, ours.messages
        for key in sorted(set(gnu.described) | set(ours.described)):
            assert ours.described.get(key) == gnu.described.get(key), key

    def check_rejected(self, source: str, *, march: str = "rv64gc") -> None:
        """Assert that both reject the same lines of a source."""
        gnu = self.gnu(source, f"-march={march}", "-mno-relax")
        ours = self.ours(source, AssemblerOptions(march=march))
        text = source.split("\n")
        only_gnu = [text[n - 1] for n in sorted(gnu.rejected - ours.rejected)]
        only_ours = [text[n - 1] for n in sorted(ours.rejected - gnu.rejected)]
        assert (only_gnu, only_ours) == ([], [])


@pytest.fixture
def reference(oracle: Callable[[str], str], tmp_path: Path) -> Reference:
    """GNU `as` beside ours."""
    return Reference(oracle("riscv64-unknown-elf-as"), tmp_path)
