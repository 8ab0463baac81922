"""`.eh_frame` after a link: what GNU ld leaves of it, and the table of `--eh-frame-hdr` that finds its entries."""

import struct
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from linker.commands.as_ import main as our_as
from linker.commands.ld import main as our_ld
from linker.errors import Diagnostic
from linker.objects.model import ObjectFile, Section
from linker.objects.reader import read_object
from linker.parts.inputs import InputFile, InputSection, wrap
from linker.parts.sections import OutputSection
from linker.parts.symbols import SymbolTable
from linker.unwind.editing import Row, UnwindTables
from linker.unwind.entries import read_entries
from linker.unwind.header import header_bytes
from tests.linker.dissect import Oracle, dissect

PIECES = Path(__file__).parent / "pieces"
MACHINE = ["-march=rv64gc", "-mabi=lp64d"]
SCRIPTS = {
    "kept": "{ . = 0x80000000; .text : { *(.text .text.*) } .eh_frame_hdr : { *(.eh_frame_hdr) }"
    " .eh_frame : { KEEP(*(.eh_frame)) } .rest : { *(.gcc_except_table*) *(.data*) } }",
    "discarded": "{ .text 0x1000 : { *(.text) *(.text.*) } .eh_frame : { *(.eh_frame) }"
    " /DISCARD/ : { *(.text.plain .text.signal .gcc_except_table*) } }",
    "elsewhere": "{ .text 0x1000 : { *(.text*) } .rodata : { *(.eh_frame) *(.rodata*) } }",
    "aligned": "{ .text 0x1000 : { *(.text*) } .eh_frame : SUBALIGN(32) { one.o(.eh_frame) BYTE(0) *(.eh_frame) } }",
    "behind other bytes": "{ .eh_frame : { BYTE(0) KEEP(*(.eh_frame)) x = two_frames; }"
    " .text : { one.o(.text*) } /DISCARD/ : { two.o(.text .text.*) } }",
    "apart": "{ .text 0x80000000 : { *(.text*) } .eh_frame 0x90000000 : { *(.eh_frame) x = one_frames; } }",
}
OBJECTS = {
    "of the assembler": "one.o two.o",
    "that ends": "two.o one.o end.o",
    "of this assembler": "ours.o two.o one.o",
    "of compilers": "gcc.o clang.o one.o",
    "of rustc": "rust.o two.o one.o",
}
OPTIONS = ["", "--gc-sections -u two_plain", "--eh-frame-hdr", "--eh-frame-hdr --gc-sections -u two"]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory, oracle: Oracle) -> Path:
    """A directory with the objects that the cases name."""
    home = tmp_path_factory.mktemp("frames")
    assembler, clang = oracle("riscv64-linux-gnu-as"), [oracle("clang"), "--target=riscv64-unknown-elf"]
    compiled = [
        *MACHINE,
        "-mcmodel=medany",
        "-O1",
        "-ffreestanding",
        "-fasynchronous-unwind-tables",
        "-ffunction-sections",
    ]
    text = (PIECES / "unwind.s").read_text()
    for name in ("one", "two", "ours", "end"):
        own = '.section .eh_frame, "a"\n.word 0\n' if name == "end" else text.replace("SELF", name)
        (home / f"{name}.s").write_text(own)
        if name != "ours":
            subprocess.run([assembler, *MACHINE, f"{name}.s", "-o", f"{name}.o"], check=True, cwd=home)
    assert our_as([*MACHINE, str(home / "ours.s"), "-o", str(home / "ours.o")]) == 0
    rust = [oracle("/usr/bin/rustc"), "--target=riscv64gc-unknown-none-elf", "-Cforce-unwind-tables=yes"]
    for command in (
        [oracle("riscv64-linux-gnu-gcc"), *compiled, "-fno-pie", "-c", "code.c", "-o", home / "gcc.o"],
        [*clang, *compiled, "-c", "more.c", "-o", home / "clang.o"],
        [*rust, "-Cpanic=abort", "-Ccodegen-units=1", "--emit=obj", "crate.rs", "-o", home / "rust.o"],
    ):
        environment = {"RUSTC_BOOTSTRAP": "1", "PATH": "/usr/bin:/bin"}
        subprocess.run([str(w) for w in command], check=True, cwd=PIECES, env=environment, capture_output=True)
    for name, body in SCRIPTS.items():
        (home / f"{name}.ld").write_text(f"_stack_top = 0x7ff00000; ENTRY(one) SECTIONS {body}")
    return home


@pytest.mark.parametrize("objects", OBJECTS.values(), ids=OBJECTS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_unwind_tables_are_those_of_gnu(
    script: str, objects: str, pool: Path, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pool)
    linker = [oracle("riscv64-linux-gnu-ld"), "-m", "elf64lriscv", "--no-relax", "-o", "gnu.elf"]
    for options in OPTIONS:
        arguments = ["-T", f"{script}.ld", "--no-warn-rwx-segments", *options.split(), *objects.split()]
        reference = subprocess.run([*linker, *arguments], check=False, capture_output=True, text=True)
        status = our_ld(["-o", "ours.elf", *arguments])
        assert (status == 0) == (reference.returncode == 0), (options, reference.stderr)
        if status == 0:
            assert dissect(Path("ours.elf")) == dissect(Path("gnu.elf")), options


@settings(max_examples=40)
@given(st.data())
def test_damaged_unwind_tables_are_left_as_they_are(pool: Path, data: st.DataObject) -> None:
    file = InputFile(read_object((pool / "one.o").read_bytes(), "one.o"))
    wrap(file)
    section = next(s for s in file.sections if s.name == ".eh_frame")
    for _ in range(data.draw(st.integers(1, 4))):
        section.section.data[data.draw(st.integers(0, section.size - 1))] = data.draw(st.integers(0, 255))
    entries = read_entries(section)
    assert entries is None or all(0 < entry.size <= section.size - entry.offset for entry in entries)


def test_the_table_leads_from_every_function_to_its_entry(pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pool)
    assert our_ld(["-T", "kept.ld", "--eh-frame-hdr", "-o", "found.elf", "one.o", "two.o"]) == 0
    with Path("found.elf").open("rb") as stream:
        elf = ELFFile(stream)
        [segment] = [s for s in elf.iter_segments() if s["p_type"] == "PT_GNU_EH_FRAME"]
        start, table = segment["p_vaddr"], segment.data()
        entries = elf.get_dwarf_info().EH_CFI_entries()
        frames = elf.get_section_by_name(".eh_frame")["sh_addr"]
        functions = {e["initial_location"]: frames + e.offset for e in entries if "initial_location" in e.header}
    [count] = struct.unpack_from("<I", table, 8)
    rows = [struct.unpack_from("<ii", table, 12 + 8 * index) for index in range(count)]
    assert {start + function: start + entry for function, entry in rows} == functions
    assert rows == sorted(rows)


def test_two_entries_for_one_function_are_an_error() -> None:
    output = OutputSection(".eh_frame_hdr", vma=0x1000, size=28)
    header = InputSection(Section(".eh_frame_hdr"), InputFile(ObjectFile("a.o")), ".eh_frame_hdr", 4, 28, output=output)
    errors: list[Diagnostic] = []
    rows = [Row(0x2000, 8, 0x1040), Row(0x2004, 8, 0x1020)]
    header_bytes(header, OutputSection(".eh_frame"), UnwindTables(SymbolTable(), rows=rows), errors)
    assert [error.message for error in errors] == ["two unwind entries describe the function at 0x2004"]
