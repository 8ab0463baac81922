"""F and D as programs have them: loops, code that changes, two mappings, page ends, deadlines, FS, snapshots."""

import random

import pytest

from emu.isa.privilege import Privilege
from emu.machine import Machine, MachineConfig, StopReason
from tests.emu.isa.float_cases import BOX
from tests.emu.isa.test_floating_point_traps import OPERANDS, ROWS, written
from tests.guests import LOWER_TABLES, PAGING_ON

OFF, INITIAL, CLEAN, DIRTY = range(4)
FS = 3 << 13
SIGNALLING_NAN = 0x7FF << 52 | 1
POWER_OFF = "li a7, 8\n ecall\n"
MEMORY = ("flw fa1, 8(s1)", "c.fld fa2, 16(s1)", "fsd fa3, 24(s1)", "fsw fa0, 20(s1)")
OTHER = ("rdinstret a1", "fmv.d.x fa3, s0", "fadd.d fa0, fa0, fa3", "fsrmi 3", "fsflagsi 0", "c.addi a1, 1")


def loops(seed: int) -> str:
    """Loops of any instructions of F and D, between others and branches that are taken or not."""
    choose = random.Random(seed)
    rows = [row for row in ROWS if "(" not in row.signature]
    lines = [f"li t0, {FS:#x}\n csrs sstatus, t0\n li s1, 0x80210000"]
    for loop in range(3):
        lines.append(f"li s0, 5\n loop{loop}:")
        for place in range(12):
            names = {name: f"{'f' if name[0] == 'f' else ''}a{choose.randrange(4)}" for name in OPERANDS}
            rounding = {"rm": choose.choice(("rne", "rup", "dyn")), "rm0": "rne"}
            lines.append(written(choose.choice(rows), names | rounding))
            lines.append(choose.choice((*MEMORY, *OTHER, f"blez a1, skip{loop}_{place}")))
            lines.append(f"skip{loop}_{place}:")
        lines.append(f"addi s0, s0, -1\n bnez s0, loop{loop}")
    return "\n".join((*lines, POWER_OFF))


def state(machine):
    hart = machine.hart
    return machine.instret, hart.pc, list(hart.x), list(hart.f), hart.csr["fcsr"], hart.csr["mstatus"]


@pytest.mark.parametrize("seed", range(3))
def test_single_steps_and_a_run_in_one_go_end_alike(boot, seed):
    whole, single, several = (boot(loops(seed)) for _ in range(3))
    assert whole.run(max_instructions=10_000).reason is StopReason.POWERED_OFF
    while single.step().reason is not StopReason.POWERED_OFF:
        pass
    choose = random.Random(seed)
    while several.step(choose.randrange(2, 12)).reason is not StopReason.POWERED_OFF:
        pass
    assert state(single) == state(whole)
    assert state(several) == state(whole)


def test_both_fidelities_end_alike(build):
    for seed in range(3, 8):
        machines = [Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20)) for fidelity in ("exact", "fast")]
        for machine in machines:
            machine.load(build(loops(seed)))
            machine.run(max_instructions=10_000)
        assert state(machines[0])[:-1] == state(machines[1])[:-1]


def test_a_snapshot_in_the_middle_of_a_loop_goes_on_as_before(boot):
    machine = boot(loops(0))
    machine.step(77)
    snapshot, then = machine.snapshot(), state(machine)
    machine.run(max_instructions=10_000)
    end = state(machine)
    machine.restore(snapshot)
    assert state(machine) == then
    machine.run(max_instructions=10_000)
    assert state(machine) == end


CHANGING = """
    la t0, root
    li t1, 0x200000cf           # 0x80000000, for the kernel
    sd t1, 16(t0)
    li t1, {data_flags:#x}      # the same at 0x100000000, to write
    sd t1, 32(t0)
    li t1, {code_flags:#x}      # and at 0x140000000, to execute
    sd t1, 40(t0)
    srli t0, t0, 12
    li t1, 8
    slli t1, t1, 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    li t0, 0x6100               # FS, and SPP to clear for a user program
    csrs sstatus, t0
    li t0, {leave_spp}
    csrc sstatus, t0
    la t0, program
    li t1, 0xc0000000
    add t0, t0, t1
    csrw sepc, t0
    sret
program:
    li s6, -0x40000000          # from where it executes to where it writes
    la s0, words
    la s1, results
    add s1, s1, s6
    la s2, patched
    add s3, s2, s6
    li t0, 0xffffffff3f800000
    fmv.d.x fa1, t0
    li t0, 0xffffffffc0000000
    fmv.d.x fa2, t0
    li a1, 3
1:  lw t0, 0(s0)
    beqz t0, 9f
    sw t0, 0(s3)
    fence.i
    li s5, 3
2:  fmv.d.x fa0, zero
    jalr s2
    addi s5, s5, -1
    bnez s5, 2b
    fsd fa0, 0(s1)
    addi s0, s0, 4
    addi s1, s1, 8
    j 1b
9:  j 9b
    .balign 16
    .option norvc
    nop
patched:
    nop
    ret
words:
{words}
    .word 0
    .balign 8
    .globl results
results: .fill 64, 8, 0
    .balign 4096
root: .fill 512, 8, 0
"""
PATCHES = [
    ("fsgnj.s fa0, fa1, fa2", BOX | 0xBF80_0000),
    ("fadd.s fa0, fa1, fa2", BOX | 0xBF80_0000),
    ("fsgnjn.s fa0, fa1, fa2", BOX | 0x3F80_0000),
    ("fsub.s fa0, fa1, fa2", BOX | 0x4040_0000),
    ("fsgnjx.s fa0, fa1, fa2", BOX | 0xBF80_0000),
    ("fmul.s fa0, fa1, fa2", BOX | 0xC000_0000),
    ("fmv.w.x fa0, a1", BOX | 3),
    ("fcvt.s.w fa0, a1", BOX | 0x4040_0000),
    ("fmv.w.x fa0, a1", BOX | 3),
    ("addi a2, a2, 1", 0),
    ("fsgnj.d fa0, fa1, fa2", BOX | 0x3F80_0000),
    ("fmin.s fa0, fa1, fa2", BOX | 0xC000_0000),
    ("fsgnj.s fa0, fa1, fa2", BOX | 0xBF80_0000),
]


