"""A batch of streams in memory, executed by QEMU and by this machine."""

import mmap
import os
import struct
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig, StopReason
from linker import link
from linker.assembler import assemble
from tests.emu.differential import encodings as e
from tests.emu.differential.layout import CONTROL, HARNESS, LOG, RAM_BASE, RAM_SIZE, area
from tests.emu.differential.streams import Stream

_LIMIT = 50_000_000
"""Instructions; a batch has some ten thousand traps of 300 instructions each."""
_CPU = "rv64,h=off,v=off,zba=off,zbb=off,zbc=off,zbs=off,sstc=off,svinval=off"


@lru_cache(maxsize=1)
def harness() -> bytes:
    """The program of harness.s."""
    path = Path(__file__).with_name("harness.s")
    code = assemble(path.read_text(), name="harness.s")
    script = f"ENTRY(_start) SECTIONS {{ . = {HARNESS:#x}; .text : {{ *(.text) }} }}"
    (segment,) = Image.from_bytes(link([code], script=script).elf, "harness.elf").segments
    return segment.data


def pieces(streams: Sequence[Stream]) -> list[tuple[int, bytes]]:
    """What lies in memory at the start, by physical address."""
    jump = e.word(HARNESS - RAM_BASE | 5 << 7 | 0x17) + e.i_type(0x67, 0, 0, 5, 0)
    found = [(RAM_BASE, jump), (HARNESS, harness()), (CONTROL, struct.pack("<4Q", len(streams), (1 << 64) - 1, 0, LOG))]
    for stream in streams:
        found += [(area(stream.number) + 4096 * number, data) for number, data in stream.pages.items()]
    return found


def on_qemu(qemu: str, streams: Sequence[Stream], directory: Path, seconds: float = 60) -> bytes:
    """RAM after QEMU has executed the streams.

    Each instruction is a block of its own, so that interrupts are taken behind the instruction that raises them, and
    there may be two harts, or QEMU would take an AMO for a load and a store.
    """
    return ram_on_qemu(qemu, pieces(streams), directory, seconds, "-singlestep", "-smp", "1,maxcpus=2")


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
            (current,) = struct.unpack("<Q", os.pread(file.fileno(), 8, CONTROL + 8 - RAM_BASE))
            raise AssertionError(f"stream {current} does not end on QEMU within {seconds} seconds") from None
        with mmap.mmap(file.fileno(), RAM_SIZE, prot=mmap.PROT_READ) as ram:
            return ram[:]


def on_machine(streams: Sequence[Stream], fidelity: str) -> bytes:
    """RAM after this machine has executed the streams."""
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=RAM_SIZE, firmware="none"))
    machine.load(Image.from_bytes(bytes(8), "jump.bin", raw_offset=0))
    for address, data in pieces(streams):
        machine.memory.write(address, data)
    outcome = machine.run(_LIMIT)
    if outcome.reason is not StopReason.POWERED_OFF:
        current = machine.memory.read_int(CONTROL + 8, 8)
        raise AssertionError(f"stream {current} does not end: {outcome.description} at pc {machine.hart.pc}")
    return machine.memory.read(RAM_BASE, RAM_SIZE)
