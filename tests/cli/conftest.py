"""Runs the `ekernel` command as a user does."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linker.commands import as_, ld
from tests import command
from tests.cli.terminal import Terminal

Ekernel = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def guests_die_with_their_test() -> Iterator[None]:
    """No guest at a terminal is left running when its test has failed."""
    yield
    Terminal.end_all()


@pytest.fixture
def ekernel(tmp_path: Path) -> Ekernel:
    """`ekernel("run", "x.elf", typed="text")`: the finished process, run in `tmp_path`."""

    def run(*arguments: object, typed: str = "") -> subprocess.CompletedProcess[str]:
        return command.run(arguments, tmp_path, typed)

    return run


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Path]:
    """`program(source)`: an ELF of an assembly source, linked at 0x80200000 by the project's `as` and `ld`."""

    def make(source: str) -> Path:
        (tmp_path / "guest.s").write_text(f".globl _start\n_start:\n{source}\n")
        object_file, elf = (str(tmp_path / name) for name in ("guest.o", "guest.elf"))
        assert as_.main(["-g", "-o", object_file, str(tmp_path / "guest.s")]) == 0
        assert ld.main(["-Ttext=0x80200000", "-o", elf, object_file]) == 0
        return tmp_path / "guest.elf"

    return make
