"""Random guests: code of every kind in a memory full of traps, and the state in which it starts. All from a seed."""

import base64
import json
import random
import struct
import zlib
from dataclasses import dataclass

from tests.emu.fuzz.blocks import blocks

CODE, TABLES, RINGS = 0x8000_0000, 0x8001_0000, 0x8001_8000
RAM_SIZE = 1 << 20
_OPCODES = (0x03, 0x07, 0x0F, 0x13, 0x17, 0x1B, 0x23, 0x27, 0x2F, 0x33, 0x37, 0x3B, 0x43, 0x53, 0x63, 0x67, 0x6F, 0x73)
_SYSTEM = (0x0000_0073, 0x0010_0073, 0x1020_0073, 0x3020_0073, 0x1050_0073, 0x1200_0073, 0x0000_100F)
_CSRS = (
    0x001, 0x003, 0x100, 0x104, 0x105, 0x140, 0x141, 0x142, 0x143, 0x144, 0x14D, 0x180, 0x300, 0x302, 0x303, 0x304,
    0x305, 0x306, 0x30A, 0x320, 0x340, 0x341, 0x342, 0x343, 0x344, 0x3A0, 0x3A2, 0x3B0, 0x3B1, 0x7A0, 0xB00, 0xC00,
    0xC01, 0xC02, 0xF14,
)  # fmt: skip
_POINTERS = (
    CODE, CODE + 0x40, CODE + 0xFFC, TABLES, TABLES + 0xFFC, RINGS, RINGS + 0x1000, CODE + RAM_SIZE - 3, 0,
    (1 << 64) - 4, 0x0010_0000, 0x0010_1000, 0x0200_0000, 0x0200_4000, 0x0200_BFF8, 0x0C00_0000, 0x0C20_1004,
    0x1000_0000, 0x1000_1000, 0x1000_1050, 0x1000_2000, 0x1000_8FFC, 8 << 60 | TABLES >> 12, 9 << 60 | TABLES >> 12,
    10 << 60 | TABLES >> 12,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guest:
    """What is written before the guest runs."""

    pieces: tuple[tuple[int, bytes], ...]
    """Physical addresses and bytes."""
    registers: tuple[int, ...]
    csrs: tuple[tuple[str, int], ...]
    pc: int
    privilege: int

    def to_json(self) -> dict[str, object]:
        """The same as numbers and text."""
        pieces = [[address, base64.b64encode(zlib.compress(data, 9)).decode()] for address, data in self.pieces]
        return {
            "pieces": pieces,
            "registers": self.registers,
            "csrs": self.csrs,
            "pc": self.pc,
            "privilege": self.privilege,
        }

    @staticmethod
    def from_json(text: dict[str, object]) -> "Guest":
        """The guest that `to_json` wrote."""
        fields = json.loads(json.dumps(text))
        pieces = tuple((address, zlib.decompress(base64.b64decode(data))) for address, data in fields["pieces"])
        csrs = tuple((name, value) for name, value in fields["csrs"])
        return Guest(pieces, tuple(fields["registers"]), csrs, fields["pc"], fields["privilege"])


def generate(seed: int) -> Guest:
    """The guest with this seed."""
    source = random.Random(seed)
    pieces = [(CODE, _code(source)), (TABLES, _tables(source)), (RINGS, _rings(source))]
    registers = (0, *(_value(source) for _ in range(31)))
    bad = source.choice((CODE + source.randrange(0, 0x200, 4), TABLES, 0x1000_0000, source.getrandbits(64)))
    machine_handler, supervisor_handler = (CODE + 0x800 if source.random() < 0.85 else bad for _ in range(2))
    csrs = (
        ("mtvec", machine_handler | source.getrandbits(1)),
        ("stvec", (supervisor_handler + 32) & (1 << 64) - 1),
        ("mstatus", source.getrandbits(23)),
        ("medeleg", source.choice((0, 0xB3FF, source.getrandbits(16)))),
        ("mideleg", source.choice((0, 0x222))),
        ("mie", source.getrandbits(12)),
        ("satp", source.choice((0, 0, 8, 9, 10)) << 60 | TABLES >> 12),
        ("sepc", CODE + source.randrange(0, 0x400, 2)),
        ("mepc", CODE + source.randrange(0, 0x400, 2)),
    )
    return Guest(
        tuple(pieces),
        registers,
        csrs,
        source.choice((CODE, CODE, CODE + 2, CODE + 0xFFE)),
        source.choice((0, 1, 1, 3, 3)),
    )


def _value(source: random.Random) -> int:
    kind = source.random()
    if kind < 0.6:
        return source.choice(_POINTERS) + source.choice((0, 0, 0, 4, 8, source.randrange(4096))) & (1 << 64) - 1
    return source.getrandbits(64) >> source.choice((0, 32, 48, 60))


def _code(source: random.Random) -> bytes:
    """Two pages: whole blocks of a kernel, random instructions, or both; then damaged. A handler at 0x800."""
    kind = source.randrange(3)
    parts: list[bytes] = []
    while sum(map(len, parts)) < 0x780:
        if kind == 0 or (kind == 1 and source.random() < 0.5):
            parts.append(b"".join(_instruction(source) for _ in range(16)))
        else:
            parts.append(source.choice(blocks()))
    body = b"".join(parts)[:0x800].ljust(0x800, b"\0")
    code = bytearray((body + blocks()[0]).ljust(0x2000, b"\0"))
    if source.random() < 0.3:
        code[0xFFC:0x1010] = b"".join(_instruction(source) for _ in range(8))[:0x14]
    for _ in range(source.choice((0, 0, 1, 4, 20))):
        code[source.randrange(0x800)] ^= 1 << source.randrange(8)
    return bytes(code)


def _instruction(source: random.Random) -> bytes:
    kind = source.random()
    if kind < 0.08:
        return struct.pack("<I", source.choice(_SYSTEM))
    if kind < 0.25:
        fields = source.getrandbits(5) << 15 | source.choice((1, 2, 3, 5, 6, 7)) << 12 | source.getrandbits(5) << 7
        return struct.pack("<I", source.choice(_CSRS) << 20 | fields | 0x73)
    if kind < 0.4:
        return struct.pack("<H", source.getrandbits(16) & ~3 | source.choice((0, 1, 2)))
    if kind < 0.45:
        return struct.pack("<I", source.getrandbits(32))
    return struct.pack("<I", (source.getrandbits(32) & ~0x7F) | source.choice(_OPCODES))


def _tables(source: random.Random) -> bytes:
    """Three pages of page-table entries: pages of RAM and of devices, tables, identity gigapages, anything."""
    ram, device = CODE >> 2, 0x1000_0000 >> 2
    plain = (
        0,
        ram | 0xCF,
        ram | 0xDF,
        ram | 0x4B,
        TABLES + 0x1000 >> 2 | 1,
        TABLES + 0x2000 >> 2 | 1,
        device | 0xC7,
        0xCF,
    )
    few = [source.choice((*plain, source.getrandbits(54), source.getrandbits(64))) for _ in range(64)]
    entries = source.choices(few, k=1536)
    if source.random() < 0.6:  # the kernel goes on where it is
        entries[2] = ram | source.choice((0xCF, 0xDF, 0xEF))
        entries[0] = 0xC7 | source.choice((0, 8))
    return struct.pack("<1536Q", *entries)


def _rings(source: random.Random) -> bytes:
    """A virtqueue in both layouts: descriptors of code, tables, rings and anything, and a header for the disk."""
    descriptors = []
    for _ in range(16):
        address = source.choice(
            (CODE, CODE + 0x40, TABLES, RINGS, RINGS + 0x800, CODE + RAM_SIZE - 8, source.getrandbits(64))
        )
        length = source.choice((1, 16, 512, 4096, source.getrandbits(32)))
        descriptors.append(struct.pack("<QIHH", address, length, source.getrandbits(3), source.randrange(20)))
    available = struct.pack(
        "<HH16H", 0, source.choice((1, 2, 16, source.getrandbits(16))), *(source.randrange(18) for _ in range(16))
    )
    header = struct.pack(
        "<IIQ", source.choice((0, 1, 4, 8, source.getrandbits(32))), 0, source.choice((0, 1, source.getrandbits(64)))
    )
    page = (b"".join(descriptors) + available).ljust(0x800, b"\0") + header
    return page.ljust(0x2000, b"\0")
