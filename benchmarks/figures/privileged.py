"""What the privileged architecture and the devices cost: CSR accesses, traps, TLB fills, console bytes."""

import time
from functools import partial

from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig
from emu.observe.faults import PageFaultObserver
from emu.report.places import Places
from emu.report.summary import Summary
from figures.size import size
from figures.table import best, microseconds, ratio, row, title
from linker import link
from linker.assembler import assemble

_OFF = "li a7, 8\n ecall\n"
_SCRIPT = "ENTRY(_start) SECTIONS { . = 0x80200000; .text : { *(.text) *(.data) } }"
_PAGING = """
    la t0, root
    li t1, 0x200000cf
    sd t1, 16(t0)
    li t1, 0x200000df
    sd t1, 24(t0)
    srli t0, t0, 12
    li t1, 8
    slli t1, t1, 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
"""
_ROOT = ".balign 4096\n root: .fill 512, 8, 0\n"

_LOOP = "li s0, {count}\n 1: {body}\n addi s0, s0, -1\n bnez s0, 1b\n" + _OFF
_COMPUTE = """
    li s0, {count}
    li s1, 0x80400000
1:  mul t0, s0, s0
    andi t1, t0, 0x3f8
    add t1, t1, s1
    ld t2, (t1)
    xor t2, t2, t0
    sd t2, (t1)
    srli t3, t2, 7
    add s2, s2, t3
    andi t4, s2, 1
    beqz t4, 2f
    addi s2, s2, 3
2:  addi s0, s0, -1
    bnez s0, 1b
    li a7, 8
    ecall
"""
_FLOATS = """
    li t0, 0x6000
    csrs sstatus, t0
    li s0, {{count}}
    li s1, 0x80400000
    li t1, 3
    fcvt.{0}.w fa1, t1
    li t1, 7
    fcvt.{0}.w fa2, t1
    fdiv.{0} fa1, fa1, fa2
    fmv.{0} fa3, fa2
1:  fmadd.{0} fa3, fa3, fa1, fa2
    fmul.{0} fa4, fa3, fa1
    fneg.{0} fa4, fa4
    {1} fa4, (s1)
    {2} fa5, (s1)
    fadd.{0} fa5, fa5, fa3
    fmax.{0} fa5, fa5, fa1
    flt.{0} t1, fa5, fa3
    addi s0, s0, -1
    bnez s0, 1b
    li a7, 8
    ecall
"""
_USER_TRAPS = _PAGING + """
    la t0, trap
    csrw stvec, t0
    la t0, user
    li t1, 0x40000000
    add t0, t0, t1
    csrw sepc, t0
    sret
    .balign 4
trap:
    csrr t0, sepc
    addi t0, t0, 4
    csrw sepc, t0
    beqz s0, 1f
    sret
1:  li a7, 8
    ecall
    .balign 4096
user:
    li s0, {count}
2:  addi s0, s0, -1
    ecall
    j 2b
""" + _ROOT  # fmt: skip
_MASKED = """
    csrci sstatus, 2
    csrwi sie, 2
    csrwi sip, 2
""" + _LOOP.replace("{body}", "nop\n nop")  # fmt: skip
"""A software interrupt that stays pending and enabled, and is kept back by `sstatus.SIE`."""
_FILL_LOOP = """
    li s0, {{count}}
    li s1, 0x80300000
    li s2, 0x1000
1:  mv s3, s1
    .rept {loads}
    ld t0, (s3)
    add s3, s3, s2
    .endr
    sfence.vma
    addi s0, s0, -1
    bnez s0, 1b
"""
_STORES = """
    la s1, data
    li s0, {count}
1:  sd s0, (s1)
    ld t0, (s1)
    sd t0, 8(s1)
    addi s0, s0, -1
    bnez s0, 1b
""" + _OFF
_LOADS = 8


def fills(loads: int) -> str:
    """A loop that loads from so many pages, and forgets their translations again."""
    return _PAGING + _FILL_LOOP.format(loads=loads) + _OFF + _ROOT


def image(source: str, **values: int) -> Image:
    """A program from assembly text."""
    text = f".globl _start\n_start:\n{source.format(**values)}"
    return Image.from_bytes(link([assemble(text, name="benchmark.s")], script=_SCRIPT).elf, "benchmark.elf")


