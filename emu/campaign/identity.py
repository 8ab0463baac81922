"""Which ekernel this is, to the letter of its sources: two that differ would give one campaign two kinds of results."""

import hashlib
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from emu.errors import ConfigError

T = TypeVar("T")
_PACKAGES = ("emu", "linker")


@cache
def identity() -> str:
    """A digest of all modules that work is made of; the same on any computer, wherever they are installed."""
    made = hashlib.sha256()
    for package in _PACKAGES:
        top = Path(str(import_module(package).__file__)).parent
        for path in sorted(top.rglob("*.py")):
            made.update(f"{package}/{path.relative_to(top).as_posix()}\0".encode())
            made.update(path.read_bytes())
    return made.hexdigest()[:16]


def checked(wanted: str, function: Callable[..., T], *arguments: object) -> T:
    """What a function gives. Raises ConfigError on a worker whose ekernel is another one."""
    if identity() != wanted:
        import platform

        raise ConfigError(
            f"the worker on {platform.node()} has another ekernel ({identity()}, here {wanted}): install the same "
            "version there, and start the worker again"
        )
    return function(*arguments)
