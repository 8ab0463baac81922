"""Interrupts as a guest meets them: in which order, at which vector, right behind which instruction."""

import pytest

from emu.engine import library
from emu.events import InterruptRaised, TrapReturned, TrapTaken
from emu.isa.operands import loaded_register
from linker.assembler import assemble

M64 = (1 << 64) - 1
EVERYTHING_PENDING = """
    la t0, vectors
    ori t0, t0, 1
    csrw mtvec, t0
    la t0, s_vectors
    ori t0, t0, 1
    csrw stvec, t0
    li t0, -1
    csrw pmpaddr0, t0
    csrwi pmpcfg0, 0x1f
    la s0, order
    li t0, 0x0c000028       # PLIC: interrupt 10 has a priority, for M and S mode
    li t1, 1
    sw t1, (t0)
    li t1, 1 << 10
    li t0, 0x0c002000
    sw t1, (t0)
    li t0, 0x0c002080
    sw t1, (t0)
    li t0, 0x10000000       # UART: ready to send
    li t1, 2
    sb t1, 1(t0)
    li t0, 0x02000000       # CLINT: software and timer
    li t1, 1
    sw t1, (t0)
    li t0, 0x02004000
    sd zero, (t0)
    li t0, 0x222
    csrs mip, t0
    li t0, {mideleg}
    csrw mideleg, t0
    li t0, 0xaaa
    csrw mie, t0
    la t0, open
    csrw mepc, t0
    li t0, 0x1800
    csrc mstatus, t0
    li t0, {mpp} | 2        # SIE
    csrs mstatus, t0
    mret                    # to S or U mode, where all of M's interrupts are enabled
open:
    nop
    j .
    .option norvc           # vectors are 4 bytes
    .balign 256
    .globl vectors, s_vectors, open
vectors:
    j exception
    .rept 15
    j m_taken
    .endr
    .balign 256
s_vectors:
    j exception
    .rept 15
    j s_taken
    .endr
    .option rvc
exception:
    li a0, 99
    j .
m_taken:
    csrr t0, mcause
    sb t0, (s0)
    addi s0, s0, 1
    li t1, 1
    sll t1, t1, t0
    csrc mie, t1
    mret
s_taken:
    csrr t0, scause
    sb t0, (s0)
    addi s0, s0, 1
    li t1, 1
    sll t1, t1, t0
    csrc sie, t1
    sret
    .balign 8
    .globl order
order: .zero 16
"""


@pytest.mark.parametrize("mpp", [0x800, 0])
@pytest.mark.parametrize("mideleg", [0, 0x222, 0x020, 0x202])
def test_all_interrupts_at_once_are_taken_in_the_manuals_order(boot, collect, mpp, mideleg):
    machine = boot(EVERYTHING_PENDING.format(mideleg=mideleg, mpp=mpp), firmware="none")
    traps = collect(machine, TrapTaken)
    machine.run(max_instructions=3_000)
    order = [11, 3, 7, 9, 1, 5]
    for_m = [cause for cause in order if not mideleg >> cause & 1]
    expected = for_m + [cause for cause in order if mideleg >> cause & 1]
    assert list(machine.memory.read(machine.address_of("order"), 7)) == [*expected, 0]
    interrupts = [trap for trap in traps if trap.interrupt]
    assert [trap.cause for trap in interrupts] == expected
    for trap in interrupts:
        vectors = machine.address_of("s_vectors" if mideleg >> trap.cause & 1 else "vectors")
        assert (trap.handler, trap.tval) == (vectors + 4 * trap.cause, 0)
        assert trap.pc == machine.address_of("open")


MASKED = """
    la t0, handler
    csrw stvec, t0
    csrci sstatus, 2
    csrwi sie, 2
    csrwi sip, 2            # pending and enabled, and kept back from here on
    li t0, {loops}
1:  addi t0, t0, -1
    bnez t0, 1b
    {enable}
    .globl behind
behind:
    j .
    .balign 4
handler:
    csrr s0, sepc
    csrr s1, scause
    li a7, 8
    ecall
"""
ENABLING = [
    "csrsi sstatus, 2",
    "csrwi sstatus, 2",
    "li t0, 0x120\n la t1, behind\n csrw sepc, t1\n csrs sstatus, t0\n sret",  # SPP and SPIE
]


@pytest.mark.parametrize("enable", ENABLING)
def test_an_interrupt_that_was_kept_back_is_heard_of_right_behind_what_lets_it_through(boot, collect, enable):
    machine = boot(MASKED.format(loops=500, enable=enable))
    silent = boot(MASKED.format(loops=500, enable=enable))
    traps = collect(machine, TrapTaken)
    assert machine.run(max_instructions=5_000) == silent.run(max_instructions=5_000)
    (interrupt,) = (trap for trap in traps if trap.interrupt)
    assert (interrupt.cause, interrupt.pc) == (1, machine.address_of("behind"))
    assert (machine.hart.x["s0"], machine.hart.x["s1"]) == (machine.address_of("behind"), 1 << 63 | 1)


@pytest.mark.parametrize("kinds", [(), (TrapTaken,), (TrapTaken, TrapReturned, InterruptRaised)])
def test_listening_costs_no_stop_while_an_interrupt_is_kept_back(boot, collect, monkeypatch, kinds):
    machine = boot(MASKED.format(loops=200_000, enable="csrsi sstatus, 2"))
    collect(machine, *kinds)
    starts = []
    emu_start = library.emu_start
    monkeypatch.setattr(library, "emu_start", lambda *arguments: starts.append(1) or emu_start(*arguments))
    machine.run()
    assert machine.hart.x["s1"] == 1 << 63 | 1
    assert len(starts) <= 3


