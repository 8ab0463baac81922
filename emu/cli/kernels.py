"""The profiles' kernels, built when they are out of date, and sizes as users write them."""

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from emu.errors import ConfigError
from kernel.build import BuiltKernel, build, profile_named

BUILD_DIRECTORY = Path("build")
_UNITS = {"": 1 << 20, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_size(text: str) -> int:
    """Bytes of a memory size as QEMU's `-m` takes it: a number with K, M or G, perhaps behind `size=`; MiB without.

    >>> parse_size("128"), parse_size("size=1G"), parse_size("1.5k")
    (134217728, 1073741824, 1536)
    """
    match = re.fullmatch(r"(?:size=)?(\d+(?:\.\d+)?)([kmg]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise ConfigError(f"'{text}' is not a memory size; write for example 128M or 1G")
    return int(Decimal(match[1]) * _UNITS[match[2]])


def built_profile(
    name: str,
    *,
    frames: str | None = None,
    heap: str | None = None,
    replacement: str | None = None,
    store: str | None = None,
    programs: Sequence[Path] = (),
) -> BuiltKernel:
    """The kernel of a profile, with other choices than its own, built when out of date: `build/NAME/kernel.elf`."""
    directory = BUILD_DIRECTORY / name
    return build(
        profile_named(name),
        directory,
        frames=frames,
        heap=heap,
        replacement=replacement,
        store=store,
        programs=programs,
    )
