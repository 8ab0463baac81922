"""Output that has nowhere to go, and Ctrl-C while it flows."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EKERNEL = str(Path(sys.executable).with_name("ekernel"))
FLOOD = "li s0, 0x10000000\n li t1, 'x'\n 1: sb t1, (s0)\n j 1b"
Program = Callable[[str], Path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the host has no /dev/full")
@pytest.mark.parametrize("words", [["-q"], ["--json"]])
def test_a_full_disk_is_told_in_one_message(program: Program, words: list[str]) -> None:
    command = [EKERNEL, "run", *words, "--max-instructions", "100000", str(program(FLOOD))]
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, timeout=60, check=False
        )
    assert (result.returncode, result.stderr) == (
        125,
        "ekernel: the output cannot be written: No space left on device\n",
    )


def test_a_guest_runs_without_standard_output(program: Program) -> None:
    command = [EKERNEL, "run", "-q", str(program("li a0, 'x'\n li a7, 1\n ecall\n li a7, 8\n ecall"))]
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60,
        check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("source", [FLOOD, "j ."])
def test_ctrl_c_ends_a_run_without_a_terminal(program: Program, source: str) -> None:
    ready = "li t0, 0x10000000\n li t1, 10\n sb t1, (t0)\n"
    command = [EKERNEL, "run", "-q", "--trace", "mmio", str(program(ready + source))]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, b"")
