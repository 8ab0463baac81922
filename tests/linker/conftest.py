"""Compiling and linking for the tests of the linker."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.linker.dissect import PROGRAMS, Oracle


@pytest.fixture
def compile_program(oracle: Oracle, tmp_path: Path) -> Callable[..., Path]:
    """Compile one of the programs with GNU's compiler; returns the object."""

    def build(name: str, *flags: str, output: str | None = None) -> Path:
        target = tmp_path / (output or name.replace(".", "_") + ".o")
        command = [oracle("riscv64-unknown-elf-gcc"), "-march=rv64gc", "-mabi=lp64d", *flags]
        subprocess.run([*command, "-c", str(PROGRAMS / name), "-o", str(target)], check=True, cwd=tmp_path)
        return target

    return build


@pytest.fixture
def gnu_ld(oracle: Oracle, tmp_path: Path) -> Callable[..., Path]:
    """Link with GNU ld without relaxation; returns the executable."""

    def link(*arguments: str | Path) -> Path:
        output = tmp_path / "gnu.elf"
        command = [oracle("riscv64-unknown-elf-ld"), "--no-relax", "-o", str(output), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
        return output

    return link


@pytest.fixture
def our_ld(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Link with `ekernel ld`; returns the executable."""
    from linker.commands.ld import main

    def link(*arguments: str | Path) -> Path:
        monkeypatch.chdir(tmp_path)
        output = tmp_path / "ours.elf"
        assert main(["-o", str(output), "--no-warn-rwx-segments", *map(str, arguments)]) == 0
        return output

    return link
