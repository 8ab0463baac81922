"""The walks of docs/architecture.md are taken: each step is a function that is called, in the order of the page."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import ekernel
from ekernel import assemble, link
from emu.cli import status_of
from tests.documentation.documents import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
STEP = re.compile(r"^\d+\. `(?P<file>[\w/.]+)` `(?P<function>[\w.<>]+)`", re.MULTILINE)


def steps(title: str) -> list[tuple[str, str]]:
    """File and function of each step below a heading."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    found = STEP.findall(section)
    assert found
    return found


def called(work: Callable[[], object]) -> list[tuple[str, str]]:
    """File and function of each call of ours while it works, in order."""
    calls = []

    ours = f"{ROOT}/"

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(ours):
            calls.append((frame.f_code.co_filename.removeprefix(ours), frame.f_code.co_qualname))

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def assert_walked(title: str, calls: list[tuple[str, str]]) -> None:
    rest = iter(calls)
    for step in steps(title):
        assert step in rest, f"{title}: {step} is not called, or not behind the step before"


FAULTING = """
    .globl _start
_start:
    la t0, handler
    csrw stvec, t0
    la t0, root
    srli t0, t0, 12
    li t1, 8 << 60                  # Sv39
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    ld a0, 0(zero)                  # nothing is mapped there
    .balign 4
handler:
    li a7, 8                        # SBI: shutdown
    ecall
    .balign 4096
root:
    .dword 0, 0, (0x80000000 >> 2) | 0xcf
    .zero 4096 - 24
"""
SCRIPT = "SECTIONS { . = 0x80200000; .text : { *(.text) } }"


def test_a_load_and_a_page_fault_go_the_ways_that_are_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kernel = tmp_path / "faulting.elf"
    kernel.write_bytes(link([assemble(FAULTING, name="faulting.S")], script=SCRIPT).elf)
    for trace, title in ("tlb", "From a virtual address to a frame"), ("faults", "From a page fault to a sentence"):
        command = ["run", str(kernel), "--fidelity", "exact", "--trace", trace]
        assert_walked(title, called(lambda command=command: status_of(command)))
    assert "load from 0x0 by `ld a0, 0(zero)`" in capfd.readouterr().out


def test_a_relocation_goes_the_way_that_is_shown() -> None:
    def build() -> None:
        here = assemble(".globl _start\n_start: la a0, message", name="here.S")
        there = assemble('.globl message\nmessage: .string "there"', name="there.S")
        link([here, there], script=SCRIPT)

    assert_walked("From a source line to four bytes", called(build))


def test_files_and_folders_that_are_named_exist() -> None:
    named = set(re.findall(r"`((?:emu|linker|kernel|ekernel)/[\w/.]+)`", PAGE))
    missing = [name for name in named if not (ROOT / name.replace("NAME", "full")).exists() and "mm/" not in name]
    assert named
    assert not missing


@pytest.mark.parametrize("package", ["emu", "linker", "kernel"])
def test_each_room_is_on_the_page(package: str) -> None:
    rooms = PAGE.split("## The rooms")[1].split("```")[1]
    lines = re.split(r"\n (?=\w)", rooms.split(f"\n {package}/")[1])[0]
    told = set(re.findall(r"\b(\w+)/", lines))
    there = {path.name for path in (ROOT / package).iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert there - told == set()


def test_each_way_to_add_something_names_one_to_three_files_that_are_there() -> None:
    rows = PAGE.split("| what | files | and then |")[1].split("\n\n")[0].strip().splitlines()[1:]
    assert len(rows) > 6
    for row in rows:
        files = re.findall(r"`([\w/.]+)`", row.split("|")[2])
        assert 1 <= len(files) <= 3, row
        for file in files:
            place = ROOT / file
            assert place.exists() or any(place.parent.glob(place.name.replace("NAME", "*"))), f"{row}: no {file}"


def test_the_page_for_python_names_all_that_can_be_imported_and_nothing_else() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    table = page.split("| names | for |")[1].split("\n\n")[0]
    names = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(names) == sorted(ekernel.__all__)
