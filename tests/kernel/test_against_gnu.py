"""The kernel's sources through GNU as and ld: the same sections, byte for byte, at the same addresses."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from kernel.build import PROFILES, BuiltKernel
from kernel.choices import allocator_pairs
from kernel.sources import KERNEL_DIRECTORY, KERNEL_SCRIPT, defines_of, sources_of, table_of_programs

pytestmark = pytest.mark.slow


def sections(elf: Path) -> dict[str, tuple[int, int, bytes]]:
    """Address, size and contents of what is loaded."""
    with elf.open("rb") as file:
        return {
            section.name: (section["sh_addr"], section["sh_size"], section.data())
            for section in ELFFile(file).iter_sections()
            if section["sh_flags"] & 2
        }


ALLOCATORS = allocator_pairs()
"""Each of them once."""


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        *((name, {}) for name in sorted(PROFILES)),
        *(("frame-tracker", {"frames": frames, "heap": heap}) for frames, heap in ALLOCATORS),
        ("shell", {"store": "disk"}),
    ],
)
def test_gnu_builds_the_same_kernel(
    kernel_of: Callable[..., BuiltKernel],
    oracle: Callable[[str], str],
    tmp_path: Path,
    name: str,
    choices: dict[str, str],
) -> None:
    kernel = kernel_of(name, **choices)
    defines = [f"--defsym={key}={value:#x}" for key, value in defines_of(kernel.profile).items()]
    sources = list(sources_of(kernel.profile))
    if kernel.profile.programs:
        table = tmp_path / "programs.S"
        table.write_text(table_of_programs(kernel.profile, kernel.elf.parent / "programs"))
        sources.append(table)
    objects = []
    assembler = [oracle("riscv64-unknown-elf-as"), "-march=rv64gc", "-mno-relax", "-I", str(KERNEL_DIRECTORY)]
    for number, source in enumerate(sources):
        objects.append(tmp_path / f"{number}.o")
        command = [*assembler, "-I", str(kernel.elf.parent / "programs"), *defines, "-o", str(objects[-1]), str(source)]
        subprocess.run(command, check=True, timeout=60)
    theirs = tmp_path / "kernel.elf"
    linker = [oracle("riscv64-unknown-elf-ld"), "--no-relax", "-z", "max-page-size=4096", "-T", str(KERNEL_SCRIPT)]
    subprocess.run([*linker, *defines, "-o", str(theirs), *map(str, objects)], check=True, timeout=60)
    assert sections(kernel.elf) == sections(theirs)
