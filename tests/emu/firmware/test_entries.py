"""Entries of DWARF, beside those that pyelftools tells of, and where they are damaged."""

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from emu.firmware.elf import ElfFile
from emu.firmware.entries import around, children
from emu.firmware.functions import FunctionFinder
from emu.firmware.sections import read_sections
from emu.firmware.structures import structure_size_by_library

SOURCE = """
struct first { int a; struct { char b; } inner; };
enum kind { ONE, TWO };
int sum(struct first *from, int count) {
    int total = 0;
    for (int i = 0; i < count; i++) { int now = from[i].a; total += now; }
    return total;
}
void _start(void) { struct first one = { 1 }; sum(&one, 1); }
"""


@pytest.fixture(scope="module")
def program(oracle: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    home: Path = tmp_path_factory.mktemp("entries")
    (home / "program.c").write_text(SOURCE)
    command = [oracle("riscv64-unknown-elf-gcc"), "-g", "-O0", "-nostdlib", "-march=rv64gc", "-mabi=lp64d"]
    subprocess.run([*command, "-o", home / "program.elf", home / "program.c"], check=True)
    return (home / "program.elf").read_bytes()


def tops(data: bytes) -> list[Any]:
    return [unit.get_top_DIE() for unit in ELFFile(io.BytesIO(data)).get_dwarf_info().iter_CUs()]


def tree(entry: Any) -> Any:
    return entry.offset, [tree(child) for child in children(entry)]


def pyelftools_tree(entry: Any) -> Any:
    return entry.offset, [pyelftools_tree(child) for child in entry.iter_children()]


def test_entries_below_and_around_are_those_of_pyelftools(program: bytes) -> None:
    assert [tree(top) for top in tops(program)] == [pyelftools_tree(top) for top in tops(program)]
    for unit in ELFFile(io.BytesIO(program)).get_dwarf_info().iter_CUs():
        entries = [entry for entry in unit.iter_DIEs() if not entry.is_null()]
        assert len(entries) >= 20
        for entry in entries:
            above, parents = entry, []
            while (above := above.get_parent()) is not None:
                parents.append(above.offset)
            assert [each.offset for each in around(entry)] == parents


def test_siblings_that_lead_back_end_the_search(program: bytes) -> None:
    """Whatever asks for types, functions or variables: pyelftools alone would go round and round."""
    damaged = bytearray(program)
    info = next(section for section in read_sections(program) if section.name == ".debug_info")
    first = next(entry for top in tops(program) for entry in children(top) if "DW_AT_sibling" in entry.attributes)
    sibling = first.attributes["DW_AT_sibling"]
    at = info.offset + sibling.offset
    assert int.from_bytes(damaged[at : at + 4], "little") == sibling.raw_value
    damaged[at : at + 4] = (first.offset - first.cu.cu_offset).to_bytes(4, "little")
    with pytest.raises(ValueError, match="lies before it"):
        list(map(tree, tops(bytes(damaged))))
    elf = ELFFile(io.BytesIO(damaged))
    with pytest.raises(ValueError, match="lies before it"):
        FunctionFinder(elf).scopes(elf["e_entry"])
    with pytest.raises(ValueError, match="lies before it"):
        structure_size_by_library(elf, "missing")
    assert ElfFile(bytes(damaged), "program.elf").structure_size("missing") is None
    assert len(FunctionFinder(elf).frames(elf["e_entry"])) == 1


@given(st.data())
def test_an_address_has_frames_however_debug_information_is_damaged(program: bytes, data: st.DataObject) -> None:
    damaged = bytearray(program)
    for section in read_sections(program):
        if section.name.startswith(".debug") and section.size and data.draw(st.booleans(), section.name):
            damaged[section.offset + data.draw(st.integers(0, section.size - 1))] = data.draw(st.integers(0, 255))
    elf = ELFFile(io.BytesIO(damaged))
    assert FunctionFinder(elf).frames(elf["e_entry"] + 8)
