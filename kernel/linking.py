"""A profile's sources to a linked kernel: its programs first, which the kernel embeds."""

from collections.abc import Callable
from pathlib import Path

from kernel.choices import KERNEL_DIRECTORY
from kernel.profile import Profile
from kernel.sources import (
    KERNEL_SCRIPT,
    PROGRAM_SCRIPT,
    defines_of,
    sources_of,
    sources_of_program,
    table_of_programs,
)
from linker import LinkOptions, LinkResult, link
from linker.assembler import AssemblerOptions, assemble
from linker.objects.model import ObjectFile


def link_kernel(profile: Profile, directory: Path, write: Callable[[Path, bytes], None]) -> LinkResult:
    """Link a profile's kernel; `write` puts its user programs into `directory`, where the kernel includes them from.

    Raises ToolchainError for a source or a linker script that is wrong.
    """
    programs = directory / "programs"
    for name in profile.programs:
        write(programs / f"{name}.elf", _link_program(name).elf)
    for given in profile.given:
        write(programs / f"{given.name}.elf", given.image)
    defines = defines_of(profile)
    options = AssemblerOptions(include_dirs=(KERNEL_DIRECTORY,), defines=defines, debug=True)
    objects = [_assemble(source, options) for source in sources_of(profile)]
    if profile.programs:
        table = table_of_programs(profile, programs)
        objects.append(assemble(table, name=str(programs / "programs.S"), options=options))
    symbols = tuple((name, str(value)) for name, value in defines.items())
    return link(
        objects,
        script=KERNEL_SCRIPT.read_text(encoding="utf-8"),
        script_name=str(KERNEL_SCRIPT),
        options=LinkOptions(defines=symbols),
    )


def _link_program(name: str) -> LinkResult:
    options = AssemblerOptions(include_dirs=(KERNEL_DIRECTORY,))
    return link(
        [_assemble(source, options) for source in sources_of_program(name)],
        script=PROGRAM_SCRIPT.read_text(encoding="utf-8"),
        script_name=str(PROGRAM_SCRIPT),
        options=LinkOptions(strip_all=True),
    )


def _assemble(source: Path, options: AssemblerOptions) -> ObjectFile:
    return assemble(source.read_text(encoding="utf-8"), name=str(source), options=options)
