"""An ELF core of a machine: its registers, and RAM at the addresses of its address space, for gdb, drgn and objdump."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from emu.address import PAGE_SIZE
from emu.errors import ConfigError
from emu.machine import Machine
from emu.wholefile import whole

# System V ABI, chapter 4 and 5; the notes are those of Linux (elf_prstatus of RISC-V).
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III")
_CORE, _RISCV, _LOAD, _NOTES, _PRSTATUS = 4, 243, 1, 4, 1
_DOUBLE_FLOATS, _COMPRESSED = 0x4, 0x1
_REGISTERS_AT, _PRSTATUS_SIZE = 112, 376
_MOST_SEGMENTS = 0xFFFE
_CHUNK = 1 << 20
_ALL = (1 << 64) - 1


def write_core(machine: Machine, path: str | Path) -> int:
    """Write a core, in which pages of zeros take no room on the disk; returns the bytes of its address range.

    Its segments are what the page tables map now (all of RAM where paging is off), with their physical addresses.
    Raises ConfigError when the file cannot be written.

    >>> import tempfile
    >>> from ekernel import Machine, MachineConfig
    >>> write_core(Machine(MachineConfig(ram_size=1 << 20)), Path(tempfile.mkdtemp(), "core")) >> 20
    1
    """
    segments = list(_segments(machine))[:_MOST_SEGMENTS]
    notes = _notes(machine)
    start = _HEADER.size + (1 + len(segments)) * _PROGRAM.size
    ram = machine.memory.ram
    begin = -(-(start + len(notes)) // PAGE_SIZE) * PAGE_SIZE
    try:
        with whole(path) as place, place.open("wb") as file:
            file.write(_header(1 + len(segments)))
            file.write(_PROGRAM.pack(_NOTES, 0, start, 0, 0, len(notes), 0, 4))
            for virtual, physical, size, flags in segments:
                offset = begin + physical - ram.base
                file.write(_PROGRAM.pack(_LOAD, flags, offset, virtual, physical, size, size, PAGE_SIZE))
            file.write(notes)
            _write_ram(file, begin, ram.view)
    except BrokenPipeError:  # whoever read it has gone
        raise
    except OSError as error:
        raise ConfigError(f"cannot write the core to {path}: {error.strerror}; name another file") from None
    return sum(size for _, _, size, _ in segments)


def _segments(machine: Machine) -> Iterator[tuple[int, int, int, int]]:
    """Virtual and physical address, bytes, and flags of what is mapped to RAM."""
    ram, space = machine.memory.ram, machine.address_space()
    if not space.levels:
        yield ram.base, ram.base, ram.size, 7
        return
    for part in space.ranges():
        first, last = max(int(part.physical), ram.base), min(int(part.physical) + part.size, ram.end)
        if first < last:
            flags = part.flags >> 3 & 1 | part.flags >> 1 & 2 | part.flags << 1 & 4
            yield int(part.first) + first - int(part.physical) & _ALL, first, last - first, flags


def _header(programs: int) -> bytes:
    identity = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    flags = _DOUBLE_FLOATS | _COMPRESSED
    return _HEADER.pack(
        identity, _CORE, _RISCV, 1, 0, _HEADER.size, 0, flags, _HEADER.size, _PROGRAM.size, programs, 0, 0, 0
    )


def _notes(machine: Machine) -> bytes:
    """NT_PRSTATUS: pc and x1 to x31 of the hart."""
    status = bytearray(_PRSTATUS_SIZE)
    struct.pack_into("<32Q", status, _REGISTERS_AT, int(machine.hart.pc), *machine.hart.x[1:])
    struct.pack_into("<i", status, 32, 1)  # the process's number
    name = b"CORE\0\0\0\0"
    return _NOTE.pack(5, len(status), _PRSTATUS) + name + bytes(status)


def _write_ram(file: BinaryIO, begin: int, ram: memoryview) -> None:
    zeros = bytes(_CHUNK)
    for at in range(0, len(ram), _CHUNK):
        chunk = ram[at : at + _CHUNK]
        if chunk != zeros[: len(chunk)]:
            for page in range(0, len(chunk), PAGE_SIZE):
                part = chunk[page : page + PAGE_SIZE]
                if part != zeros[:PAGE_SIZE]:
                    file.seek(begin + at + page)
                    file.write(part)
    file.truncate(begin + len(ram))
