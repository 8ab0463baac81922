"""Plain computation: the same program in the machine, in bare Unicorn and in QEMU."""

import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import unicorn

from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig
from figures import qemu
from figures.size import size
from figures.table import best, processor_time, ratio, title
from linker import link
from linker.assembler import assemble

ROUNDS = size(12_000, 3)
M_MODE, _S_MODE = 0x8000_0000, 0x8020_0000
_SCRIPT = """
ENTRY(_start)
SECTIONS {{
    . = {base:#x};
    .text : {{ *(.start) *(.text .text.*) }}
    . = {base:#x} + 0x200000;
    .data : {{ *(.rodata .rodata.*) *(.data .data.*) *(.sdata .sdata.*) *(.bss .bss.* .sbss .sbss.*) }}
}}
"""
# The checksum is left in s0; the test finisher ends the machine.
_START = """
    .section .start, "ax"
    .globl _start
_start:
    {before}
    la sp, stack
    li a0, {rounds}
    call compute
    mv s0, a0
    {after}
    .data
    .balign 4096
    .skip 4096
stack:
"""
_POWER_OFF = """
    li t0, 0x100000
    li t1, 0x5555
    sw t1, (t0)
"""
# The upper half of the map's first page of page tables: devices, code (R, X) and data (R, W), of 2 MiB each.
_SV39 = """
    la t0, root
    la t1, devices
    srli t1, t1, 2
    ori t1, t1, 1
    sd t1, (t0)
    la t1, memory
    srli t1, t1, 2
    ori t1, t1, 1
    sd t1, 16(t0)
    srli t0, t0, 12
    li t1, 8
    slli t1, t1, 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    .data
    .balign 4096
root: .skip 4096
devices: .dword 0xc7
    .balign 4096
memory: .dword 0, 0x200800cb, 0x201000c7
    .balign 4096
    .section .start, "ax"
"""


def program(base: int, rounds: int, *, before: str = "", after: str = _POWER_OFF) -> bytes:
    """The program as an ELF file."""
    source = Path(__file__).with_name("compute.s").read_text()
    start = _START.format(before=before, after=after, rounds=rounds)
    objects = [assemble(start, name="start.s"), assemble(source, name="compute.s")]
    return link(objects, script=_SCRIPT.format(base=base)).elf


def in_machine(elf: bytes, fidelity: str, firmware: str) -> tuple[float, int]:
    """Seconds of processor time that the run takes, and the checksum."""
    machine = Machine(MachineConfig(fidelity=fidelity, firmware=firmware, ram_size=16 << 20))
    machine.load(Image.from_bytes(elf, "compute.elf"))
    start = time.process_time()
    machine.run()
    return time.process_time() - start, machine.hart.x["s0"]


def in_unicorn(elf: bytes) -> tuple[float, int]:
    """The same in Unicorn alone: nothing is counted, nothing is watched."""
    core = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV64)
    core.mem_map(M_MODE, 16 << 20)
    core.mem_map(0x10_0000, 0x1000)
    image = Image.from_bytes(elf, "compute.elf")
    for segment in image.segments:
        core.mem_write(int(segment.physical), segment.data)
    end = int(image.symbols.lookup("done").address)
    start = time.process_time()
    core.emu_start(M_MODE, end)
    return time.process_time() - start, core.reg_read(unicorn.riscv_const.UC_RISCV_REG_S0)


def in_qemu(folder: Path) -> float:
    """Seconds of processor time that QEMU takes for the rounds, without its start."""
    for name, rounds in (("all", ROUNDS), ("one", 1)):
        (folder / name).write_bytes(program(M_MODE, rounds))
    whole, least = (best(partial(processor_time, qemu.bare(folder / name))) for name in ("all", "one"))
    return whole - least


def main() -> None:
    """Print the part."""
    title(f"Computation, {ROUNDS:,} rounds of benchmarks/figures/compute.c, processor time")
    alone = program(M_MODE, ROUNDS, after=".globl done\ndone: j done")
    results = [in_unicorn(alone) for _ in range(size(3))]
    unicorns, checksum = min(results)
    with TemporaryDirectory() as folder:
        qemus = in_qemu(Path(folder)) if qemu.PROGRAM else None
    machine_mode, supervisor = program(M_MODE, ROUNDS), program(_S_MODE, ROUNDS, before=_SV39)
    for fidelity in ("fast", "exact"):
        plain = [in_machine(machine_mode, fidelity, "none") for _ in range(size(3))]
        paged = [in_machine(supervisor, fidelity, "sbi") for _ in range(size(3))]
        wrong = {result for _, result in (*plain, *paged)} - {checksum}
        if wrong:
            raise SystemExit(f"the checksum {checksum} of the computation came out as {wrong}")
        ratio(f"M mode, {fidelity}", min(plain)[0], "bare Unicorn", unicorns, 0.5)
        if qemus is not None:
            ratio("", min(plain)[0], "QEMU", qemus, 1.3)
        ratio(f"S mode under Sv39, {fidelity}", min(paged)[0], "bare Unicorn", unicorns, 1.2)
