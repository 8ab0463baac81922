"""Two hundred small programs, each booted to its verdict: in one Python process, beside QEMU started for each."""

import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig
from emu.machine.pool import MachinePool
from figures import qemu
from figures.size import size
from figures.table import best, processor_time, row, title
from linker import link
from linker.assembler import assemble

COUNT, IN_QEMU = size(200, 2), size(20)
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
    title(f"{COUNT} ELF programs, each booted to its verdict, processor time")
    with TemporaryDirectory() as name:
        files = [Path(name, f"{number}.elf") for number in range(1, COUNT + 1)]
        for number, file in enumerate(files, 1):
            source = assemble(_PROGRAM.format(number=number), name="program.s")
            file.write_bytes(link([source], script=_SCRIPT).elf)
        times = {}
        for fidelity in ("fast", "exact"):
            times[f"{fidelity}, a machine each"] = best(partial(_each, files, fidelity))
            times[f"{fidelity}, one used again"] = best(partial(_again, files, fidelity))
        reference = None
        if qemu.PROGRAM:
            reference = sum(processor_time(qemu.bare(file)) for file in files[:IN_QEMU]) * COUNT / IN_QEMU
    for what, seconds in times.items():
        each, goal = seconds / COUNT * 1e3, 0.5 if "again" in what else 1.0
        shown = [f"{each:.2f} ms each"]
        if reference is not None:
            shown += [f"QEMU {reference / COUNT * 1e3:.1f} ms", f"{reference / seconds:.1f} times faster"]
        row(f"{COUNT} programs, {what}", *shown, target=f"at most {goal} ms", met=each <= goal)


def _each(files: list[Path], fidelity: str) -> float:
    start = time.process_time()
    for file in files:
        with Machine(_config(fidelity)) as machine:
            _run(machine, file)
    return time.process_time() - start


def _again(files: list[Path], fidelity: str) -> float:
    start = time.process_time()
    with MachinePool() as pool:
        for file in files:
            with pool.machine(_config(fidelity)) as machine:
                _run(machine, file)
    return time.process_time() - start


def _config(fidelity: str) -> MachineConfig:
    return MachineConfig(fidelity=fidelity, firmware="none", ram_size=16 << 20)


def _run(machine: Machine, file: Path) -> None:
    machine.load(Image.open(file))
    if machine.run(max_instructions=10_000).exit_code != 0:
        raise SystemExit(f"{file.name} failed")
