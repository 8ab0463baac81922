"""Programs that the user gives as ELF files, for the kernel to embed beside its own."""

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from kernel.errors import KernelBuildError

LARGEST = 16 << 20
"""Bytes of a program's file; all of it goes into the kernel's image."""
LONGEST_NAME = 63
"""Bytes; what the kernel's `exec` reads of a name."""
_END_OF_PROGRAMS = 1 << 38
"""The first address that no program can have: the lower half of Sv39 ends there."""


@dataclass(frozen=True, slots=True)
class GivenProgram:
    """A program that is run by its name."""

    name: str
    image: bytes
    """The ELF file."""


def read_programs(paths: Iterable[Path], taken: Iterable[str]) -> tuple[GivenProgram, ...]:
    """Read and check programs; each is named by its file without the suffix.

    Raises KernelBuildError for a file that cannot be read, is no static ELF program for RV64, or has another
    program's name; `taken` are there already.
    """
    names = set(taken)
    programs = []
    for path in paths:
        name = path.stem
        if name in names:
            raise KernelBuildError(f"program {path}: there is a program '{name}' already; rename the file")
        if not name.isascii() or not name.isprintable() or set(name) & set('"\\ ') or len(name) > LONGEST_NAME:
            raise KernelBuildError(
                f"program {path}: its name cannot be typed; name the file with letters and digits, "
                f"at most {LONGEST_NAME} of them"
            )
        names.add(name)
        programs.append(GivenProgram(name, _read(path)))
    return tuple(programs)


def _read(path: Path) -> bytes:
    try:
        image = path.read_bytes()
    except OSError as error:
        raise KernelBuildError(f"program {path} cannot be read: {error.strerror}") from error
    if len(image) > LARGEST:
        raise KernelBuildError(f"program {path} has {len(image)} bytes; at most {LARGEST} fit: strip it")
    problem = _problem(image)
    if problem:
        raise KernelBuildError(f"program {path} {problem}")
    return image


def _problem(image: bytes) -> str | None:
    """What is wrong with an image, as the rest of a sentence."""
    from elftools.common.exceptions import ELFError
    from elftools.construct import ConstructError
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(BytesIO(image))
        machine, kind, bits = elf["e_machine"], elf["e_type"], elf.elfclass
        segments = [
            (int(part["p_vaddr"]), int(part["p_memsz"])) for part in elf.iter_segments() if part["p_type"] == "PT_LOAD"
        ]
    except (ELFError, ConstructError, ValueError, OverflowError, UnicodeDecodeError):
        return "is no ELF file; link it with a cross compiler or `ekernel ld`"
    if (machine, bits, elf.little_endian) != ("EM_RISCV", 64, True):
        return "is for another machine; compile it for riscv64"
    if kind != "ET_EXEC":
        return "is no program at fixed addresses; link it with -static -no-pie"
    if not any(size for _, size in segments):
        return "has nothing to load; link it"
    if any(address + size > _END_OF_PROGRAMS for address, size in segments):
        return f"does not lie below {_END_OF_PROGRAMS:#x}; link it at 0x10000"
    return None
