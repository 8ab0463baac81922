"""Which sources a kernel is made of, and the constants that they are assembled with."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from kernel.choices import FRAME_ALLOCATORS, HEAPS, KERNEL_DIRECTORY, REPLACEMENTS, STORES
from kernel.errors import KernelBuildError
from kernel.profile import RAM_START, Profile

_Choice = TypeVar("_Choice")

KERNEL_SCRIPT = KERNEL_DIRECTORY / "linker.ld"
PROGRAM_SCRIPT = KERNEL_DIRECTORY / "user/program.ld"

_COMMON = (
    "boot/entry.S",
    "boot/high_half.S",
    "boot/stack.S",
    "boot/device_tree.S",
    "lib/console.S",
    "lib/memory.S",
    "lib/number.S",
    "lib/panic.S",
    "lib/printf.S",
    "lib/shutdown.S",
    "trap/vector.S",
    "trap/handler.S",
    "trap/page_fault.S",
    "trap/probe.S",
    "mm/frames/range.S",
    "mm/heap/realloc.S",
    "mm/paging/page_table.S",
    "mm/paging/address_space.S",
    "mm/paging/fault.S",
    "mm/paging/replacement.S",
    "mm/paging/residents.S",
    "mm/paging/policies.S",
    "mm/paging/store.S",
    "mm/paging/kernel_space.S",
)
"""What every kernel needs, whatever its profile."""

_PROCESSES = (
    "trap/timer.S",
    "trap/trampoline.S",
    "trap/user_trap.S",
    "mm/paging/fork.S",
    "mm/paging/user_memory.S",
    "process/process.S",
    "process/schedule.S",
    "process/elf.S",
    "process/floats.S",
    "process/lifecycle.S",
    "process/memory_calls.S",
    "process/syscall.S",
)
"""What a kernel with programs needs besides."""

_USER_START = "user/lib/start.S"
_USER_LIBRARY = (
    "user/lib/calls.S",
    "user/lib/console.S",
    "user/lib/run.S",
    "lib/number.S",
    "lib/printf.S",
)
"""What every program is linked with."""


def sources_of(profile: Profile) -> tuple[Path, ...]:
    """The sources of a profile's kernel, in the order in which they are linked.

    Raises KernelBuildError when there is no allocator, policy or store of the name that the profile gives.
    """
    frames = _choose("frame allocator", profile.frames, FRAME_ALLOCATORS)
    heap = _choose("heap", profile.heap, HEAPS)
    store = _choose("store", profile.store, STORES)
    processes = _PROCESSES if profile.programs else ()
    return tuple(
        KERNEL_DIRECTORY / name
        for name in (*_COMMON, *store.sources, *processes, frames, heap, profile.main, *profile.self_tests)
    )


def sources_of_program(name: str) -> tuple[Path, ...]:
    """The sources of a user program."""
    return tuple(KERNEL_DIRECTORY / source for source in (_USER_START, f"user/{name}.S", *_USER_LIBRARY))


def defines_of(profile: Profile) -> dict[str, int]:
    """The constants that a profile sets, for assembler and linker script alike.

    Raises KernelBuildError for a policy of page replacement that there is not, or that has nothing to replace, and for
    an end of memory where the profile's RAM has none.
    """
    replacement = _choose("replacement policy", profile.replacement, REPLACEMENTS)
    if replacement and not profile.programs:
        raise KernelBuildError(
            f"profile '{profile.name}' runs no programs, so there are no pages to replace; leave 'never'"
        )
    ram_end = RAM_START + profile.ram_size
    if profile.memory_end is not None and not profile.load_address < profile.memory_end <= ram_end:
        raise KernelBuildError(
            f"profile '{profile.name}': memory_end is {profile.memory_end:#x}, and must lie above load_address "
            f"({profile.load_address:#x}) and not above {ram_end:#x}, where its RAM ends (ram_size)"
        )
    return {
        "LOAD_ADDRESS": profile.load_address,
        "VIRTUAL_OFFSET": profile.virtual_offset,
        "MEMORY_END": profile.memory_end or 0,
        "HEAP_SIZE": profile.heap_size,
        "REPLACEMENT": replacement,
        "STORE_PAGES": _choose("store", profile.store, STORES).pages,
    }


def table_of_programs(profile: Profile, directory: Path) -> str:
    """Assembly text: the images of the profile's programs, and the table by which the kernel finds them.

    The images are named with their whole path: a file of the same name in the current directory is another one.

    >>> from kernel.profiles import STEP_BY_STEP
    >>> "programs:" in table_of_programs(STEP_BY_STEP, Path("build"))
    True
    """
    folder = str(directory.resolve()).replace("\\", "\\\\").replace('"', '\\"')
    names = (*profile.programs, *(program.name for program in profile.given))
    rows = "".join(f"    .quad name_{i}, start_{i}, end_{i}\n" for i in range(len(names)))
    images = "".join(
        f'name_{i}: .asciz "{name}"\n.balign 8\nstart_{i}: .incbin "{folder}/{name}.elf"\nend_{i}:\n'
        for i, name in enumerate(names)
    )
    head = ".section .rodata\n.balign 8\n.globl programs, programs_end\nprograms:\n"
    return f"{head}{rows}programs_end:\n{images}"


def fingerprint(profile: Profile, toolchain: Path) -> str:
    """A hash of all that the built kernel depends on: its sources, its constants, and the toolchain that builds it.

    Raises KernelBuildError when there is no such source.
    """
    digest = hashlib.sha256()
    for name, value in _inputs(profile, toolchain):
        digest.update(f"{name}\0{len(value)}\0".encode())
        digest.update(value)
    return digest.hexdigest()


def _inputs(profile: Profile, toolchain: Path) -> Iterator[tuple[str, bytes]]:
    yield "defines", repr(sorted(defines_of(profile).items())).encode()
    yield "programs", repr(profile.programs).encode()
    for given in profile.given:
        yield f"given {given.name}", given.image
    sources = {*sources_of(profile), KERNEL_SCRIPT, PROGRAM_SCRIPT, *KERNEL_DIRECTORY.rglob("*.inc")}
    for program in profile.programs:
        sources.update(sources_of_program(program))
    for source in sorted(sources):
        name = source.relative_to(KERNEL_DIRECTORY).as_posix()
        if not source.is_file():
            raise KernelBuildError(f"profile '{profile.name}' names kernel/{name}, and there is no such file")
        yield name, source.read_bytes()
    for part in sorted(path for path in toolchain.rglob("*") if path.suffix in {".py", ".lark"}):
        yield part.relative_to(toolchain).as_posix(), part.read_bytes()


def _choose(kind: str, name: str, known: Mapping[str, _Choice]) -> _Choice:
    if name not in known:
        raise KernelBuildError(f"there is no {kind} '{name}'; there are: {', '.join(sorted(known))}")
    return known[name]
