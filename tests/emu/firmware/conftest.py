"""ELF files built by hand, so that each field can be damaged alone."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import pytest

HEADER = struct.Struct("<16s HHI QQQ I HHHHHH")
PROGRAM_HEADER = struct.Struct("<II QQQQQQ")


@dataclass(frozen=True)
class Load:
    """A program header to build, and the bytes of its segment."""

    physical: int = 0x8000_0000
    virtual: int | None = None
    data: bytes = b"\x13\0\0\0"
    memory_size: int | None = None
    flags: int = 5
    file_size: int | None = None
    kind: int = 1


ElfBuilder = Callable[..., bytes]


@pytest.fixture(scope="session")
def build_elf() -> ElfBuilder:
    """Build the bytes of an ELF executable; each argument sets a field of its header."""

    def build(
        *loads: Load,
        entry: int = 0x8000_0000,
        kind: int = 2,
        machine: int = 243,
        bits: int = 2,
        order: int = 1,
        entry_size: int = 56,
    ) -> bytes:
        loads = loads or (Load(),)
        identity = b"\x7fELF" + bytes([bits, order, 1]) + bytes(9)
        header = HEADER.pack(identity, kind, machine, 1, entry, 64, 0, 0, 64, entry_size, len(loads), 64, 0, 0)
        offset = HEADER.size + PROGRAM_HEADER.size * len(loads)
        table, body = b"", b""
        for load in loads:
            virtual = load.physical if load.virtual is None else load.virtual
            size = len(load.data) if load.file_size is None else load.file_size
            memory = size if load.memory_size is None else load.memory_size
            place = offset + len(body)
            table += PROGRAM_HEADER.pack(load.kind, load.flags, place, virtual, load.physical, size, memory, 4096)
            body += load.data
        return header + table + body

    return build


@pytest.fixture(scope="session")
def load() -> type[Load]:
    return Load
