"""`ekernel ld`: files, options, what is written, and what mistakes say."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from linker.commands.ld import main
from linker.objects.writer import write_object
from tests.linker.dissect import dissect
from tests.linker.link.objects import NOP, TEXT, Maker, R, relocate

SCRIPT = "ENTRY(_start) SECTIONS { .text 0x80000000 : { *(.text) } }"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a.o (which needs `helper`), b.o (which has it) and k.ld."""
    monkeypatch.chdir(tmp_path)
    one, two = Maker("a.o"), Maker("b.o")
    text = one.section(".text", NOP * 2, TEXT, 4)
    one.symbol("_start", text)
    relocate(text, 0, R.CALL_PLT, one.undefined("helper"))
    two.symbol("helper", two.section(".text", NOP, TEXT, 4))
    Path("a.o").write_bytes(write_object(one.object))
    Path("b.o").write_bytes(write_object(two.object))
    Path("k.ld").write_text(SCRIPT)
    return tmp_path


def make_archive(name: str, *members: str) -> None:
    data = b"!<arch>\n"
    for member in members:
        body = Path(member).read_bytes()
        data += (
            f"{member + '/':16}{0:<12}{0:<6}{0:<6}{644:<8}{len(body):<10}`\n".encode() + body + b"\n" * (len(body) & 1)
        )
    Path(name).write_bytes(data)


def files(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_objects_and_a_script_give_an_executable_and_a_map(here: Path) -> None:
    assert main(["-T", "k.ld", "-o", "k.elf", "-Map=k.map", "a.o", "b.o"]) == 0
    assert Path("k.elf").read_bytes()[:4] == b"\x7fELF"
    assert Path("k.elf").stat().st_mode & 0o111
    lines = Path("k.map").read_text().split("\n")
    assert ".text           0x0000000080000000        0xc" in lines
    assert "                0x0000000080000008                helper" in lines


def test_the_map_can_go_to_stdout(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-T", "k.ld", "-o", "k.elf", "-Map", "-", "a.o", "b.o"]) == 0
    assert "Linker script and memory map" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["a.o", "-L.", "-lb"],
        ["a.o", "-L", ".", "-l", "b"],
        ["a.o", "libb.a"],
        ["a.o", "-l:libb.a", "-L."],
        ["--start-group", "a.o", "libb.a", "--end-group"],
        ["--whole-archive", "libb.a", "--no-whole-archive", "a.o"],
        ["-(", "libb.a", "a.o", "-)"],
        ["-u", "helper", "libb.a", "a.o"],
    ],
)
def test_archives_deliver_what_is_missing(here: Path, arguments: list[str]) -> None:
    make_archive("libb.a", "b.o")
    assert main(["-T", "k.ld", "-o", "k.elf", *arguments]) == 0


