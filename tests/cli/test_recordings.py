"""What recordings and logs of long runs need, and what is left of those whose process was killed."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig
from emu.record.recording import Recording
from emu.report.logs.commits.writer import CommitWriter
from tests.cli.conftest import Ekernel
from tests.cli.recordings import has_blocks
from tests.command import COMMAND, LONGEST, running

pytestmark = pytest.mark.slow
Program = Callable[[str], Path]
TRAPPING = """
    la t0, handler
    csrw stvec, t0
    la sp, data
    li s1, 0x9E3779B97F4A7C15
    li t0, 0x6000
    csrs sstatus, t0
1:  call work
    csrrw t3, sscratch, t0
    fcvt.d.l fa0, t0
    fadd.d fa1, fa1, fa0
    .word 0
    j 1b
work:
    addi sp, sp, -16
    sd ra, 8(sp)
    mul t0, t0, s1
    addi t0, t0, 99
    sd t0, (sp)
    ld t2, (sp)
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
    .balign 4
handler:
    csrr t6, sepc
    addi t6, t6, 4
    csrw sepc, t6
    sret
    .balign 16
    .zero 64
data:
"""
"""Calls, writes, loads and stores, floats, CSRs, and traps; Python is asked in each turn."""
COMPUTING = """
    la sp, data
    li s1, 0x9E3779B97F4A7C15
    li s2, 0x80300000
1:  call work
    andi t1, t0, 0x7f8
    add t1, t1, s2
    sd t0, (t1)
    beqz t1, 1b
    j 1b
work:
    mul t0, t0, s1
    addi t0, t0, 99
    ret
data:
"""
MANY = 100_000_000
MOST_MEMORY = 200 << 20
RUN_AND_TELL = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=False);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10)"
)
"""A small process of its own: a child's largest size is at least that of the process which it was forked from."""
ALL = "instructions,calls,memory,registers,csrs"


def logged(elf: Path, first: int, last: int) -> Sequence[str]:
    """The lines of another run."""
    machine, stream = Machine(MachineConfig()), io.BytesIO()
    machine.load(elf)
    machine.run(max_instructions=first)
    with CommitWriter(machine, stream):
        machine.run(max_instructions=last - first)
    return stream.getvalue().decode().splitlines()


@pytest.mark.parametrize(("what", "chunks"), [(ALL, 5), ("calls", 3), ("instructions", 1)])
def test_a_run_that_is_killed_leaves_all_that_it_did_but_the_last_moments(
    program: Program, ekernel: Ekernel, tmp_path: Path, what: str, chunks: int
) -> None:
    elf, path = program(TRAPPING), tmp_path / "killed"
    with running(["run", "-q", "--record", path, "--record-what", what, elf], tmp_path) as (process, *_):
        end = time.monotonic() + LONGEST
        while not has_blocks(path, chunks):
            assert time.monotonic() < end
            time.sleep(0.01)
        process.kill()
    with Recording(path) as recording:
        assert recording.missing is not None
        begin, last = recording.extent()[:2]
    assert begin == 0
    assert last > 1_000
    first, behind = last - 400, last - 20
    found = ekernel("trace", path, "commits", "--range", f"{first}-{behind}")
    assert "not complete" in found.stderr
    lines = found.stdout.splitlines()
    assert len(lines) == behind - first + 1
    assert lines == logged(elf, first, behind + 1)[: len(lines)]
    for kind in ("instructions", "functions", "memory", "registers"):
        shown = ekernel("trace", path, kind, "--range", f"{first}-{behind}").stdout.splitlines()
        times = [int(line.split()[0].replace(",", "")) for line in shown]
        assert first <= times[0] < first + 40
        assert behind - 40 < times[-1] <= behind


@pytest.mark.parametrize("words", [["--record", "r", "--record-what", ALL], ["--log-commits", os.devnull]])
def test_a_hundred_million_instructions_are_recorded_in_little_memory(
    program: Program, tmp_path: Path, words: list[str]
) -> None:
    words = [COMMAND, "run", "-q", "-m", "16M", "--max-instructions", str(MANY), *words, str(program(COMPUTING))]
    told = subprocess.run(
        [sys.executable, "-c", RUN_AND_TELL, *words], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert f"{MANY:,} instructions" in told.stderr
    assert int(told.stdout) < MOST_MEMORY
