"""Instructions across the end of a page, whose upper half cannot be fetched: which fault comes when, as on QEMU."""

import subprocess
from dataclasses import dataclass

from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig, StopReason
from linker import link
from linker.assembler import assemble

SCRIPT = "ENTRY(_start) SECTIONS { . = 0x80000000; .text : { *(.text) } }"
RAM_END, PAGES, FIRST_VIRTUAL, PAGE = 0x8100_0000, 0x8010_0000, 0x2000, 0x1000
ROOT, MIDDLE, LEAVES = 0x8000_8000, 0x8000_9000, 0x8000_A000
START = """
    la t0, trapped
    csrw mtvec, t0
    li t0, {guarded} >> 2 | 0x1ff
    csrw pmpaddr0, t0
    li t0, -1
    csrw pmpaddr1, t0
    li t0, 0x1f1b               # no fetch from one page; everything else is open
    csrw pmpcfg0, t0
    li t0, 8 << 60 | {root} >> 12
    csrw satp, t0
    sfence.vma
    li s10, 0x10000000
    {runs}
    li t0, 0x100000
    li t1, 0x5555
    sw t1, (t0)
    j .
enter:                          # a0 in S mode, and back at s5 with the trap
    li s9, 0
    li t0, 0x1800
    csrc mstatus, t0
    li t0, 0x800
    csrs mstatus, t0
    csrw mepc, a0
    mret
    .balign 4
trapped:
    csrr s2, mcause
    csrr s3, mepc
    csrr s4, mtval
    jr s5
report:                         # of s2, s3, s4 and s9, in hexadecimal
    mv s7, ra
    mv a0, s2
    jal number
    mv a0, s3
    jal number
    mv a0, s4
    jal number
    mv a0, s9
    jal number
    li t0, 10
    sb t0, (s10)
    jr s7
number:
    li t1, 32
1:  addi t1, t1, -4
    srl t2, a0, t1
    andi t2, t2, 15
    addi t2, t2, '0'
    sb t2, (s10)
    bnez t1, 1b
    li t2, ' '
    sb t2, (s10)
    ret
"""
RUN = """
    li a0, {start}
    la s5, 1f
    j enter
1:  jal report
"""
LAST_IN_RAM = """
    csrw satp, zero
    sfence.vma
    li t0, {end}
    li t1, 0x0c85               # c.addi s9, 1
    sh t1, -6(t0)
    sh t1, -4(t0)
    li t1, 0x0513               # half of addi a0, a0, ..
    sh t1, -2(t0)
    fence.i
"""
OPEN, INVALID, NOT_EXECUTABLE, USERS, NO_MEMORY, GUARDED = "open", "invalid", "data", "users", "no memory", "guarded"
BEFORE = {
    "": 0,
    "c.addi s9, 1": 2,
    "c.addi s9, 1\n addi s9, s9, 64\n c.addi s9, 1": 8,
    "c.addi s9, 1\n lw a1, 0(zero)\n c.addi s9, 1": 8,  # a fault before the fault
    "c.addi s9, 1\n ecall\n c.addi s9, 1": 8,
    "c.addi s9, 1\n sw s9, 0(t6)\n c.nop": 8,
    "c.addi s9, 1\n beqz zero, 9f\n c.nop\n 9:": 8,
}
"""What stands before the instruction in its page, and how many bytes it has."""


@dataclass(frozen=True)
class Case:
    before: str
    behind: str
    """The page that the upper half lies in."""


CASES = [Case(before, behind) for behind in (OPEN, INVALID, NOT_EXECUTABLE, USERS) for before in BEFORE]
WITHOUT_MEMORY = [Case(before, NO_MEMORY) for before in BEFORE]
"""QEMU 7.2 aborts there, and at the end of RAM."""
GUARDED_CASES = [Case(before, GUARDED) for before in BEFORE]


DIGITS = str.maketrans("abcdef", ":;<=>?")
"""The program's hexadecimal digits."""


