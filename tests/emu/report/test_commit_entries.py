"""Native code knows of an instruction what Python does, by its bits, or leaves it to Python; on both kinds of hosts."""

import random
import struct

import pytest
import unicorn

from emu.engine.assembled import ASSEMBLED
from emu.isa.csrs import Csr
from emu.isa.encodings import AMO, MISC_MEM, SYSTEM
from emu.report.logs.commits.entries.layout import CONSTANTS, IN_PYTHON
from emu.report.logs.commits.layout import BLOCK_HEAD, ENTRY, ENTRY_SIZE, HEAD_SIZE
from emu.report.logs.commits.log import flags_of
from tests.emu.engine.hosts import HOSTS

SSTATUS = int(Csr.SSTATUS)
CODE, DATA, OUTPUT = 0x10000, 0x100000, 0x400000


def instructions() -> list[bytes]:
    """Every compressed one; of the others every opcode with every funct3, and much else in them."""
    chosen = random.Random(7)
    found = [struct.pack("<H", code) for code in range(1 << 16) if code & 3 != 3]
    for opcode in range(3, 128, 4):
        uppers = [0, SSTATUS << 5, *(chosen.getrandbits(17) for _ in range(6))]
        middles = [upper << 15 | funct3 << 12 for upper in uppers for funct3 in range(8)]
        found += [struct.pack("<I", middle | chosen.getrandbits(5) << 7 | opcode) for middle in middles]
    chosen.shuffle(found)
    return found


def entries(architecture: str, code: bytes, length: int) -> tuple[int, int, list[tuple[bytes, int]]]:
    """What native code answers; how many entries it says there are; and of each its text and flags."""
    core = unicorn.Uc(*HOSTS[architecture].engine)
    for place, size in ((CODE, 0x4000), (DATA, 0x100000), (OUTPUT, 0x400000)):
        core.mem_map(place, size)
    core.mem_write(CODE, ASSEMBLED[architecture]["commit_entries"])
    core.mem_write(DATA, CONSTANTS)
    core.mem_write(DATA + 0x1000, code)
    core.mem_write(OUTPUT, struct.pack(BLOCK_HEAD, length, 99, 0, 0))
    arguments = [DATA, DATA + 0x1000, len(code), OUTPUT]
    answer = HOSTS[architecture].call(core, CODE, CODE + 0x2000, CODE + 0x4000, arguments, most=10_000_000)
    told, count, _, _ = struct.unpack(BLOCK_HEAD, core.mem_read(OUTPUT, HEAD_SIZE))
    assert told == length
    found = []
    for number in range(count):
        place = OUTPUT + HEAD_SIZE + ENTRY_SIZE * number
        text, size, _, flags = struct.unpack_from(ENTRY, core.mem_read(place, ENTRY_SIZE))
        found.append((bytes(core.mem_read(text, size)), flags))
    assert not any(core.mem_read(OUTPUT + HEAD_SIZE + ENTRY_SIZE * count, ENTRY_SIZE))
    return answer & 0xFFFF_FFFF, count, found


@pytest.mark.parametrize("architecture", HOSTS)
def test_an_entry_has_the_code_and_its_flags(architecture: str) -> None:
    codes = instructions()
    answer, count, found = entries(architecture, b"".join(codes), len(codes))
    assert count == len(codes)
    left = set()
    for code, (text, flags) in zip(codes, found, strict=True):
        assert text.decode() == f" ({int.from_bytes(code, 'little'):#0{2 + 2 * len(code)}x})"
        if flags & IN_PYTHON:
            left.add(code[0] & 0x7F)
            flags = flags_of(code) | IN_PYTHON
        assert flags & ~IN_PYTHON == flags_of(code) & ~IN_PYTHON
    assert answer == sum(flags & IN_PYTHON for _, flags in found)
    assert {AMO, SYSTEM} < left
    assert MISC_MEM not in left
    assert all(opcode & 3 == 3 for opcode in left)


@pytest.mark.parametrize("architecture", HOSTS)
@pytest.mark.parametrize(
    ("code", "length", "found"),
    [
        ("1300 0000 0100", 1, [b" (0x00000013)"]),
        ("1300 0000 0100", 9, [b" (0x00000013)", b" (0x0001)"]),
        ("0100 1300", 9, [b" (0x0001)", b" (0x0013)"]),
        ("0100 13", 9, [b" (0x0001)"]),
        ("", 9, []),
    ],
)
def test_a_block_that_is_longer_or_shorter_than_it_says_has_what_is_in_both(
    architecture: str, code: str, length: int, found: list[bytes]
) -> None:
    assert [text for text, _ in entries(architecture, bytes.fromhex(code), length)[2]] == found
