"""The profiles' kernels, built when they are out of date."""

import hashlib
import sys

from emu.cli.words.requests import KernelWords
from kernel.build import BuiltKernel, build, build_directory, profile_named


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


def _name(wanted: KernelWords) -> str:
    """The profile, and what tells its variants from each other: they can be built and run at the same time."""
    programs = [str(path.resolve()) for path in wanted.programs]
    choices = [wanted.frames, wanted.heap, wanted.replacement, wanted.store, *programs]
    if not any(choices):
        return wanted.profile
    return f"{wanted.profile}-{hashlib.sha256(repr(choices).encode()).hexdigest()[:8]}"
