"""A batch of programs in memory, executed by QEMU and by this machine."""

import mmap
import os
import struct
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from emu.errors import MachineError
from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig, StopReason
from linker import link
from linker.assembler import assemble
from tests.emu.differential.layout import (
    AREA_SIZE,
    CODE_SIZE,
    CURRENT,
    FIRST_AREA,
    FIRST_CODE,
    HARNESS,
    RAM_BASE,
    RAM_SIZE,
)  # fmt: skip
from tests.emu.differential.programs import Programs

_LIMIT = 5_000_000
"""Instructions; a batch takes some 500,000, most of them the harness's. One that traps at every second instruction for
ever, where QEMU sees no end either, comes to this in a minute."""
_CPU = "rv64,h=off,v=off,zba=off,zbb=off,zbc=off,zbs=off,sstc=off,svinval=off"
Areas = npt.NDArray[np.uint64]
"""The words of each program's area, and of its code behind it."""


class EndlessError(Exception):
    """A program does not end."""

    def __init__(self, current: int, why: str) -> None:
        self.program = (current - FIRST_AREA) // AREA_SIZE
        super().__init__(f"program {self.program} does not end: {why}")


class Executed(NamedTuple):
    """What this machine has done."""

    areas: Areas
    instructions: int
    """Retired, with those of the harness."""


@lru_cache(maxsize=1)
def harness() -> bytes:
    """The program of harness.s."""
    path = Path(__file__).with_name("harness.s")
    code = assemble(path.read_text(), name="harness.s")
    script = f"ENTRY(_start) SECTIONS {{ . = {HARNESS:#x}; .text : {{ *(.text) }} }}"
    (segment,) = Image.from_bytes(link([code], script=script).elf, "harness.elf").segments
    return segment.data


def _pieces(programs: Programs) -> list[tuple[int, bytes]]:
    jump = struct.pack("<2I", HARNESS - RAM_BASE | 5 << 7 | 0x17, 5 << 15 | 0x67)
    return [(RAM_BASE, jump), (HARNESS, harness()), *programs.pieces()]


def on_qemu(qemu: str, programs: Programs, directory: Path, seconds: float = 60) -> Areas:
    """The areas after QEMU has executed the programs.

    There may be two harts, or QEMU would take an AMO for a load and a store. Where interrupts may come anywhere, each
    instruction is a block of its own, so that they are taken behind the instruction that raises them.
    """
    options = ["-singlestep"] if programs.traits.interrupts_anywhere else []
    ram = ram_on_qemu(qemu, _pieces(programs), directory, seconds, "-smp", "1,maxcpus=2", *options)
    end = FIRST_AREA + programs.size * AREA_SIZE - RAM_BASE
    return _areas(ram.ljust(end, b"\0"), programs.size)


def _areas(ram: bytes, size: int) -> Areas:
    parts = [
        np.frombuffer(ram, np.uint64, size * each // 8, first - RAM_BASE).reshape(size, -1)
        for first, each in ((FIRST_AREA, AREA_SIZE), (FIRST_CODE, CODE_SIZE))
    ]
    return np.concatenate(parts, axis=1)


def ram_on_qemu(
    qemu: str, memory_pieces: Sequence[tuple[int, bytes]], directory: Path, seconds: float, *options: str
) -> bytes:
    """RAM after QEMU has executed what is there in M mode, until it powers itself off."""
    path = directory / "ram"
    with path.open("w+b") as file:
        file.truncate(RAM_SIZE)
        for address, data in memory_pieces:
            os.pwrite(file.fileno(), data, address - RAM_BASE)
        memory = f"memory-backend-file,id=ram,size={RAM_SIZE},mem-path={path},share=on"
        command = [
            qemu, "-machine", "virt,memory-backend=ram", "-object", memory, "-m", str(RAM_SIZE >> 20) + "M",
            "-cpu", _CPU, "-bios", "none", "-display", "none", "-serial", "none", "-monitor", "none",
            "-nodefaults", *options,
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, timeout=seconds, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            (current,) = struct.unpack("<Q", os.pread(file.fileno(), 8, CURRENT - RAM_BASE))
            raise EndlessError(current, f"QEMU is at it for {seconds} seconds") from None
        end = max(address + len(data) for address, data in memory_pieces) - RAM_BASE
        with mmap.mmap(file.fileno(), RAM_SIZE, prot=mmap.PROT_READ) as ram:
            return ram[:end]


def on_machine(programs: Programs, fidelity: str) -> Executed:
    """The areas after this machine has executed the programs."""
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=RAM_SIZE, firmware="none"))
    machine.load(Image.from_bytes(bytes(8), "jump.bin", raw_offset=0))
    for address, data in _pieces(programs):
        machine.memory.write(address, data)
    try:
        outcome = machine.run(_LIMIT)
    except MachineError as error:  # traps that lead to traps, which QEMU takes for ever
        raise EndlessError(machine.memory.read_int(CURRENT, 8), str(error)) from None
    if outcome.reason is not StopReason.POWERED_OFF:
        raise EndlessError(machine.memory.read_int(CURRENT, 8), f"{outcome.description} at {machine.hart.pc}")
    ram = machine.memory.read(RAM_BASE, FIRST_AREA + programs.size * AREA_SIZE - RAM_BASE)
    return Executed(_areas(ram, programs.size), machine.instret)
