"""Which sources a kernel is made of, and the constants that they are assembled with."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from kernel.profile import FRAME_ALLOCATORS, HEAPS, Profile

KERNEL_DIRECTORY = Path(__file__).resolve().parent
"""Where the kernel's sources lie; includes are named from here."""

LINKER_SCRIPT = KERNEL_DIRECTORY / "linker.ld"

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
    "mm/paging/page_table.S",
    "mm/paging/address_space.S",
    "mm/paging/fault.S",
    "mm/paging/fork.S",
    "mm/paging/kernel_space.S",
)
"""What every kernel needs, whatever its profile."""


def sources_of(profile: Profile) -> tuple[Path, ...]:
    """The sources of a profile's kernel, in the order in which they are linked."""
    chosen = (*_COMMON, FRAME_ALLOCATORS[profile.frames], HEAPS[profile.heap], profile.main, *profile.self_tests)
    return tuple(KERNEL_DIRECTORY / name for name in chosen)


def defines_of(profile: Profile) -> dict[str, int]:
    """The constants that a profile sets, for assembler and linker script alike."""
    return {
        "LOAD_ADDRESS": profile.load_address,
        "VIRTUAL_OFFSET": profile.virtual_offset,
        "MEMORY_END": profile.memory_end or 0,
        "HEAP_SIZE": profile.heap_size,
    }


def fingerprint(profile: Profile, toolchain: Path) -> str:
    """A hash of all that the built kernel depends on: its sources, its constants, and the toolchain that builds it."""
    digest = hashlib.sha256()
    for name, value in _inputs(profile, toolchain):
        digest.update(f"{name}\0{len(value)}\0".encode())
        digest.update(value)
    return digest.hexdigest()


def _inputs(profile: Profile, toolchain: Path) -> Iterator[tuple[str, bytes]]:
    defines: Mapping[str, int] = defines_of(profile)
    yield "defines", repr(sorted(defines.items())).encode()
    for source in (*sources_of(profile), LINKER_SCRIPT, *sorted(KERNEL_DIRECTORY.rglob("*.inc"))):
        yield source.relative_to(KERNEL_DIRECTORY).as_posix(), source.read_bytes()
    for part in sorted(path for path in toolchain.rglob("*") if path.suffix in {".py", ".lark"}):
        yield part.relative_to(toolchain).as_posix(), part.read_bytes()
