"""QEMU beside the machine, where it is installed."""

import shutil
from collections.abc import Sequence
from pathlib import Path

PROGRAM = shutil.which("qemu-system-riscv64")


def command(*arguments: str) -> list[str]:
    """QEMU on the `virt` machine."""
    assert PROGRAM is not None
    return [PROGRAM, "-machine", "virt", "-nographic", "-no-reboot", *arguments]


def bare(kernel: Path) -> Sequence[str]:
    """The command that starts an ELF file in M mode without firmware."""
    return command("-m", "16M", "-bios", "none", "-kernel", str(kernel))
