"""The `ekernel` command: `python -m ekernel` is the same."""

import sys

from ekernel.neighbours import HiddenPackageError, check

_BAD_INPUT = 125


def main() -> None:
    """Run the command line, or say in one sentence what hides a part of it."""
    try:
        check()
    except HiddenPackageError as error:
        sys.stderr.write(f"ekernel: {error}\n")
        sys.exit(_BAD_INPUT)
    from emu.cli import main as command

    command()


if __name__ == "__main__":
    main()
