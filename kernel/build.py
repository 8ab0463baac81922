"""Assemble and link the kernel of a profile, when it is out of date."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import linker
from kernel.errors import KernelBuildError
from kernel.given import read_programs
from kernel.profile import Profile
from kernel.profiles import PROFILES
from kernel.sources import fingerprint
from linker.commands.files import write_whole

__all__ = ["PROFILES", "BuiltKernel", "KernelBuildError", "build", "build_directory", "is_up_to_date", "profile_named"]

_TOOLCHAIN = Path(linker.__file__).resolve().parent
_STAMP = "kernel.stamp"


@dataclass(frozen=True, slots=True)
class BuiltKernel:
    """A kernel on disk."""

    profile: Profile
    """The profile that it was built from, with the allocators that were chosen."""
    elf: Path
    map: Path
    """The linker's map: where each section of each source went."""
    fresh: bool
    """Whether this call built it; False when it was up to date."""

    def symbols(self) -> dict[str, int]:
        """Addresses by symbol name, as linked; of several local symbols of one name, the last."""
        from elftools.elf.elffile import ELFFile

        with self.elf.open("rb") as file:
            table = ELFFile(file).get_section_by_name(".symtab")
            return {symbol.name: int(symbol["st_value"]) for symbol in table.iter_symbols() if symbol.name}

    def expected_console(self) -> str:
        """What this kernel must print, when the allocators are the profile's own."""
        return self.profile.console(self.symbols())


def profile_named(name: str) -> Profile:
    """The profile of that name. Raises KernelBuildError, which lists those there are.

    >>> profile_named("step-by-step").frames
    'bitmap'
    >>> profile_named("ful")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    kernel.errors.KernelBuildError: there is no profile 'ful'; there are: ...full, ...
    """
    if name not in PROFILES:
        raise KernelBuildError(f"there is no profile '{name}'; there are: {', '.join(sorted(PROFILES))}")
    return PROFILES[name]


def build(
    profile: Profile,
    output_directory: str | Path,
    *,
    frames: str | None = None,
    heap: str | None = None,
    replacement: str | None = None,
    store: str | None = None,
    programs: Sequence[Path] = (),
) -> BuiltKernel:
    """Build `kernel.elf` and `kernel.map` in a directory, unless they are there and up to date.

    Args:
        profile: What to build.
        output_directory: Made when it is missing. The user programs go to `programs/` in it.
        frames: Another frame allocator than the profile's, a key of FRAME_ALLOCATORS.
        heap: Another heap than the profile's, a key of HEAPS.
        replacement: Another policy of page replacement than the profile's, a key of REPLACEMENTS.
        store: Another store for replaced pages than the profile's, a key of STORES.
        programs: ELF programs to embed besides; each is run by the name of its file without the suffix.

    Raises:
        KernelBuildError: there is no such allocator, policy or store, a program cannot be embedded, or the output
            cannot be written.
        ToolchainError: a source or the linker script is wrong.

    """
    if programs and not profile.programs:
        raise KernelBuildError(f"profile '{profile.name}' runs no programs; choose another, for example shell")
    profile = replace(
        profile,
        given=read_programs(programs, profile.programs),
        frames=frames or profile.frames,
        heap=heap or profile.heap,
        replacement=replacement or profile.replacement,
        store=store or profile.store,
    )
    output_directory = Path(output_directory)
    inputs = fingerprint(profile, _TOOLCHAIN)
    elf, memory_map = output_directory / "kernel.elf", output_directory / "kernel.map"
    if _is_current(output_directory, inputs):
        return BuiltKernel(profile, elf, memory_map, fresh=False)
    from kernel.linking import link_kernel  # the toolchain is loaded only when there is something to build

    result = link_kernel(profile, output_directory, _write)
    _write(memory_map, result.map.encode())
    _write(elf, result.elf)
    _write(output_directory / _STAMP, json.dumps({"inputs": inputs, "kernel": _hash(result.elf)}).encode())
    return BuiltKernel(profile, elf, memory_map, fresh=True)


def build_directory() -> Path:
    """Where built kernels go: `build` in a checkout of the project, else a folder of the user's cache."""
    checkout = Path(__file__).resolve().parents[1]
    if Path.cwd() == checkout:
        return Path("build")
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache.startswith("/") else Path.home() / ".cache") / "ekernel"


def is_up_to_date(profile: Profile, output_directory: Path) -> bool:
    """Whether `build` would have nothing to do: by content, whatever the files' times."""
    return _is_current(output_directory, fingerprint(profile, _TOOLCHAIN))


def _is_current(directory: Path, inputs: str) -> bool:
    try:
        stamp = json.loads((directory / _STAMP).read_bytes())
        kernel = (directory / "kernel.elf").read_bytes()
    except (OSError, ValueError):
        return False
    current = {"inputs": inputs, "kernel": _hash(kernel)}
    return bool(stamp == current) and (directory / "kernel.map").exists()


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: others may be reading the old one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise KernelBuildError(f"cannot write {path}: {error.strerror}; choose another output directory") from error