RAISED_BY_A_LOAD = """
    la t0, handler
    csrw stvec, t0
    li t0, 0x0c000028       # PLIC
    li t1, 1
    sw t1, (t0)
    li t1, 1 << 10
    li t0, 0x0c002080
    sw t1, (t0)
    li a0, 0x10000000       # UART: tells of what was typed
    li t1, 1
    sb t1, 1(a0)
    li t0, 0x200
    csrw sie, t0
1:  csrr t0, sip
    beqz t0, 1b
    li t0, 0x0c201004
    lw t1, (t0)             # claimed and completed, with the byte still there: no new request
    sw t1, (t0)
    csrsi sstatus, 2
    li s1, 0
    nop
    .globl load
load: {load}                # the next byte comes with it
    .globl behind
behind: addi s1, s1, 1
    addi s1, s1, 1
    j .
    .balign 4
handler: csrr s2, sepc
    csrr s3, scause
    j .
"""
LOADS = [("lbu a1, (a0)", 0xE1), ("lb a1, (a0)", M64 - 0x1E), ("lb zero, (a0)", 0)]


@pytest.mark.parametrize("listening", [False, True])
@pytest.mark.parametrize(("load", "value"), LOADS)
def test_an_interrupt_that_a_load_raises_is_taken_right_behind_it(boot, collect, load, value, listening):
    machine = boot(RAISED_BY_A_LOAD.format(load=load))
    traps = collect(machine, TrapTaken) if listening else []
    machine.type_text(b"\xe1b")
    machine.run(max_instructions=300)
    x = machine.hart.x
    assert (x["s2"], x["s3"], x["s1"]) == (machine.address_of("behind"), 1 << 63 | 9, 0)
    assert x["zero" if "zero" in load else "a1"] == value
    plain = boot(RAISED_BY_A_LOAD.format(load=load))
    plain.type_text(b"\xe1b")
    plain.run(until="load")
    assert not listening or traps[0].instret == plain.instret + 1


EXTENDED = [
    ("lb t0, 5(a0)", 0x80, 5, M64 - 0x7F), ("lbu t6, 5(a0)", 0x80, 31, 0x80), ("lh a1, (a0)", 0x8001, 11, M64 - 0x7FFE),
    ("lhu a1, (a0)", 0x8001, 11, 0x8001), ("lw s1, (a0)", 1 << 31, 9, M64 - (1 << 31) + 1),
    ("lwu s1, (a0)", 1 << 31, 9, 1 << 31), ("ld sp, 8(a0)", M64, 2, M64),
    ("c.lw a4, 4(s1)", 1 << 31, 14, M64 - (1 << 31) + 1), ("c.ld a5, 8(s0)", M64 - 1, 15, M64 - 1),
    ("c.lwsp t3, 4(sp)", 7, 28, 7), ("c.ldsp ra, 8(sp)", 9, 1, 9),
]  # fmt: skip
NOT_LOADS = ["flw fa0, (a0)", "fld fa0, (a0)", "c.fld fa0, (a0)", "c.fldsp fa0, (sp)", "lr.w a0, (a1)", "sd a0, (a1)",
             "c.sw a0, (a1)", "amoadd.w a0, a1, (a2)", "add a0, a1, a2", "c.mv a0, a1"]  # fmt: skip


def code(source):
    return int.from_bytes(bytes(assemble(source, name="t.s").section(".text").data)[:4], "little")


@pytest.mark.parametrize(("source", "value", "register", "extended"), EXTENDED, ids=[case[0] for case in EXTENDED])
def test_a_load_extends_its_value_as_the_manual_says(source, value, register, extended):
    assert loaded_register(code(source), value) == (register, extended)


@pytest.mark.parametrize("source", NOT_LOADS)
def test_what_is_no_integer_load_writes_no_integer_register(source):
    assert loaded_register(code(source), 1) is None


@pytest.mark.parametrize("change", ["csrs mip, t1", "csrc mip, t1", "csrrs a1, mip, t1", "csrsi mip, 2"])
def test_setting_a_bit_of_mip_does_not_take_the_lines_for_written_ones(boot, change):
    machine = boot(
        f"""
        li t0, 0x0c000028       # PLIC: interrupt 10 for S mode
        li t1, 1
        sw t1, (t0)
        li t1, 1 << 10
        li t0, 0x0c002080
        sw t1, (t0)
        li t0, 0x10000000       # UART: ready to send
        li t1, 2
        sb t1, 1(t0)
        csrr s1, mip
        {change}
        li t0, 0x0c201004       # claimed: the line falls
        lw t1, (t0)
        csrr s2, mip
        j .
        """,
        firmware="none",
    )
    machine.run(max_instructions=60)
    assert machine.hart.x["s1"] & 0x200
    assert not machine.hart.x["s2"] & 0x200


def test_an_ipi_by_the_sbi_does_not_take_the_timers_line_for_a_written_one(boot):
    machine = boot(
        """
        li a0, 0                # SBI: the timer, now
        li a7, 0
        ecall
        csrr s1, sip
        li a0, 1                # SBI: an interrupt to this hart
        li a1, 0
        li a6, 0
        li a7, 0x735049
        ecall
        csrr s2, sip
        li a0, -1               # SBI: no timer
        li a7, 0
        ecall
        csrr s3, sip
        j .
        """
    )
    machine.run(max_instructions=60)
    assert [machine.hart.x[name] for name in ("s1", "s2", "s3")] == [0x20, 0x22, 0x02]
