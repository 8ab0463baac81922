"""What each command does whose output has no room: a message, no traceback, no half of a file that should be whole."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ekernel
from tests.cli.recordings import has_blocks
from tests.command import COMMAND

GUEST = """
    la t0, handler
    csrw stvec, t0
    la s0, data
    li s1, 3000
1:  sd s1, (s0)
    addi s0, s0, 64
    call work
    andi t0, s1, 63
    bnez t0, 2f
    ecall
2:  addi s1, s1, -1
    bnez s1, 1b
    li a7, 8
    ecall
    .type work, @function
work:
    li a7, 0x10
    mul a0, s1, s0
    ret
    .size work, . - work
    .balign 4
handler:
    sret
    .bss
    .balign 16
data: .zero 0x40000
"""
IN_TIME = {
    "--record": ["run", "guest.elf", "-q", "--record"],
    "--trace-out": ["run", "guest.elf", "-q", "--trace", "calls=work", "--trace-out"],
    "--log-commits": ["run", "guest.elf", "-q", "--log-commits"],
    "--log-sail": ["run", "guest.elf", "-q", "--fidelity", "exact", "--log-sail"],
    "-D": ["run", "guest.elf", "-q", "-d", "exec", "-D"],
}
"""What a run writes as it goes on."""
WHOLE = {
    "--save": ["run", "guest.elf", "-q", "--save"],
    "core": ["dump", "guest.elf", "-m", "8M", "-o"],
    "report": ["report", "guest.elf", "-o"],
    "lcov": ["coverage", "r", "-o"],
    "html": ["coverage", "r", "-format", "html", "-o"],
    "drcov": ["coverage", "r", "-format", "drcov", "-o"],
    "edges": ["coverage", "r", "-format", "edges", "-o"],
    "folded": ["profile", "r", "-o"],
    "text": ["trace", "r", "-o"],
    "accesses": ["trace", "r", "memory", "-o"],
    "commits": ["trace", "r", "commits", "-o"],
    "jsonl": ["trace", "r", "-format", "jsonl", "-o"],
    "parquet": ["trace", "r", "-format", "parquet", "-o"],
    "perfetto": ["trace", "r", "-format", "perfetto", "-o"],
    "chrome": ["trace", "r", "-format", "chrome", "-o"],
    "policies": ["compare", "r", "-replacement", "4", "-o"],
}
"""What is there when it is complete, or not at all."""
SMALL = {"lcov", "html", "drcov", "edges", "folded", "policies"}
"""Of less than a page."""
SHOWN = {
    "instructions": ["trace", "r"],
    "functions": ["trace", "r", "functions"],
    "profile": ["profile", "r"],
    "coverage": ["coverage", "r", "-never"],
    "pagetable": ["pagetable", "guest.elf"],
    "log": ["run", "guest.elf", "-q", "--log-commits", "-"],
}
"""What goes to standard output."""


@pytest.fixture
def folder(ekernel: Ekernel, program: Callable[[str], Path]) -> Path:
    """With a guest and a recording of it that has everything."""
    elf = program(GUEST)
    options = ["--record", "r", "--record-what", "calls,memory,registers,csrs"]
    assert ekernel("run", elf, "-q", *options).returncode == 0
    return elf.parent


RANDOM = """
    li s0, 3000000
    li s1, 88172645463325252
1:  slli t0, s1, 13
    xor s1, s1, t0
    srli t0, s1, 7
    xor s1, s1, t0
    slli t0, s1, 17
    xor s1, s1, t0
    andi t0, s1, 1
    beqz t0, 2f
    nop
2:  addi s0, s0, -1
    bnez s0, 1b
    li a7, 8
    ecall
