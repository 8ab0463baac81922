"""The `ekernel` command: `python -m ekernel` is the same."""

import gc
import sys

gc.disable()  # until the command's modules are there: nothing of them is garbage

from ekernel.codefile import install  # noqa: E402
from ekernel.neighbours import PACKAGES, HiddenPackageError, check  # noqa: E402

_BAD_INPUT = 125


def main() -> None:
    """Run the command line, or say in one sentence what hides a part of it."""
    _find_packages()
    from emu.cli import main as command

    command()


def qemu_main() -> None:
    """The same for the `ekernel-qemu` command."""
    _find_packages()
    from emu.cli import qemu_main as command

    command()


def _find_packages() -> None:
    try:
        check()
    except HiddenPackageError as error:
        sys.stderr.write(f"ekernel: {error}\n")
        sys.exit(_BAD_INPUT)
    install(PACKAGES)


if __name__ == "__main__":
    main()
