"""Failures as a user meets them: one message and an exit status, never a traceback."""

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from emu.patience import give_up
from emu.terminal.signals import Ended, Signals
from emu.terminal.statuses import ExitStatus

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What a stream says that takes no more bytes."""


def explained(command: Callable[[Signals], int]) -> int:
    """Run a command and return its exit status; print the text of an expected error to stderr.

    The command gets the signals, which it may have noted instead of ending it at any moment.
    """
    with Signals() as signals:
        try:
            return _explained(lambda: command(signals))
        except Ended as end:
            return ExitStatus.SIGNAL + end.number


def _explained(command: Callable[[], int]) -> int:
    if sys.stdout is None:  # closed by whoever started us: nobody wants the output
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  # until the process ends
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()  # else Python would at exit, and say so where nobody listens
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except BrokenPipeError:
        give_up(sys.stdout.fileno())
        return ExitStatus.OUTPUT_CLOSED
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        give_up(sys.stdout.fileno())
        with suppress(OSError):  # the terminal of both is gone
            print(f"ekernel: the output cannot be written: {error.strerror}", file=sys.stderr)
        return ExitStatus.FAILED
    except Exception as error:
        text, status = _told(error)
        if text is None:
            raise
        print(text, file=sys.stderr)
        return status


def _told(error: Exception) -> tuple[str | None, ExitStatus]:
    """What is said of an expected error, and its status; None for an error that nobody expects."""
    from emu.errors import EmuError, LimitExceeded  # a start without errors does not pay for them
    from kernel.errors import KernelBuildError
    from linker.errors import ToolchainError

    if isinstance(error, LimitExceeded):
        return f"ekernel: {error}", ExitStatus.LIMIT
    if isinstance(error, EmuError | KernelBuildError):
        return f"ekernel: {error}", ExitStatus.FAILED
    return (str(error) if isinstance(error, ToolchainError) else None), ExitStatus.FAILED
