"""How a command runs: errors become messages on stderr and an exit status, a closed pipe is no error."""

import os
import sys
from collections.abc import Callable

from linker.commands.files import show
from linker.errors import ToolchainError


def guarded(command: Callable[[], int]) -> int:
    """Run a command. Returns its exit status, or 1 after an error."""
    try:
        status = command()
        sys.stdout.flush()
    except ToolchainError as error:
        sys.stdout.flush()
        show(error)
        return 1
    except BrokenPipeError:
        # Whoever read the output has seen enough; keep the interpreter from complaining at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    return status
