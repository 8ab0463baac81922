"""The `ekernel` command."""

import sys
from collections.abc import Sequence

from emu.cli.failures import explained

__all__ = ["main", "qemu_main", "status_of"]


def status_of(words: Sequence[str]) -> int:
    """Run the command line of these words and return the exit status.

    Every expected failure is told in one message on stderr.
    """
    from emu.cli.commands import run

    return explained(lambda signals: run(words, signals))


def main() -> None:
    """Run the command line as a process of its own."""
    sys.exit(status_of(sys.argv[1:]))


def qemu_main() -> None:
    """Run `ekernel-qemu` as a process of its own."""
    from emu.cli.qemu_command import main as qemu

    sys.exit(explained(lambda signals: qemu(sys.argv[1:], signals)))
