"""Random guests: whatever they execute ends in a guest trap, a machine error or the limit, and fidelities agree."""

import random
import struct

import pytest

from emu.errors import MachineError
from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig

_OPCODES = (0x03, 0x07, 0x0F, 0x13, 0x17, 0x1B, 0x23, 0x27, 0x2F, 0x33, 0x37, 0x3B, 0x43, 0x53, 0x63, 0x67, 0x6F, 0x73)
_SYSTEM = (0x00000073, 0x00100073, 0x10200073, 0x30200073, 0x10500073, 0x12000073, 0x0000100F)
_CSRS = (0x100, 0x104, 0x105, 0x140, 0x141, 0x142, 0x143, 0x144, 0x180, 0x300, 0x302, 0x303, 0x304, 0x305, 0x340, 0x341,
         0x344, 0x001, 0x003, 0xC00, 0xC01, 0xC02, 0x14D, 0x30A, 0x320, 0x3A0, 0x3B0, 0x7A0, 0xB00, 0xF14)  # fmt: skip
_POINTERS = (
    0x8000_0000,
    0x8000_4000,
    0x8000_3FFC,
    0x1000_0000,
    0x0200_BFF8,
    0x0200_4000,
    0x0C00_0000,
    0x8040_0000 - 3,
    0,
)


def instruction(source: random.Random) -> bytes:
    kind = source.random()
    if kind < 0.1:
        return struct.pack("<I", source.choice(_SYSTEM))
    if kind < 0.25:
        fields = source.getrandbits(5) << 15 | source.choice((1, 2, 3, 5, 6, 7)) << 12 | source.getrandbits(5) << 7
        return struct.pack("<I", source.choice(_CSRS) << 20 | fields | 0x73)
    if kind < 0.4:
        return struct.pack("<H", source.getrandbits(16) & ~3 | source.choice((0, 1, 2)))
    if kind < 0.45:
        return struct.pack("<I", source.getrandbits(32))
    return struct.pack("<I", (source.getrandbits(32) & ~0x7F) | source.choice(_OPCODES))


def guest(seed: int) -> bytes:
    source = random.Random(seed)
    return b"".join(instruction(source) for _ in range(200)).ljust(4096, b"\0")


def run(seed: int, **config) -> tuple[Machine, str]:
    source = random.Random(seed + 1)
    firmware = source.choice(("none", "sbi"))
    machine = Machine(MachineConfig(ram_size=4 << 20, firmware=firmware, **config))
    machine.load(Image.from_bytes(guest(seed), "random.bin", raw_offset=0))
    table = struct.pack(
        "<512Q", *(source.choice((0, 0x2000_00CF, 0x2000_1001, source.getrandbits(54))) for _ in range(512))
    )
    machine.memory.write(0x8000_4000, table)
    for number in range(1, 32):
        machine.hart.x[number] = source.choice((*_POINTERS, source.getrandbits(64), 8 << 60 | 0x80004, 0x10, 0xA0))
    machine.hart.csr["stvec"] = 0x8000_0000 + source.randrange(0, 400, 4)
    machine.hart.csr["mtvec"] = 0x8000_0000 + source.randrange(0, 400, 4)
    try:
        ending = machine.run(max_instructions=3000).reason.name
    except MachineError as error:
        ending = str(error).split(":")[0]
    return machine, ending


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_random_guests_end_in_an_orderly_way(fidelity):
    for seed in range(150):
        machine, ending = run(seed, fidelity=fidelity)
        assert ending
        assert machine.instret <= 3000


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_many_more_random_guests_end_in_an_orderly_way(part):
    for seed in range(1000 + part * 500, 1500 + part * 500):
        run(seed, fidelity=("exact", "fast")[seed & 1])


def test_random_guests_do_the_same_with_native_and_python_probes():
    for seed in range(60):
        for fidelity in ("exact", "fast"):
            native, python = run(seed, fidelity=fidelity), run(seed, fidelity=fidelity, probes="python")
            assert native[1] == python[1]
            assert native[0].instret == python[0].instret
            assert list(native[0].hart.x) == list(python[0].hart.x)
