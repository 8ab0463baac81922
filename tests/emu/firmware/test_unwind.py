"""Call frame information: where its entries are is read as pyelftools reads it, in each form that compilers write."""

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from emu.firmware.elf import ElfFile
from emu.firmware.sections import read_sections
from emu.firmware.unwind import CallFrames

SOURCE = """
int twice(int number);
int __attribute__((noinline)) sum(int count) {
    int each[20], total = 0;
    for (int i = 0; i < 20; i++) each[i] = twice(count + i);
    for (int i = 0; i < 20; i++) total += each[i];
    return total;
}
int twice(int number) { return number * 2; }
void _start(void) { sum(3); for (;;); }
"""
WAYS = {
    ".debug_frame": ["-g", "-fno-asynchronous-unwind-tables"],
    ".debug_frame, compressed": ["-g", "-gz", "-fno-asynchronous-unwind-tables"],
    ".debug_frame, compressed as GNU did": ["-g", "-gz=zlib-gnu", "-fno-asynchronous-unwind-tables"],
    ".debug_frame of 64-bit DWARF": ["-g", "-gdwarf64", "-fno-asynchronous-unwind-tables"],
    ".eh_frame": ["-fasynchronous-unwind-tables"],
}


@pytest.fixture(scope="module", params=WAYS)
def elf(
    request: pytest.FixtureRequest, oracle: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> bytes:
    """A program with call frame information of one form."""
    home: Path = tmp_path_factory.mktemp("frames")
    (home / "sum.c").write_text(SOURCE)
    subprocess.run(
        [
            oracle("riscv64-linux-gnu-gcc"), "-O1", "-nostdlib", "-static", "-Wl,--build-id=none", *WAYS[request.param],
            "-o", home / "sum.elf", home / "sum.c",
        ],
        check=True,
    )  # fmt: skip
    return (home / "sum.elf").read_bytes()


def entries_of(elf: bytes) -> list[Any]:
    dwarf = ELFFile(io.BytesIO(elf)).get_dwarf_info(relocate_dwarf_sections=False)
    found = [*(dwarf.CFI_entries() if dwarf.has_CFI() else ()), *(dwarf.EH_CFI_entries() if dwarf.has_EH_CFI() else ())]
    return [entry for entry in found if isinstance(entry, FDE)]


def test_the_ranges_and_rules_of_functions_are_those_that_pyelftools_finds(elf: bytes) -> None:
    expected = entries_of(elf)
    (found,) = ElfFile(elf, "sum.elf").frame_tables()
    assert len(found.functions) == 3
    for function, entry in zip(found.functions, expected, strict=True):
        start, number = divmod(function, 1 << 64)
        table, (size, rows) = entry.get_decoded().table, found.read(number)
        assert (start, size) == (entry["initial_location"], entry["address_range"])
        assert [at for at, _ in rows] == [line["pc"] for line in table]
        rules = [(rule.register, rule.offset) for _, rule in rows if rule is not None]
        assert rules == [(line["cfa"].reg, line["cfa"].offset) for line in table]
        assert {(at, *rule.saved.items()) for at, rule in rows if rule is not None} == {
            (line["pc"], *((number, rule.arg) for number, rule in line.items() if number not in ("pc", "cfa")))
            for line in table
        }


@given(st.data())
def test_damaged_information_is_left_out(elf: bytes, data: st.DataObject) -> None:
    section = next(one for one in read_sections(elf) if one.name.endswith(("debug_frame", ".eh_frame")))
    damaged = bytearray(elf)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[section.offset + data.draw(st.integers(0, section.size - 1))] = data.draw(st.integers(0, 255))
    frames = CallFrames(ElfFile(bytes(damaged), "sum.elf").frame_tables)
    for address in range(0x10000, 0x10400, 2):
        frames.at(address)
