"""Sizes of C structures are what pyelftools finds, in each version and form of DWARF."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.firmware.elf import ElfFile
from emu.firmware.sections import read_sections
from emu.firmware.structures import Unusual, structure_size, structure_size_by_library

SOURCES = {
    "first.c": """
struct unknown;
struct unknown *nowhere;
enum { RED, GREEN } colour;
struct node { struct node *next; long value; };
typedef struct { char text[3000]; } page_t;
typedef page_t also_page_t;
union either { int number; struct inside { char a[24]; } inner; } either;
struct node node; also_page_t page;
int twice(int number) { struct local { int a[5]; } here = {{number}}; return here.a[0] * 2; }
""",
    "second.c": """
struct unknown { long a[11]; };
struct unknown known;
struct page { unsigned flags : 3; long a[6]; };
struct page pages[2];
extern int twice(int);
void _start(void) { twice(3); for (;;); }
""",
}
SIZES = {
    "node": 16, "page_t": 3000, "also_page_t": 3000, "page": 56, "unknown": 88, "inside": 24, "local": None,
    "either": None, "missing": None, "": None,
}  # fmt: skip
"""Of what stands inside of something else there is none: its name may mean several."""
WAYS = {
    "version 2": (["-gdwarf-2", "-gstrict-dwarf"], True),
    "version 3": (["-gdwarf-3"], True),
    "version 4": (["-gdwarf-4"], True),
    "version 5": (["-gdwarf-5"], True),
    "64-bit DWARF": (["-gdwarf-5", "-gdwarf64"], False),
    "compressed": (["-g", "-gz"], False),
}
"""The compiler's words, and whether pyelftools can be done without."""


@pytest.fixture(scope="module", params=WAYS)
def built(
    request: pytest.FixtureRequest, oracle: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[bytes, bool]:
    """A program with debug information of one kind, and whether it is an ordinary one."""
    home: Path = tmp_path_factory.mktemp("structures")
    for name, text in SOURCES.items():
        (home / name).write_text(text)
    words, ordinary = WAYS[request.param]
    subprocess.run(
        [
            oracle("riscv64-linux-gnu-gcc"), "-O0", "-nostdlib", "-static", "-Wl,--build-id=none", *words,
            "-o", home / "program.elf", *(home / name for name in SOURCES),
        ],
        check=True,
    )  # fmt: skip
    return (home / "program.elf").read_bytes(), ordinary


def test_the_sizes_of_structures_are_those_that_pyelftools_finds(built: tuple[bytes, bool]) -> None:
    data, ordinary = built
    elf = ElfFile(data, "program.elf")
    assert {name: structure_size_by_library(elf._sections(), name) for name in SIZES} == SIZES
    assert {name: elf.structure_size(name) for name in SIZES} == SIZES
    if ordinary:
        assert {name: structure_size(elf._information(), name) for name in SIZES} == SIZES
    else:
        with pytest.raises(Unusual):
            structure_size(elf._information(), "missing")


@given(st.data())
def test_damaged_information_has_no_sizes_or_wrong_ones(built: tuple[bytes, bool], data: st.DataObject) -> None:
    elf, _ = built
    damaged = bytearray(elf)
    for section in read_sections(elf):
        if section.name in (".debug_info", ".debug_abbrev") and data.draw(st.booleans()):
            damaged[section.offset + data.draw(st.integers(0, section.size - 1))] = data.draw(st.integers(0, 255))
    size = ElfFile(bytes(damaged), "program.elf").structure_size("page")
    assert size is None or size >= 0