@pytest.mark.parametrize("privilege", [Privilege.S, Privilege.U], ids=lambda privilege: privilege.name)
def test_an_instruction_that_replaces_another_does_what_it_says(boot, privilege):
    user = 0x10 if privilege == Privilege.U else 0
    source = CHANGING.format(
        words="\n".join(instruction for instruction, _ in PATCHES),
        data_flags=0x2000_00C7 | user, code_flags=0x2000_00CB | user, leave_spp=0x100 if user else 0,
    )  # fmt: skip
    machine = boot(source)
    machine.run(max_instructions=5_000)
    assert machine.hart.privilege == privilege
    results = machine.symbols.lookup("results").address
    found = [machine.memory.read_int(results + 8 * n, 8) for n in range(len(PATCHES))]
    assert [hex(bits) for bits in found] == [hex(bits) for _, bits in PATCHES]


UPPER_HALVES = """
    la t0, trap
    csrw mtvec, t0
    la a1, data
    c.nop
    .balign 4096
    .fill 2047, 2, 1            # c.nop
across:
    lui a0, 0x21880             # its upper half is c.fld fa0, 0(a1)
    nop
    .balign 4
trap:
    c.nop
    j trap
    .balign 8
data: .dword 0x1234
"""


@pytest.mark.parametrize("stepping", [False, True])
def test_the_upper_half_of_an_instruction_is_another_one_when_jumped_to(boot, stepping):
    """With FS off it is illegal, however the instruction was looked at before: executed, or at a deadline's exit."""
    machine = boot(UPPER_HALVES, firmware="none")
    across, trap = (int(machine.symbols.lookup(name).address) for name in ("across", "trap"))
    assert across & 0xFFF == 0xFFE
    hart = machine.hart
    for fs in (OFF, INITIAL, OFF):
        hart.csr["mstatus"], hart.csr["mtvec"] = fs << 13, trap
        hart.f["fa0"], hart.x["a1"], hart.x["a0"] = 0, machine.symbols.lookup("data").address, 0
        hart.pc = across - 4
        machine.step(2 if stepping else 3)
        assert hart.x["a0"] == (0 if stepping else 0x2188_0000)
        hart.csr["mcause"], hart.pc = 0, across + 2
        machine.step(50)  # whole blocks: what was translated for the exit is not looked at again
        if fs == OFF:
            assert (hart.csr["mcause"], hart.csr["mepc"], hart.csr["mtval"]) == (2, across + 2, 0x2188)
            assert hart.f["fa0"] == 0
        else:
            assert (hart.csr["mcause"], hart.f["fa0"]) == (0, 0x1234)


NEXT_PAGE = f"""
    {LOWER_TABLES}
    la t1, code
    srli t1, t1, 2
    ori t1, t1, 0xcb
    sd t1, 0x80(t0)
    addi s2, t1, 0x400          # the PTE of the page behind it
    la t1, trap
    csrw stvec, t1
    {PAGING_ON}
    li t0, 0x2000
    csrs sstatus, t0
    li a1, 7
    li t0, 0x10ffe
    jr t0
    .balign 4
trap:
    csrr s3, scause
    csrr s4, stval
    csrr s5, sepc
    rdinstret s6
    la t0, table0
    sd s2, 0x88(t0)
    sfence.vma
    sret
    .balign 4096
code:
    .fill 2047, 2, 1
    fmv.w.x fa0, a1
    fsgnjn.s fa0, fa0, fa0
    li a7, 8
    ecall
    .balign 4096
root: .fill 512, 8, 0
table1: .fill 512, 8, 0
table0: .fill 512, 8, 0
"""


