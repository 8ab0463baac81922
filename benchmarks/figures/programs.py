"""Two hundred small programs, each booted to its verdict: one Python process beside QEMU started for each."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig
from figures import qemu
from figures.table import best, row, title, wall
from linker import link
from linker.assembler import assemble

COUNT, IN_QEMU = 200, 20
_SCRIPT = "ENTRY(_start) SECTIONS { . = 0x80000000; .text : { *(.text) } }"
_PROGRAM = """
    .globl _start
_start:
    la t0, failed
    csrw mtvec, t0
    li a0, 1
    li a1, {number}
1:  mul a0, a0, a1
    addi a1, a1, -1
    bnez a1, 1b
    li t0, 0x100000
    li t1, 0x5555
    sw t1, (t0)
    .balign 4
failed:
    li t0, 0x100000
    li t1, 0x13333
    sw t1, (t0)
    j failed
"""


def main() -> None:
    """Print the part."""
    title(f"{COUNT} ELF programs, each booted to its verdict")
    with TemporaryDirectory() as name:
        files = [Path(name, f"{number}.elf") for number in range(1, COUNT + 1)]
        for number, file in enumerate(files, 1):
            source = assemble(_PROGRAM.format(number=number), name="program.s")
            file.write_bytes(link([source], script=_SCRIPT).elf)
        times = {fidelity: best(lambda fidelity=fidelity: _all(files, fidelity)) for fidelity in ("fast", "exact")}
        reference = sum(wall(qemu.bare(file)) for file in files[:IN_QEMU]) * COUNT / IN_QEMU if qemu.PROGRAM else None
    for fidelity, seconds in times.items():
        if reference is None:
            row(f"{COUNT} programs, {fidelity}", f"{seconds:.3f} s")
            continue
        faster = reference / seconds
        row(
            f"{COUNT} programs, {fidelity}",
            f"{seconds:.3f} s", f"QEMU {reference:.3f} s", f"{faster:.1f} times faster",
            target="at least 10 times", met=faster >= 10,
        )  # fmt: skip


def _all(files: list[Path], fidelity: str) -> float:
    start = time.perf_counter()
    for file in files:
        machine = Machine(MachineConfig(fidelity=fidelity, firmware="none", ram_size=16 << 20))
        machine.load(Image.open(file))
        if machine.run(max_instructions=10_000).exit_code != 0:
            raise SystemExit(f"{file.name} failed")
    return time.perf_counter() - start
