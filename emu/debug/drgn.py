"""A machine as a program of drgn: memory with the types of the kernel's debug information."""

import functools
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from emu.errors import AddressError, ConfigError, SymbolError
from emu.machine import Machine

if TYPE_CHECKING:
    from drgn import Program

_ALL = 1 << 64
_MOST_VMCOREINFO = 1 << 16


def program(machine: Machine, files: Sequence[str | Path] = ()) -> "Program":
    """A `drgn.Program` that shows the machine as it is whenever it is asked, also after a journey in time.

    `files` have the debug information; without any, those that the machine knows. Virtual addresses are translated by
    the present address space. For a Linux that has a vmcoreinfo (CONFIG_VMCORE_INFO), drgn's helpers for Linux work,
    but for those that walk page tables or stacks by themselves, which drgn lacks for RISC-V. Raises ConfigError when
    drgn is not installed, or the files have no debug information.
    """
    try:
        import drgn
    except ImportError:
        raise ConfigError("drgn is not installed: pip install 'ekernel[drgn]'") from None
    flags = drgn.PlatformFlags.IS_64_BIT | drgn.PlatformFlags.IS_LITTLE_ENDIAN
    platform = drgn.Platform(drgn.Architecture.RISCV64, flags)
    information = vmcoreinfo(machine)
    made = drgn.Program(platform) if information is None else drgn.Program(platform, vmcoreinfo=information)
    read = functools.partial(_read, machine, drgn.FaultError)
    made.add_memory_segment(0, _ALL - 1, read)
    made.add_memory_segment(0, _ALL - 1, read, True)
    wanted = [str(file) for file in files]
    if not wanted and machine.image is not None and Path(machine.image.name).exists():
        wanted = [machine.image.name]
    for path in wanted:
        module = made.extra_module(path, create=True)
        try:
            module.address_range = _extent(path)
            module.try_file(path, force=True)
        except (OSError, ValueError, ELFError) as error:
            raise ConfigError(f"{path} has no debug information that drgn reads: {error}") from None
        if module.wants_debug_file():
            raise ConfigError(f"{path} has no debug information; compile it with -g")
    return made


def _extent(path: str) -> tuple[int, int]:
    """The addresses that an ELF file's segments are linked to."""
    with Path(path).open("rb") as stream:
        loads = [part.header for part in ELFFile(stream).iter_segments("PT_LOAD")]
    if not loads:
        raise ValueError("it has no segments")
    return min(part.p_vaddr for part in loads), max(part.p_vaddr + part.p_memsz for part in loads)


def vmcoreinfo(machine: Machine) -> bytes | None:
    """What a Linux says of itself for debuggers; None for another kernel, or before it has."""
    try:
        at, size = machine.address_of("vmcoreinfo_data"), machine.address_of("vmcoreinfo_size")
        pointer, length = (struct.unpack("<Q", machine.read_virtual(place, 8))[0] for place in (at, size))
        if not pointer or not 0 < length <= _MOST_VMCOREINFO:
            return None
        return machine.read_virtual(pointer, length)
    except (SymbolError, AddressError):
        return None


def _read(machine: Machine, fault: type[Exception], address: int, count: int, _offset: int, physical: bool) -> bytes:
    memory = machine.memory
    if physical:
        data = memory.read(address, count) if memory.contains(address, count) else None
    else:
        data = machine.peek(address, count)
    if data is None:
        raise fault("nothing is mapped there", address)
    return data
