"""Runs the `ekernel` command as a user does."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Ekernel = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ekernel(tmp_path: Path) -> Ekernel:
    """`ekernel("run", "x.elf")`: the finished process, run in `tmp_path`."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("ekernel")), *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.fixture
def program(ekernel: Ekernel, tmp_path: Path) -> Callable[[str], Path]:
    """`program(source)`: an ELF of an assembly source, linked at 0x80200000 by `ekernel as` and `ekernel ld`."""

    def make(source: str) -> Path:
        (tmp_path / "guest.s").write_text(f".globl _start\n_start:\n{source}\n")
        for step in (
            ("as", "-g", "-o", "guest.o", "guest.s"),
            ("ld", "-Ttext=0x80200000", "-o", "guest.elf", "guest.o"),
        ):
            result = ekernel(*step)
            assert result.returncode == 0, result.stderr
        return tmp_path / "guest.elf"

    return make