def program(cases, more=""):
    fragments, leaves, runs, guarded = [], [], [], RAM_END - 16 * PAGE
    for number, case in enumerate(cases):
        first, second = PAGES + 2 * number * PAGE, PAGES + (2 * number + 1) * PAGE
        if case.behind is GUARDED:
            # Its pages lie elsewhere: one page is guarded, and all of these cases have it behind them.
            first, second = PAGES + 0x20_0000 - PAGE, PAGES + 0x20_0000
        entry = {
            OPEN: second >> 2 | 0xCB, INVALID: second >> 2 | 0xCA, NOT_EXECUTABLE: second >> 2 | 0xC3,
            USERS: second >> 2 | 0xDB, NO_MEMORY: 0x4000_0000 >> 2 | 0xCB, GUARDED: second >> 2 | 0xCB,
        }[case.behind]  # fmt: skip
        leaves += [first >> 2 | 0xCB, entry]
        length = BEFORE[case.before]
        start = FIRST_VIRTUAL + (2 * number + 1) * PAGE - 2 - length
        fragments.append(f".org {second - 2 - length - 0x8000_0000:#x}\n{case.before}\n addi s9, s9, 0x100\n ecall\n")
        runs.append(RUN.format(start=start))
        if case.behind is GUARDED:
            guarded = second
    source = START.format(guarded=guarded, root=ROOT, runs="\n".join(runs) + more)
    source += f".org {ROOT - 0x8000_0000:#x}\n .dword {MIDDLE >> 2 | 1}, 0, 0x200000cf\n"
    source += f".org {MIDDLE - 0x8000_0000:#x}\n .dword {LEAVES >> 2 | 1}\n"
    source += f".org {LEAVES - 0x8000_0000:#x}\n .dword 0, 0\n" + "".join(f".dword {leaf}\n" for leaf in leaves)
    code = assemble(f".text\n.globl _start\n_start:\n{source}\n" + "".join(fragments), name="crossing.s")
    return link([code], script=SCRIPT).elf


def ours(elf, *, told=None, **config):
    machine = Machine(MachineConfig(ram_size=16 << 20, firmware="none", **config))
    machine.load(Image.from_bytes(elf, "crossing.elf"))
    for name in ("trapped", "report"):
        if told is not None:
            machine.watch(name, lambda name=name: told.append((name, machine.hart.x["s2"], machine.instret)))
    assert machine.run(max_instructions=1_000_000).reason is StopReason.POWERED_OFF
    return machine, machine.console.decode().splitlines()


def qemus(oracle, elf, path):
    path.write_bytes(elf)
    command = [oracle("qemu-system-riscv64"), "-M", "virt", "-m", "16M", "-nographic", "-bios", path]
    result = subprocess.run(command, capture_output=True, timeout=60, check=True, stdin=subprocess.DEVNULL)
    return result.stdout.decode().splitlines()


def test_every_instruction_before_it_executes_and_every_fault_before_it_comes_first(oracle, tmp_path):
    elf = program(CASES)
    expected = qemus(oracle, elf, tmp_path / "crossing.elf")
    assert len(expected) == len(CASES)
    exact, in_exact = ours(elf)
    fast, in_fast = ours(elf, fidelity="fast")
    assert dict(zip(CASES, in_exact, strict=False)) == dict(zip(CASES, expected, strict=False))
    assert (in_exact, in_fast) == (expected, expected)
    assert exact.instret == fast.instret


def test_who_watches_addresses_is_told_of_each_though_fetches_leave_the_translator(fidelity):
    elf, told = program(CASES), []
    unwatched, lines = ours(elf, fidelity=fidelity)
    watched, seen = ours(elf, told=told, fidelity=fidelity)
    assert (seen, watched.instret) == (lines, unwatched.instret)
    assert [name for name, *_ in told] == ["trapped", "report"] * len(CASES)
    causes = [f"{cause:08x}".translate(DIGITS) for name, cause, _ in told if name == "report"]
    assert causes == [line.split()[0] for line in lines]
    assert sorted(told, key=lambda one: one[2]) == told


def test_the_same_where_there_is_no_memory_for_the_upper_half(fidelity):
    at_the_end = LAST_IN_RAM.format(end=RAM_END) + RUN.format(start=RAM_END - 6) + RUN.format(start=RAM_END - 2)
    expected = []
    for number, before in enumerate(BEFORE):
        end = FIRST_VIRTUAL + (2 * number + 1) * PAGE
        fault = {"lw": (13, end - 2 - 6, 0), "ecall": (9, end - 2 - 6, 0), "sw": (15, end - 2 - 6, 0)}
        cause, epc, tval = next((fault[word] for word in fault if word in before.split()), (1, end - 2, end))
        first_steps = {"": 0, "c.addi s9, 1\n addi s9, s9, 64\n c.addi s9, 1": 66}
        expected.append((cause, epc, tval, first_steps.get(before, 1)))
    expected += [(1, RAM_END - 2, RAM_END, 2), (1, RAM_END - 2, RAM_END, 0)]
    lines = ours(program(WITHOUT_MEMORY, at_the_end), fidelity=fidelity)[1]
    assert lines == ["".join(f"{number:08x} " for number in row).translate(DIGITS) for row in expected]


def test_the_same_where_memory_protection_forbids_the_upper_half(oracle, tmp_path):
    for number, case in enumerate(GUARDED_CASES):
        elf = program([case])
        expected = qemus(oracle, elf, tmp_path / f"crossing{number}.elf")
        assert (case, ours(elf)[1]) == (case, expected)