def test_an_archive_before_its_user_does_not_help(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_archive("libb.a", "b.o")
    assert main(["-T", "k.ld", "-o", "k.elf", "libb.a", "a.o"]) == 1
    assert "undefined symbol 'helper'" in capsys.readouterr().err


def test_gnu_options_without_meaning_here_are_accepted(here: Path) -> None:
    options = (
        "-nostdlib -static --no-relax -z noexecstack -z relro --build-id=none --no-warn-rwx-segments -m elf64lriscv"
    )
    assert main([*options.split(), "-T", "k.ld", "-o", "k.elf", "a.o", "b.o"]) == 0


def test_inputs_may_be_named_by_the_script(here: Path) -> None:
    make_archive("libb.a", "b.o")
    Path("k.ld").write_text("SEARCH_DIR(.) INPUT(a.o -lb)" + SCRIPT)
    assert main(["-T", "k.ld", "-o", "k.elf"]) == 0


def test_all_errors_are_shown_and_nothing_is_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(here)
    assert main(["-T", "k.ld", "-o", "k.elf", "a.o", "a.o"]) == 1
    errors = capsys.readouterr().err
    assert "a.o:(.text+0x0): error: multiple definition of '_start'" in errors
    assert "a.o:(.text+0x0): note: first defined here" in errors
    assert "a.o:(.text+0x0): error: undefined symbol 'helper'" in errors
    assert files(here) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-T", "gone.ld", "a.o"], "gone.ld: error: cannot read the file: No such file"),
        (["gone.o"], "gone.o: error: cannot read the file: No such file"),
        (["a.o", "-lgone"], "cannot find -lgone (libgone.a)"),
        (["-T", "k.ld", "k.ld"], "k.ld: error: not an object file"),
        (["-shared", "a.o"], "'-shared' is not supported"),
        (["-r", "--gc-sections", "a.o"], "--gc-sections with -r needs a defined symbol of -e or -u"),
        (["-m", "elf32lriscv", "a.o"], "unknown emulation 'elf32lriscv'"),
        (["--defsym", "x", "a.o"], "--defsym takes NAME=VALUE"),
        (["--defsym", "x=)", "a.o", "b.o"], "--defsym:1:5: error: unexpected ')'"),
        (["-Ttext=zz", "a.o"], "'zz' is no address"),
        (["-z", "max-page-size=5", "a.o"], "max-page-size=5 is not a power of two"),
        (["--start-group", "a.o"], "--start-group without --end-group"),
        ([], "no input files"),
        (["-o", "no/such/directory/k.elf", "a.o", "b.o"], "no/such/directory/k.elf: error: cannot write the file"),
        (["-o", ".", "a.o", "b.o"], "cannot write the file"),
    ],
)
def test_mistakes_end_in_a_message_and_status_1(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    before = files(here)
    assert main(["-o", "k.elf", *arguments]) == 1
    assert message in capsys.readouterr().err
    assert files(here) == before


def test_a_missing_entry_is_a_warning(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-e", "nowhere", "-T", "k.ld", "-o", "k.elf", "a.o", "b.o"]) == 0
    assert "warning: there is no entry symbol 'nowhere'; the entry is 0x80000000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("patch", "message"), [((4, 1), "a 32-bit object"), ((5, 2), "big-endian"), ((18, 62), "another")]
)
def test_foreign_objects_are_refused_by_name(
    here: Path, capsys: pytest.CaptureFixture[str], patch: tuple[int, int], message: str
) -> None:
    data = bytearray(Path("b.o").read_bytes())
    data[patch[0]] = patch[1]
    Path("b.o").write_bytes(data)
    assert main(["a.o", "b.o"]) == 1
    assert "b.o: error: " in (errors := capsys.readouterr().err)
    assert message in errors


def test_errors_show_the_source_line_when_there_is_debug_information(
    tmp_path: Path,
    oracle: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.c").write_text("extern int gone(void);\n\nint _start(void)\n{\n    return gone();\n}\n")
    Path("b.c").write_text("int _start(void) { return 1; }\n")
    subprocess.run([oracle("riscv64-unknown-elf-gcc"), "-g", "-c", "a.c", "b.c"], check=True)
    assert main(["a.o", "b.o"]) == 1
    errors = capsys.readouterr().err
    where = f"{tmp_path}/b.c:1: error: multiple definition of '_start', in b.o:(.text+0x0)"
    assert where in errors or where.replace(f"{tmp_path}/", "") in errors
    assert "a.c:5: error: undefined symbol 'gone', in a.o:(.text+0x" in errors
    assert "    5 |     return gone();" in errors


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("SECTIONS { .text : { *(.text) } .n (TYPE = 0x100000000) : { BYTE(1) } }", "the type of section '.n'"),
        ("PHDRS { far 0x100000000; } SECTIONS { .text : { *(.text) } :far }", "'0x100000000' is no segment type"),
        (f"SEARCH_DIR(/{'d' * 5000}) INPUT(-lgone) {SCRIPT}", "cannot find -lgone"),
        (f"INPUT({'f' * 5000}) {SCRIPT}", "cannot read"),
    ],
)
def test_numbers_and_names_that_no_file_can_have_are_errors(
    script: str, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "k.ld").write_text(script)
    assert main(["-T", "k.ld", "a.o", "b.o", "-o", "k.elf"]) == 1
    assert message in capsys.readouterr().err


def test_of_a_number_without_end_the_last_64_bits_count(here: Path) -> None:
    (here / "k.ld").write_text(f"x = 1{'0' * 5000}7; y = 0x{'f' * 5000}8; {SCRIPT}")
    assert main(["-T", "k.ld", "a.o", "b.o", "-o", "k.elf"]) == 0
    values = {row[0]: row[1] for row in dissect(here / "k.elf").symbols}
    assert (values["x"], values["y"]) == (7, 0xFFFF_FFFF_FFFF_FFF8)
