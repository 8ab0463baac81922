"""The `ekernel` command."""

import sys

from emu.cli.app import app
from emu.cli.failures import explained

__all__ = ["main"]


def main() -> None:
    """Run the command line, with every expected failure told in one message on stderr."""
    sys.exit(explained(app))
