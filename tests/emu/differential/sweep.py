"""Which encodings are illegal instructions: each of a list is executed alone, by QEMU and by this machine."""

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig, StopReason
from linker import link
from linker.assembler import assemble
from tests.emu.differential.batch import ram_on_qemu
from tests.emu.differential.layout import RAM_BASE, RAM_SIZE

LIST, SLOT = 0x8080_0000, 0x8000_3000
_BREAKPOINTS = bytes.fromhex("0290") * 0x1000
_LIMIT = 100_000_000


def narrow() -> list[int]:
    """All encodings of 16 bits but jumps and branches to themselves, which never end."""
    return [
        word for word in range(1 << 16)
        if word & 3 != 3 and word & 0xFFFD != 0xA001 and (word & 3 != 1 or word >> 13 < 6 or word & 0x1C7C)
    ]  # fmt: skip


def wide(step: int) -> Iterator[int]:
    """Each `step`th of the upper twelve bits with each funct3, where an opcode looks at them; else some."""
    rd, rs1 = 6 << 7, 7 << 15
    for opcode in range(3, 128, 4):
        if opcode in (0x37, 0x17, 0x6F, 0x63):  # lui, auipc, jal, branches: nothing is reserved, or it is below
            continue
        decodes = opcode in (0x33, 0x3B, 0x2F, 0x53, 0x43, 0x47, 0x4B, 0x4F, 0x0F, 0x13, 0x1B, 0x73)
        uppers = range(0, 1 << 12, step) if decodes else (0, 1, 2, 0x10, 0x80, 0x400, 0x7F8, 0xFF8)
        for upper in uppers:
            for funct3 in (0, 4) if opcode == 0x73 else range(8):
                word = upper << 20 | funct3 << 12 | opcode
                yield word | rd | rs1
                if opcode in (0x73, 0x0F) and word != 0x1050_0073:  # wfi would wait for ever
                    yield from (word, word | rd, word | rs1)
    yield from (2 << 12 | 0x863, 3 << 12 | 0x863)


@lru_cache(maxsize=1)
def _program() -> bytes:
    code = assemble(Path(__file__).with_name("sweep.s").read_text(), name="sweep.s")
    script = f"ENTRY(_start) SECTIONS {{ . = {RAM_BASE:#x}; .text : {{ *(.text) }} }}"
    (segment,) = Image.from_bytes(link([code], script=script).elf, "sweep.elf").segments
    return segment.data


def _pieces(words: Sequence[int]) -> list[tuple[int, bytes]]:
    listed = struct.pack(f"<Q{len(words)}I", len(words), *words)
    return [(RAM_BASE, _program()), (SLOT - 0x1000, _BREAKPOINTS), (LIST, listed)]


def _illegal(words: Sequence[int], ram: bytes) -> set[int]:
    verdicts = struct.unpack_from(f"<{len(words)}I", ram, LIST + 8 - RAM_BASE)
    assert set(verdicts) <= {0, 1}
    return {word for word, verdict in zip(words, verdicts, strict=True) if verdict}


def illegal_on_qemu(qemu: str, words: Sequence[int], directory: Path) -> set[int]:
    """Which of the words are illegal instructions for QEMU."""
    return _illegal(words, ram_on_qemu(qemu, _pieces(words), directory, 120))


def illegal_on_machine(words: Sequence[int], fidelity: str) -> set[int]:
    """Which of the words are illegal instructions here."""
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=RAM_SIZE, firmware="none"))
    machine.load(Image.from_bytes(bytes(8), "jump.bin", raw_offset=0))
    for address, data in _pieces(words):
        machine.memory.write(address, data)
    assert machine.run(_LIMIT).reason is StopReason.POWERED_OFF
    return _illegal(words, machine.memory.read(RAM_BASE, RAM_SIZE))