def seconds(program: Image, fidelity: str) -> tuple[float, int]:
    """The processor time of a whole run, the best of three, and its instructions."""
    least, instructions = float("inf"), 0
    for _ in range(size(3)):
        machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20))
        machine.load(program)
        start = time.process_time()
        instructions = machine.run().instructions
        least = min(least, time.process_time() - start)
    return least, instructions


def masked(count: int, *, told: bool) -> float:
    """Seconds of `fast` with an interrupt kept back, with or without the summary that `ekernel run` prints."""
    machine = Machine(MachineConfig(fidelity="fast", ram_size=16 << 20))
    machine.load(image(_MASKED, count=count))
    if told:
        Summary(machine, PageFaultObserver(machine), Places(machine), None)
    start = time.process_time()
    machine.run()
    return time.process_time() - start


def stores(apart: int, paging: bool, fidelity: str) -> float:
    """Seconds of ten million rounds of two stores to data that begin so many bytes behind the page with the code."""
    source = (_PAGING if paging else "") + _STORES + (_ROOT if paging else "") + f".balign 4096\n.zero {apart}\ndata:\n"
    took, _ = seconds(image(source, count=size(10_000_000, 100)), fidelity)
    return took


def iteration(source: str, count: int) -> tuple[float, float]:
    """The seconds of one iteration in `exact` and in `fast`."""
    costs = []
    for fidelity in ("exact", "fast"):
        count = size(count, 10)
        whole, _ = seconds(image(source, count=count), fidelity)
        least, _ = seconds(image(source, count=1), fidelity)
        costs.append((whole - least) / count)
    return costs[0], costs[1]


def loop(body: str) -> str:
    """A loop around some instructions."""
    return _LOOP.replace("{body}", body)


def main() -> None:
    """Print the part."""
    title("Privileged architecture and devices, processor time")
    microseconds("CSR read (sscratch)", *iteration(loop("csrr t0, sscratch"), 100_000), 2)
    microseconds("CSR write (sscratch)", *iteration(loop("csrw sscratch, t0"), 100_000), 2)
    microseconds("CSR write (sstatus)", *iteration(loop("csrsi sstatus, 2"), 100_000), 2)
    microseconds("rdtime", *iteration(loop("rdtime t0"), 100_000), 2)
    microseconds("trap U -> S -> U", *iteration(_USER_TRAPS, 50_000), 4)
    many, one = iteration(fills(1 + _LOADS), 20_000), iteration(fills(1), 20_000)
    microseconds("TLB fill", (many[0] - one[0]) / _LOADS, (many[1] - one[1]) / _LOADS, 3)
    microseconds("sfence.vma and 2 TLB fills", *one)
    microseconds("console byte (SBI)", *iteration(loop("li a7, 1\n li a0, 32\n ecall"), 50_000), 4)
    microseconds("console byte (UART)", *iteration(loop("li t0, 0x10000000\n sb zero, (t0)"), 50_000), 4)
    microseconds("UART status", *iteration(loop("li t0, 0x10000005\n lb t1, (t0)"), 50_000))
    silent, told = (best(partial(masked, size(100_000_000, 1000), told=one)) for one in (False, True))
    ratio("400 million, interrupt masked", told, "without a summary", silent, 1.1)
    for paging, where in ((False, "bare"), (True, "one RWX page")):
        for fidelity in ("exact", "fast"):
            near, apart = (stores(distance, paging, fidelity) for distance in (8 << 10, 264 << 10))
            ratio(f"stores near code, {where}, {fidelity}", near, "256 KiB further", apart, 1.2)
    title("Instructions")
    for name, source in (
        ("integers and memory, bare", _COMPUTE),
        ("integers and memory, one RWX page", _PAGING + _COMPUTE + _ROOT),
        ("double precision", _FLOATS.format("d", "fsd", "fld")),
        ("single precision", _FLOATS.format("s", "fsw", "flw")),
    ):
        speeds = []
        for fidelity in ("exact", "fast"):
            took, instructions = seconds(image(source, count=size(1_000_000, 100)), fidelity)
            speeds.append(f"{fidelity} {instructions / took / 1e6:4.0f} million/s")
        row(name, *speeds)
