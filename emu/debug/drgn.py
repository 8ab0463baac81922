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

    `files` have the debug information; without any, those whose names the machine knows. Virtual addresses are
    translated by the present address space. A Linux that has a vmcoreinfo (CONFIG_CRASH_CORE, later CONFIG_VMCORE_INFO)
    is one for drgn, too: its helpers for Linux work, but for those that walk page tables or stacks by themselves, which
    drgn lacks for RISC-V. Raises ConfigError when drgn is not installed, or the files have no debug information.
    """
    try:
        import drgn
    except ImportError:
        raise ConfigError("drgn is not installed: pip install 'ekernel[drgn]'") from None
    flags = drgn.PlatformFlags.IS_64_BIT | drgn.PlatformFlags.IS_LITTLE_ENDIAN
    made = drgn.Program(drgn.Platform(drgn.Architecture.RISCV64, flags))
    information = vmcoreinfo(machine)
    if information is not None:
        made.set_linux_kernel_custom(information, False)
    read = functools.partial(_read, machine, drgn.FaultError)
    made.add_memory_segment(0, _ALL - 1, read)
    made.add_memory_segment(0, _ALL - 1, read, True)
    known = [name for name, _ in machine.platform.names.files if _has_types(name)]
    for path in [str(file) for file in files] or known:
        try:
            first, end = _extent(path)
            if information is not None and first <= machine.address_of("vmcoreinfo_data") < end:
                made.load_debug_info([path])
                if made.main_module().wants_debug_file():
                    raise ConfigError(
                        f"{path} has no debug information of the Linux that runs; give the vmlinux of the same build, "
                        "with CONFIG_DEBUG_INFO_DWARF5"
                    )
                continue
            module = made.extra_module(path, create=True)
            module.address_range = first, end
            module.try_file(path, force=True)
        except (OSError, ValueError, ELFError, drgn.MissingDebugInfoError) as error:
            raise ConfigError(f"{path} has no debug information that drgn reads: {error}") from None
        if module.wants_debug_file():
            raise ConfigError(f"{path} has no debug information; compile it with -g")
    return made


def _has_types(path: str) -> bool:
    """Whether a file has debug information."""
    try:
        with Path(path).open("rb") as stream:
            return bool(ELFFile(stream).has_dwarf_info(strict=True))
    except (OSError, ELFError):
        return False


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
