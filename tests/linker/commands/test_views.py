"""nm, readelf, objdump and objcopy: what they show of a file that is known, and what GNU's show of the same."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import linker
from linker.commands import nm, objcopy, objdump, readelf
from linker.objects.writer import write_object
from tests.linker.dissect import PROGRAMS, SCRIPTS
from tests.linker.link.objects import DATA, NOP, TEXT, Maker, R, relocate

SCRIPT = (
    "SECTIONS { .text 0x80000000 : { *(.text) } .data 0x80001000 : AT(0x80000100) { *(.data) } .bss : { *(.bss) } }"
)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small object a.o and the executable a.elf made of it."""
    monkeypatch.chdir(tmp_path)
    maker = Maker()
    text = maker.section(".text", NOP + bytes.fromhex("6f000000") + bytes.fromhex("0100"), TEXT, 4)
    start = maker.symbol("_start", text, type=2, size=10)
    relocate(text, 4, R.JAL, start)
    maker.local("table", maker.section(".data", b"a table of 20 bytes!", DATA, 4), 0)
    maker.symbol("zero", maker.zeros(".bss", 8, 8), binding=2)
    maker.undefined("nobody", weak=True)
    (tmp_path / "a.o").write_bytes(write_object(maker.object))
    path = tmp_path / "a.elf"
    path.write_bytes(linker.link([maker.object], script=SCRIPT).elf)
    return path


def test_nm_lists_symbols_by_name_or_address(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nm.main(["a.elf"]) == 0
    lines = ["0000000080000000 T _start", "0000000080001000 d table", "0000000080001018 V zero"]
    assert capsys.readouterr().out.replace(" W zero", " V zero").split("\n")[:3] == lines
    assert nm.main(["-n", "-r", "-g", "a.elf"]) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.split("\n") if line] == ["zero", "_start"]
    assert nm.main(["-u", "a.o"]) == 0
    assert capsys.readouterr().out == "                 w nobody\n"


def test_objdump_disassembles_with_labels_and_targets(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert objdump.main(["-d", "a.elf"]) == 0
    shown = capsys.readouterr().out
    assert "0000000080000000 <_start>:" in shown
    assert "80000000:\t00000013    \tnop" in shown
    assert "# 80000000 <_start>" in shown
    assert objdump.main(["-dr", "a.o"]) == 0
    assert "\t\t\t4: R_RISCV_JAL\t_start" in capsys.readouterr().out


def test_objdump_shows_load_addresses_and_contents(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert objdump.main(["-h", "-s", "-j", ".data", "a.elf"]) == 0
    shown = capsys.readouterr().out
    assert "1 .data         00000014  0000000080001000  0000000080000100" in shown
    assert " 80001000 61207461 626c6520 6f662032 30206279  a table of 20 by" in shown


def test_objcopy_lays_sections_out_by_load_address(program: Path) -> None:
    assert objcopy.main(["-O", "binary", "a.elf", "a.bin"]) == 0
    data = Path("a.bin").read_bytes()
    assert (len(data), data[:4], data[0x100:0x107]) == (0x114, NOP, b"a table")
    assert objcopy.main(["-O", "binary", "-j", ".data", "a.elf", "d.bin"]) == 0
    assert Path("d.bin").read_bytes() == b"a table of 20 bytes!"


def test_objcopy_strips_and_the_rest_stays_where_it_is(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert objcopy.main(["-S", "a.elf", "small.elf"]) == 0
    assert nm.main(["small.elf"]) == 0
    assert capsys.readouterr().out == ""
    for name in ("a.elf", "small.elf"):
        assert objcopy.main(["-O", "binary", name, f"{name}.bin"]) == 0
    assert Path("a.elf.bin").read_bytes() == Path("small.elf.bin").read_bytes()


@pytest.mark.parametrize("command", [nm, objdump, readelf, objcopy])
def test_a_file_that_is_no_elf_is_refused(command: object, program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("text").write_text("hello")
    assert command.main(["text"]) == 1  # type: ignore[attr-defined]
    assert "text: error: not an object file" in capsys.readouterr().err
    assert command.main(["gone"]) == 1  # type: ignore[attr-defined]
    assert "gone: error: cannot read the file" in capsys.readouterr().err


@pytest.fixture
def compiled(tmp_path: Path, oracle: Callable[[str], str], our_ld: Callable[..., Path]) -> list[Path]:
    """An object and an executable with everything in it."""
    flags = ["-march=rv64gc", "-mabi=lp64d", "-O1", "-g", "-mcmodel=medany", "-fcommon", "-c"]
    sources = [str(PROGRAMS / name) for name in ("start.S", "main.c", "other.c")]
    subprocess.run([oracle("riscv64-unknown-elf-gcc"), *flags, *sources], check=True, cwd=tmp_path)
    program = our_ld("-T", SCRIPTS / "regions.ld", "start.o", "main.o", "other.o")
    return [tmp_path / "main.o", program]


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (nm, ["-n"]),
        (nm, ["-S", "-p"]),
        (readelf, ["-h"]),
        (readelf, ["-S", "-W"]),
        (readelf, ["-l", "-W"]),
        (readelf, ["-s", "-W"]),
        (readelf, ["-r", "-W"]),
        (objdump, ["-h"]),
        (objdump, ["-s", "-j", ".text"]),
        (objdump, ["-r"]),
    ],
)
def test_the_lines_are_those_of_gnu(
    module: object,
    options: list[str],
    compiled: list[Path],
    oracle: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = module.__name__.rpartition(".")[2]  # type: ignore[attr-defined]
    for path in compiled:
        gnu = subprocess.run(
            [oracle(f"riscv64-unknown-elf-{name}"), *options, str(path)], capture_output=True, text=True, check=True
        ).stdout
        assert module.main([*options, str(path)]) == 0  # type: ignore[attr-defined]
        ours = {" ".join(line.split()) for line in capsys.readouterr().out.split("\n")}
        expected = [" ".join(line.replace(", OCTETS", "").split()) for line in gnu.split("\n")]
        missing = [
            line for line in expected if line not in ours and not line.startswith(("C (comp", "D (mbind", "L (link"))
        ]
        assert missing == []


def test_source_lines_stand_between_the_instructions(compiled: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    for path in compiled:
        assert objdump.main(["-S", str(path)]) == 0
        shown = capsys.readouterr().out
        assert "main.c:" in shown
        assert "    put(greeting(0));" in shown