def test_an_instruction_across_a_page_end_faults_at_its_second_half_and_then_executes(boot):
    machine = boot(NEXT_PAGE)
    assert machine.run(max_instructions=1000).reason is StopReason.POWERED_OFF
    x = machine.hart.x
    assert (x["s3"], x["s4"], x["s5"]) == (12, 0x11000, 0x10FFE)
    assert machine.hart.f["fa0"] == BOX | 0x8000_0007


def test_an_operation_that_floating_point_off_traps_is_retried_when_it_is_on(boot):
    """A kernel that gives a program its registers at the first use of them, and takes them away again."""
    source = """
    la t0, trap
    csrw mtvec, t0
    la a1, data
    li s0, 3
1:  li t0, 0x6000
    csrc mstatus, t0
    addi a0, a0, 1
    {operation}
    addi a0, a0, 1
    addi s0, s0, -1
    bnez s0, 1b
2:  j 2b
    .balign 4
trap:
    addi s1, s1, 1
    csrr s2, mepc
    csrr s3, mtval
    csrr s4, mcause
    csrr s5, minstret
    li t0, 0x2000
    csrs mstatus, t0
    mret
    .balign 8
data: .dword 0x123456789
    """
    for operation, length in (
        ("c.fld fa0, 0(a1)", 2), ("c.fsd fa0, 0(a1)", 2), ("fsgnj.d fa0, fa1, fa2", 4), ("fsgnj.s fa0, fa1, fa2", 4),
        ("fmv.w.x fa0, a0", 4), ("fmax.s fa0, fa1, fa2", 4), ("flw fa0, 0(a1)", 4),
    ):  # fmt: skip
        machine = boot(source.format(operation=operation), firmware="none")
        machine.run(max_instructions=100)
        x = machine.hart.x
        instruction = machine.memory.read_int(x["s2"], length)
        assert (x["a0"], x["s1"], x["s3"], x["s4"]) == (6, 3, instruction, 2), operation


FLAGGED = [
    # what raises no flag, and what raises one
    ("feq.d a0, fa1, fa1", "feq.d a0, fa0, fa1"),
    ("flt.d a0, fa1, fa1", "flt.d a0, fa0, fa1"),
    ("fle.s a0, fa3, fa3", "fle.s a0, fa1, fa3"),
    ("fcvt.w.d a0, fa1", "fcvt.w.d a0, fa2"),
    ("fcvt.lu.s a0, fa3", "fcvt.lu.s a0, fa0"),
    ("fclass.d a0, fa0", "fcvt.l.d a0, fa0"),
]


@pytest.mark.parametrize(("quiet", "flagged"), FLAGGED, ids=lambda text: text.split()[0])
def test_a_raised_flag_makes_the_floating_point_state_dirty(execute, quiet, flagged):
    values = {"fa0": SIGNALLING_NAN, "fa1": 1 << 62, "fa2": 0x7FE << 52, "fa3": BOX | 0x3F80_0000}
    prepare = "li t0, 0x6000\n csrc mstatus, t0\n li t0, 0x4000\n csrs mstatus, t0\n"
    read = "\n csrr a1, mstatus\n csrr a2, fflags"
    hart = execute(prepare + quiet + read, **values)
    assert (hart.x["a1"] & 0x6000, hart.x["a1"] >> 63, hart.x["a2"]) == (CLEAN << 13, 0, 0)
    hart = execute(prepare + flagged + read, **values)
    assert (hart.x["a1"] & 0x6000, hart.x["a1"] >> 63, hart.x["a2"]) == (DIRTY << 13, 1, 16)


WRITING = (
    "fmv.w.x fa0, a0", "fmv.d.x fa0, a0", "fsgnj.s fa0, fa1, fa2", "fsgnjx.s fa0, fa1, fa1", "fsgnjn.d fa0, fa1, fa2",
    "fadd.s fa0, fa1, fa2", "fmin.d fa0, fa1, fa2", "fmadd.d fa0, fa1, fa2, fa3", "flw fa0, 0(sp)", "c.fld fa0, 0(a5)",
    "fcvt.s.d fa0, fa1",
)  # fmt: skip


def test_a_written_register_makes_the_floating_point_state_dirty(execute):
    for fs in (INITIAL, CLEAN):
        for instruction in WRITING:
            setup = f"li t0, 0x6000\n csrc mstatus, t0\n li t0, {fs << 13}\n csrs mstatus, t0\n"
            hart = execute(f"{setup} {instruction}\n csrr a1, mstatus", sp=0x8021_0000, a5=0x8021_0000)
            assert (hart.x["a1"] & 0x6000, hart.x["a1"] >> 63) == (DIRTY << 13, 1), instruction
        for instruction in ("fsw fa0, 0(sp)", "c.fsd fa0, 0(a5)", "fmv.x.w a0, fa0", "fmv.x.d a0, fa0", "frcsr a0"):
            hart = execute(f"{setup} {instruction}\n csrr a1, mstatus", sp=0x8021_0000, a5=0x8021_0000)
            assert (hart.x["a1"] & 0x6000, hart.x["a1"] >> 63) == (fs << 13, 0), instruction
