"""The `ekernel` command."""

import sys
from collections.abc import Sequence

from typer._click.exceptions import ClickException as TyperException

from emu.cli.app import app
from emu.cli.failures import explained
from emu.terminal.signals import Signals

__all__ = ["main", "status_of"]


def status_of(words: Sequence[str] | None = None) -> int:
    """Run the command line, or the given words, and return the exit status.

    Every expected failure is told in one message on stderr.
    """
    return explained(lambda signals: _status(words, signals))


def _status(words: Sequence[str] | None, signals: Signals) -> int:
    try:
        work = app(words, obj=signals, standalone_mode=False)
    except TyperException as error:
        error.show()
        return error.exit_code
    return int(work()) if callable(work) else 0  # not within the parser, which has its own idea of a closed pipe


def main() -> None:
    """Run the command line as a process of its own."""
    sys.exit(status_of())
