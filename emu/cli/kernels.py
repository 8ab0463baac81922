"""The profiles' kernels, built when they are out of date."""

import hashlib
import os
import sys
from pathlib import Path

import kernel as kernel_package
from emu.cli.requests import KernelWords
from kernel.build import BuiltKernel, build, profile_named


def built_profile(wanted: KernelWords) -> BuiltKernel:
    """The kernel of a profile, with other choices than its own, built when out of date."""
    kernel = build(
        profile_named(wanted.profile),
        build_directory() / _name(wanted),
        frames=wanted.frames,
        heap=wanted.heap,
        replacement=wanted.replacement,
        store=wanted.store,
        programs=wanted.programs,
    )
    if kernel.fresh and sys.stderr.isatty():
        print(f"ekernel: built {kernel.elf}, once", file=sys.stderr)
    return kernel


def build_directory() -> Path:
    """Where built kernels go: `build` in a checkout of the project, else a folder of the user's cache."""
    checkout = Path(kernel_package.__file__).resolve().parents[1]
    if Path.cwd() == checkout:
        return Path("build")
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache.startswith("/") else Path.home() / ".cache") / "ekernel"


def _name(wanted: KernelWords) -> str:
    """The profile, and what tells its variants from each other: they can be built and run at the same time."""
    programs = [str(path.resolve()) for path in wanted.programs]
    choices = [wanted.frames, wanted.heap, wanted.replacement, wanted.store, *programs]
    if not any(choices):
        return wanted.profile
    return f"{wanted.profile}-{hashlib.sha256(repr(choices).encode()).hexdigest()[:8]}"
