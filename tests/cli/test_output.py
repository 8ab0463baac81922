"""Output that has nowhere to go, and Ctrl-C while it flows."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import COMMAND, run_bytes

FLOOD = "li s0, 0x10000000\n li t1, 'x'\n 1: sb t1, (s0)\n j 1b"
Program = Callable[[str], Path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the host has no /dev/full")
@pytest.mark.parametrize("words", [["-q"], ["--json"]])
def test_a_full_disk_is_told_in_one_message(program: Program, words: list[str]) -> None:
    command = [COMMAND, "run", *words, "--max-instructions", "100000", str(program(FLOOD))]
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, timeout=60, check=False
        )
    assert (result.returncode, result.stderr) == (
        125,
        "ekernel: the output cannot be written: No space left on device\n",
    )


def test_a_guest_runs_without_standard_output(program: Program) -> None:
    command = [COMMAND, "run", "-q", str(program("li a0, 'x'\n li a7, 1\n ecall\n li a7, 8\n ecall"))]
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60,
        check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("words", [["-q"], ["--trace", "traps"], ["--json"], ["--dumpdtb", "/dev/stdout"]])
def test_a_reader_that_has_gone_gives_the_status_of_a_closed_pipe(program: Program, words: list[str]) -> None:
    command = [COMMAND, "run", *words, "--max-instructions", "200000", str(program(FLOOD))]
    there, here = os.pipe()
    os.close(there)
    with os.fdopen(here, "wb") as closed:
        result = subprocess.run(
            command, stdout=closed, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60, check=False
        )
    assert (result.returncode, result.stderr) == (141, b"")


KINDS = {
    "trace": ["run", "-q", "--trace-out", "{out}", "{elf}"],
    "device tree": ["run", "-dumpdtb", "{out}", "{elf}"],
    "object": ["as", "-o", "{out}", "{source}"],
    "linked": ["ld", "-o", "{out}", "{object}"],
    "copy": ["objcopy", "-O", "binary", "{elf}", "{out}"],
}


@pytest.fixture
def written(program: Program) -> Callable[[str, object], subprocess.CompletedProcess[bytes]]:
    """`written("trace", path)`: the finished process that has written an output of this kind there."""
    elf = program("li a7, 8\n ecall")
    places = {"elf": elf, "source": elf.with_suffix(".s"), "object": elf.with_suffix(".o")}

    def run(kind: str, out: object) -> subprocess.CompletedProcess[bytes]:
        words = [word.format(out=out, **places) for word in KINDS[kind]]
        return run_bytes(words, elf.parent)

    return run


Written = Callable[[str, object], subprocess.CompletedProcess[bytes]]


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_follows_links_and_goes_into_pipes(written: Written, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "out"
    place.mkdir()
    link = place / "link"
    link.symlink_to("real")
    for _ in range(2):  # the link leads to nothing, then to a file
        assert written(kind, link).returncode == 0
        assert sorted(file.name for file in place.iterdir()) == ["link", "real"]
        assert link.is_symlink()
    assert written(kind, "/dev/stdout").stdout == (place / "real").read_bytes()
    assert written(kind, "/dev/null").returncode == 0
    assert Path("/dev/null").is_char_device()


def test_a_trace_that_cannot_be_written_is_told_before_anything_runs(written: Written, tmp_path: Path) -> None:
    for place, reason in ((tmp_path / "no" / "trace", "No such file"), (tmp_path, "Is a directory")):
        result = written("trace", place)
        assert result.returncode == 125
        assert f"cannot write {place}: {reason}" in result.stderr.decode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the host has no /dev/full")
@pytest.mark.parametrize("words", [["--trace-out", "/dev/full", "--trace", "traps"], ["-d", "int", "-D", "/dev/full"]])
def test_a_trace_whose_disk_is_full_is_told_with_its_name(program: Program, words: list[str]) -> None:
    handler = ".balign 4\n1: csrr t0, sepc\n addi t0, t0, 4\n csrw sepc, t0\n sret"
    guest = f"la t0, 1f\n csrw stvec, t0\n j 2f\n {handler}\n2: unimp\n j 2b"
    command = [COMMAND, "run", *words, "--max-instructions", "100000", str(program(guest))]
    result = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=60, check=False)
    assert result.returncode == 125
    assert result.stderr.count("cannot write /dev/full: No space left on device") == 1


@pytest.mark.parametrize("ends", ["disk", "killed"])
def test_a_log_of_a_run_can_be_read_as_far_as_it_was_written(tmp_path: Path, ends: str) -> None:
    place = tmp_path / "log"
    program = """
import os, resource, signal, sys
from pathlib import Path
from emu.cli.shared.outputs import OutputFile
from emu.errors import ConfigError
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    with OutputFile(Path(sys.argv[1])) as file:
        for _ in range(9 if sys.argv[2] == "disk" else 2):
            file.write(b"line\\n" * 1_600)
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
except ConfigError as error:
    print(error)
"""
    told = subprocess.run(
        [sys.executable, "-c", program, str(place), ends], check=False, capture_output=True, text=True
    ).stdout
    assert told == (f"cannot write {place}: File too large; name another file\n" if ends == "disk" else "")
    assert place.read_bytes() == b"line\n" * (4_000 if ends == "disk" else 3_200)
