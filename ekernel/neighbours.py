"""Whether the packages that `ekernel` stands on are its own: their names are short, and others have them too."""

import os
import sys
from importlib import import_module
from importlib.util import find_spec

PACKAGES = ("emu", "linker", "kernel")
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120  # pathlib costs 5 ms here


class HiddenPackageError(ImportError):
    """Another module has the name of one of ekernel's packages and is found first."""


def check() -> None:
    """Raise HiddenPackageError, in one sentence, when `emu`, `linker` or `kernel` is not ekernel's."""
    for name in PACKAGES:
        ours = os.path.join(_ROOT, name, "__init__.py")  # noqa: PTH118
        if name in sys.modules:
            found = getattr(sys.modules[name], "__file__", None)
        else:
            spec = find_spec(name)
            found = spec.origin if spec else None
        if found is None or os.path.realpath(found) != os.path.realpath(ours):
            raise HiddenPackageError(
                f"ekernel needs its own package '{name}', but Python finds {found or 'none'} by that name: "
                "rename it, or run from another folder or in a virtual environment of ekernel's own"
            )
        if getattr(import_module(name), "DISTRIBUTION", None) != "ekernel":
            raise HiddenPackageError(
                f"another distribution has overwritten ekernel's package '{name}' in {os.path.dirname(ours)}: "  # noqa: PTH120
                "install ekernel in a virtual environment of its own"
            )
