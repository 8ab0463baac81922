"""What the machine costs: CSR accesses, traps, TLB fills, console bytes, plain computation, starts and snapshots."""

import time
from collections.abc import Callable

from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig
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

LOOP = "li s0, {count}\n 1: {body}\n addi s0, s0, -1\n bnez s0, 1b\n" + _OFF
COMPUTE = """
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
FLOATS = """
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
USER_TRAPS = _PAGING + """
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
FILLS = (
    _PAGING
    + "li s0, {count}\n li s1, 0x80300000\n 1: ld t0, (s1)\n sfence.vma\n addi s0, s0, -1\n bnez s0, 1b\n"
    + _OFF
    + _ROOT
)


def image(source: str, **values: int) -> Image:
    """A program from assembly text."""
    text = f".globl _start\n_start:\n{source.format(**values)}"
    return Image.from_bytes(link([assemble(text, name="benchmark.s")], script=_SCRIPT).elf, "benchmark.elf")


def seconds(program: Image, fidelity: str) -> tuple[float, int]:
    """The processor time of a whole run, the best of three, and its instructions."""
    best, instructions = float("inf"), 0
    for _ in range(3):
        machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20))
        machine.load(program)
        start = time.process_time()
        instructions = machine.run().instructions
        best = min(best, time.process_time() - start)
    return best, instructions


def per_iteration(name: str, source: str, count: int, unit: str = "us") -> None:
    """Print the cost of one iteration in both fidelities."""
    costs = []
    for fidelity in ("exact", "fast"):
        whole, _ = seconds(image(source, count=count), fidelity)
        least, _ = seconds(image(source, count=1), fidelity)
        costs.append(f"{fidelity} {(whole - least) / count * 1e6:7.3f} {unit}")
    print(f"{name:28}{'   '.join(costs)}")


def timed(name: str, action: Callable[[], object], times: int) -> None:
    """Print the mean processor time of an action of the host."""
    action()
    start = time.process_time()
    for _ in range(times):
        action()
    print(f"{name:28}{(time.process_time() - start) / times * 1e6:.1f} us")


def main() -> None:
    """Print every figure."""
    per_iteration("CSR read (sscratch)", LOOP.replace("{body}", "csrr t0, sscratch"), 200_000)
    per_iteration("CSR write (sscratch)", LOOP.replace("{body}", "csrw sscratch, t0"), 200_000)
    per_iteration("CSR write (sstatus)", LOOP.replace("{body}", "csrsi sstatus, 2"), 200_000)
    per_iteration("rdtime", LOOP.replace("{body}", "rdtime t0"), 200_000)
    per_iteration("trap U -> S -> U", USER_TRAPS, 100_000)
    per_iteration("sfence + 2 TLB fills", FILLS, 100_000)
    per_iteration("SBI console byte", LOOP.replace("{body}", "li a7, 1\n li a0, 32\n ecall"), 50_000)
    per_iteration("UART byte", LOOP.replace("{body}", "li t0, 0x10000000\n sb zero, (t0)"), 50_000)
    per_iteration("UART status", LOOP.replace("{body}", "li t0, 0x10000005\n lb t1, (t0)"), 50_000)
    for name, source in (
        ("compute, bare", COMPUTE),
        ("compute, Sv39", _PAGING + COMPUTE + _ROOT),
        ("double precision", FLOATS.format("d", "fsd", "fld")),
        ("single precision", FLOATS.format("s", "fsw", "flw")),
    ):
        for fidelity in ("exact", "fast"):
            took, instructions = seconds(image(source, count=2_000_000), fidelity)
            print(f"{f'{name}, {fidelity}':28}{instructions / took / 1e6:.0f} million instructions a second")
    timed("machine made (128 MiB)", Machine, 20)
    timed("machine made (4 GiB)", lambda: Machine(MachineConfig(ram_size=4 << 30)), 20)
    machine = Machine()
    machine.load(image("j .\n .globl f\n f: addi a0, a0, 1\n ret\n", count=0))
    timed("call of a guest function", lambda: machine.call("f", 1), 2000)
    machine.memory.write(0x8100_0000, b"x" * (64 * 4096))
    snapshot = machine.snapshot()

    def dirty_and_restore() -> None:
        machine.memory.write(0x8100_0000, b"y" * (44 * 4096))
        machine.restore(snapshot)

    timed("restore, 44 dirty pages", dirty_and_restore, 200)


if __name__ == "__main__":
    main()