"""
"""A guest whose recording cannot be packed small: each round takes one of two ways by chance."""


def on_a_small_disk(folder: Path, words: list[str], *, room: int, disk: int = 8192) -> subprocess.CompletedProcess[str]:
    """A command beside a file system `small` with so much room; what is there afterwards is in `kept`."""
    (folder / "small").mkdir(exist_ok=True)
    script = f"""mount -t tmpfs -o size={disk} none small || exit 77
    head -c $0 /dev/zero >small/filler
    "$@"; status=$?
    rm small/filler; cp -r small kept; exit $status"""
    result = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, str(disk - room), COMMAND, *words],
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    if result.returncode == 77 or result.stderr.startswith("unshare"):
        pytest.skip(f"this host lets nobody make file systems: {result.stderr}")
    return result


def assert_told(stderr: str, name: str) -> None:
    """One line that says which file, and why."""
    assert re.fullmatch(rf"ekernel: [^\n]*{name}[^\n]*No space left on device[^\n]*\n", stderr), stderr


@pytest.mark.slow
@pytest.mark.parametrize("what", IN_TIME)
def test_what_a_run_has_written_to_a_disk_that_is_full_stays_there(folder: Path, ekernel: Ekernel, what: str) -> None:
    result = on_a_small_disk(folder, [*IN_TIME[what], "small/out"], room=8192)
    assert result.returncode == 125
    assert_told(result.stderr, "small/out")
    kept = folder / "kept/out"
    assert 0 < kept.stat().st_size <= 8192
    whole = ekernel(*IN_TIME[what], "whole")
    assert whole.returncode == 0
    assert (folder / "whole").read_bytes().startswith(kept.read_bytes())


@pytest.mark.slow
def test_a_recording_on_a_disk_that_is_full_is_shown_as_far_as_it_went(
    ekernel: Ekernel, program: Callable[[str], Path]
) -> None:
    elf = program(RANDOM)
    result = on_a_small_disk(elf.parent, ["run", elf.name, "-q", "--record", "small/out"], room=1 << 18, disk=1 << 18)
    assert result.returncode == 125
    assert_told(result.stderr, "small/out")
    kept = elf.parent / "kept/out"
    shown = ekernel("trace", kept, "-range", "0-9")
    assert (shown.returncode, shown.stdout.count("\n")) == (0, 10)
    assert "kept/out is not complete" in shown.stderr
    (counted,) = [line for line in ekernel("profile", kept).stdout.splitlines() if line.endswith("_start")]
    assert int(counted.split()[0].replace(",", "")) > 500_000


@pytest.mark.slow
def test_the_recording_of_a_run_that_was_killed_is_shown_as_far_as_it_was_written(
    ekernel: Ekernel, program: Callable[[str], Path]
) -> None:
    elf = program("li s0, 0\n1: addi s0, s0, 1\n andi t0, s0, 3\n bnez t0, 1b\n nop\n j 1b")
    recording = elf.with_name("r")
    with subprocess.Popen([COMMAND, "run", elf, "-q", "--record", recording], stdin=subprocess.DEVNULL) as run:
        while run.poll() is None and not has_blocks(recording, 2):
            time.sleep(0.01)
        run.kill()
    shown = ekernel("trace", "r", "-range", "0-9")
    assert (shown.returncode, shown.stdout.count("\n")) == (0, 10)
    assert "r is not complete: it was not ended\n" in shown.stderr or "in the middle of a chunk" in shown.stderr
    (counted,) = [line for line in ekernel("profile", "r").stdout.splitlines() if line.endswith("_start")]
    assert int(counted.split()[0].replace(",", "")) > 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize("what", WHOLE)
def test_a_file_that_is_whole_or_not_there_is_not_there_on_a_disk_that_is_full(folder: Path, what: str) -> None:
    result = on_a_small_disk(folder, [*WHOLE[what], "small/out"], room=0 if what in SMALL else 4096)
    assert result.returncode == 125, result.stdout
    assert_told(result.stderr, "small/out")
    assert list((folder / "kept").iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the host has no /dev/full")
@pytest.mark.parametrize("what", [*IN_TIME, *WHOLE])
def test_a_device_that_takes_nothing_is_told_with_its_name_and_stays_what_it_is(
    folder: Path, ekernel: Ekernel, what: str
) -> None:
    result = ekernel(*(IN_TIME | WHOLE)[what], "/dev/full")
    assert result.returncode == 125
    assert_told(result.stderr, "/dev/full")
    assert Path("/dev/full").is_char_device()


@pytest.mark.slow
@pytest.mark.parametrize("what", SHOWN)
def test_lines_that_nobody_takes_end_a_command_without_a_traceback(folder: Path, what: str) -> None:
    for script, status, told in (
        ('"$@" >/dev/full', 125, "ekernel: the output cannot be written: No space left on device\n"),
        ('(sleep 0.1; "$@"; echo $? >&3) 3>status | true; exit $(cat status)', 141, ""),
    ):
        command = ["sh", "-c", script, "sh", COMMAND, *SHOWN[what]]
        result = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=100
        )
        assert (result.returncode, result.stderr) == (status, told)
