"""Failures as a user meets them: one message and an exit status, never a traceback."""

import errno
import os
import sys
from collections.abc import Callable
from enum import IntEnum


class ExitStatus(IntEnum):
    """Statuses of `ekernel` itself, chosen as timeout(1) and env(1) have them; all others are the guest's."""

    LIMIT = 124
    """A limit that the user set ended the run."""
    FAILED = 125
    """ekernel could not do it: bad input, or a guest that no hart survives."""
    INTERRUPTED = 130
    """Ctrl-C."""
    OUTPUT_CLOSED = 141
    """Whoever read the output has gone, as in `ekernel run | head`."""


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What a stream says that takes no more bytes."""


def explained(command: Callable[[], object]) -> int:
    """Run a command and return its exit status; print the text of an expected error to stderr."""
    from emu.errors import EmuError, LimitExceeded
    from kernel.errors import KernelBuildError
    from linker.errors import ToolchainError

    if sys.stdout is None:  # closed by whoever started us: nobody wants the output
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  # until the process ends
    try:
        command()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except BrokenPipeError:
        # Python would try again to flush at exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.OUTPUT_CLOSED
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"ekernel: the output cannot be written: {error.strerror}", file=sys.stderr)
        return ExitStatus.FAILED
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except LimitExceeded as error:
        print(f"ekernel: {error}", file=sys.stderr)
        return ExitStatus.LIMIT
    except (EmuError, KernelBuildError) as error:
        print(f"ekernel: {error}", file=sys.stderr)
        return ExitStatus.FAILED
    except ToolchainError as error:
        print(error, file=sys.stderr)
        return ExitStatus.FAILED
    return 0
