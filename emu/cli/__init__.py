"""The `ekernel` command.

A start pays for nothing that it does not need: modules that only some options, errors or machines need are imported in
the function that needs them, and the process ends without taking apart what the host takes back at once.
"""

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from emu.cli.shared.failures import explained
from emu.hints import NoReturn

__all__ = ["main", "qemu_main", "status_of"]


def status_of(words: Sequence[str]) -> int:
    """Run the command line of these words and return the exit status.

    Every expected failure is told in one message on stderr.
    """
    from emu.cli.shared.commands import run

    return explained(lambda signals: run(words, signals))


def main() -> None:
    """Run the command line as a process of its own."""
    _leave(status_of(sys.argv[1:]))


def qemu_main() -> None:
    """Run `ekernel-qemu` as a process of its own."""
    from emu.cli.qemu import main as qemu

    gc.freeze()  # as behind the modules of the other commands
    gc.enable()
    _leave(explained(lambda signals: qemu(sys.argv[1:], signals)))


def _leave(status: int) -> NoReturn:
    """End the process: at once, unless other threads have something to finish, or the output cannot be written."""
    threading = sys.modules.get("threading")
    if threading is None or threading.active_count() == 1:
        atexit._run_exitfuncs()
        with suppress(OSError, ValueError):  # Python says it in its own way
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            os._exit(status)
    sys.exit(status)
