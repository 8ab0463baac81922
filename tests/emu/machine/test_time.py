"""The clock: `mtime` from retired instructions, timers, waiting, and counters that are exact at every moment."""

import pytest

from emu.events import InterruptRaised, TrapReturned, TrapTaken
from emu.machine import StopReason

OFF = "li a7, 8\n ecall\n"
SBI_TIMER = """
    la t0, handler
    csrw stvec, t0
    li s0, 0
    csrr a0, time
    addi a0, a0, 50
    li a7, 0
    ecall
    li t0, 32
    csrs sie, t0
    csrsi sstatus, 2
1:  addi s1, s1, 1
    {body}
    li t0, 5
    blt s0, t0, 1b
    li a7, 8
    ecall
    .word 0
    .balign 4
handler:
    addi s0, s0, 1
    csrr a0, time
    addi a0, a0, 50
    li a7, 0
    ecall
    sret
"""


def test_time_is_a_tenth_of_the_instructions_retired(boot):
    machine = boot("nop\n" * 1000 + "csrr a1, time\n csrr a2, instret\n csrr a3, cycle\n" + OFF)
    machine.run()
    assert [machine.hart.x[name] for name in ("a1", "a2", "a3")] == [100, 1001, 1002]
    assert (machine.instret, machine.time) == (1005, 100)


@pytest.mark.parametrize("body", ["nop", "wfi", "csrr t1, sstatus", "la t1, handler\n sw t1, -4(t1)\n fence.i"])
def test_a_timer_interrupt_is_taken_when_its_time_has_come(boot, collect, body):
    machine = boot(SBI_TIMER.format(body=body))
    traps = collect(machine, TrapTaken)
    assert machine.run(max_instructions=100_000).reason is StopReason.POWERED_OFF
    interrupts = [event for event in traps if event.interrupt]
    assert [event.cause for event in interrupts] == [5] * 5
    assert machine.hart.x["s0"] == 5


@pytest.mark.parametrize("listening", [False, True])
def test_a_listener_does_not_change_what_happens(boot, collect, listening):
    plain, watched = boot(SBI_TIMER.format(body="nop")), boot(SBI_TIMER.format(body="nop"))
    if listening:
        collect(watched, TrapTaken, TrapReturned, InterruptRaised)
    first, second = plain.run(max_instructions=100_000), watched.run(max_instructions=100_000)
    assert first == second
    assert list(plain.hart.x) == list(watched.hart.x)


def test_two_runs_are_identical(boot, collect):
    runs = []
    for _ in range(2):
        machine = boot(SBI_TIMER.format(body="wfi"))
        events = collect(machine, TrapTaken, TrapReturned, InterruptRaised)
        runs.append((machine.run(), events))
    assert runs[0] == runs[1]


def test_waiting_skips_to_the_deadline(boot):
    set_timer = "csrr a0, time\n li a1, 1000000\n add a0, a0, a1\n li a7, 0\n ecall\n"
    machine = boot(set_timer + "li t0, 32\n csrw sie, t0\n wfi\n csrr a2, time\n" + OFF)
    machine.run()
    assert machine.hart.x["a2"] == 1_000_000
    assert machine.instret < 20


def test_the_clint_interrupts_m_mode(boot, collect):
    machine = boot(
        """
        la t0, handler
        csrw mtvec, t0
        li t0, 0x0200bff8
        ld t1, (t0)
        addi t1, t1, 20
        li t0, 0x02004000
        sd t1, (t0)
        li t0, 0x80
        csrw mie, t0
        csrsi mstatus, 8
        1: j 1b
        .balign 4
        handler:
        csrr a0, mcause
        li t0, 0x02004000
        li t1, -1
        sd t1, (t0)
        csrr a1, mip
        li t0, 0x100000
        li t1, 0x5555
        sw t1, (t0)
        """,
        firmware="none",
    )
    raised = collect(machine, InterruptRaised)
    outcome = machine.run(max_instructions=10_000)
    assert (outcome.reason, outcome.exit_code) == (StopReason.POWERED_OFF, 0)
    assert (machine.hart.x["a0"], machine.hart.x["a1"]) == (1 << 63 | 7, 0)
    assert [event.cause for event in raised] == [7]
    assert raised[0].instret == 200


def test_a_software_interrupt_is_taken_right_behind_the_store(boot, collect):
    machine = boot(
        """
        la t0, handler
        csrw mtvec, t0
        csrsi mie, 8
        csrsi mstatus, 8
        li t0, 0x02000000
        li t1, 1
        .globl store
        store: sw t1, (t0)
        nop
        nop
        j .
        .balign 4
        handler: j .
        """,
        firmware="none",
    )
    traps = collect(machine, TrapTaken)
    machine.run(max_instructions=100)
    assert traps[0].pc == machine.symbols.lookup("store").address + 4
    assert (traps[0].cause, traps[0].interrupt) == (3, True)


def test_the_handler_of_a_software_interrupt_sees_the_instruction_behind_the_store(boot):
    machine = boot(
        """
        la t0, handler
        csrw mtvec, t0
        csrsi mie, 8
        csrsi mstatus, 8
        li t0, 0x02000000
        li t1, 1
        sw t1, (t0)
        .globl behind
        behind: nop
        j .
        .balign 4
        handler: addi s1, s1, 1
        csrr s0, mepc
        j .
        """,
        firmware="none",
    )
    machine.run(max_instructions=100)
    assert (machine.hart.x["s0"], machine.hart.x["s1"]) == (machine.symbols.lookup("behind").address, 1)


def test_a_second_interrupt_of_a_line_is_taken_right_behind_its_store_too(boot):
    machine = boot(
        """
        la t0, handler
        csrw mtvec, t0
        csrsi mie, 8
        li t0, 0x02000000
        li t1, 1
        csrsi mstatus, 8
        sw t1, (t0)
        addi s2, s2, 1
        .globl second
        second: sw t1, (t0)
        .globl behind
        behind: addi s2, s2, 1
        j .
        .balign 4
        handler: csrrw tp, mscratch, tp
        addi s1, s1, 1
        csrr s0, mepc
        sw zero, (t0)
        csrrw tp, mscratch, tp
        mret
        """,
        firmware="none",
    )
    machine.hart.csr["mscratch"], machine.hart.x["tp"] = 0x1111, 0x2222
    machine.run(max_instructions=100)
    assert (machine.hart.x["s0"], machine.hart.x["s1"]) == (machine.symbols.lookup("behind").address, 2)
    assert (machine.hart.csr["mscratch"], machine.hart.x["tp"], machine.hart.x["s2"]) == (0x1111, 0x2222, 2)


MASKED = """
    la t0, handler
    csrw mtvec, t0
    {before}
    li t0, 0x02000000
    li t1, 1
    sw t1, (t0)
    li t2, 1000
1:  addi t2, t2, -1
    bnez t2, 1b
    {enable}
    .globl behind
behind:
    addi s2, s2, 1
    j behind
    .balign 4
handler:
    csrr s0, mepc
    j .
"""


@pytest.mark.parametrize("listening", [False, True])
def test_an_interrupt_that_came_while_they_were_off_is_taken_when_they_are_on(boot, collect, listening):
    machine = boot(MASKED.format(before="csrsi mie, 8", enable="csrsi mstatus, 8"), firmware="none")
    if listening:
        collect(machine, TrapTaken)
    machine.run(max_instructions=10_000)
    assert (machine.hart.x["s0"], machine.hart.x["s2"]) == (machine.symbols.lookup("behind").address, 0)


def test_an_interrupt_that_came_while_it_was_masked_is_taken_when_it_is_enabled(boot):
    machine = boot(MASKED.format(before="csrsi mstatus, 8", enable="csrsi mie, 8"), firmware="none")
    machine.run(max_instructions=10_000)
    assert (machine.hart.x["s0"], machine.hart.x["s2"]) == (machine.symbols.lookup("behind").address, 0)


def test_a_listener_to_traps_hears_of_an_interrupt_right_behind_the_write_that_enables_it(boot, collect):
    machine = boot(MASKED.format(before="csrsi mstatus, 8", enable="csrsi mie, 8"), firmware="none")
    traps = collect(machine, TrapTaken)
    machine.run(max_instructions=10_000)
    assert [(event.cause, event.instret) for event in traps] == [(3, 2009)]


def test_the_machine_counters_count_instructions(boot):
    machine = boot(
        "csrr a0, mcycle\n nop\n csrr a1, minstret\n csrr a2, mcycle\n csrr a3, instret\n j .", firmware="none"
    )
    machine.run(max_instructions=10)
    assert machine.hart.x[10:14] == (0, 2, 3, 4)


def test_user_programs_read_the_time_unless_they_are_forbidden_to(boot, collect):
    machine = boot(
        """
        la t0, handler
        csrw stvec, t0
        la t0, user
        csrw sepc, t0
        .rept 12
        nop
        .endr
        rdtime a0
        sret
        user: rdtime a1
        ecall
        rdtime a2
        .balign 4
        handler: csrr t0, sepc
        addi t0, t0, 4
        csrw sepc, t0
        csrw scounteren, zero
        sret
        """
    )
    traps = collect(machine, TrapTaken)
    machine.hart.csr["scounteren"] = 2
    machine.run(max_instructions=30)
    assert (machine.hart.x["a0"], machine.hart.x["a1"]) == (1, 2)
    assert [trap.cause for trap in traps] == [8, 2]


def test_a_write_to_satp_that_unmaps_its_own_code_counts_each_instruction_before_it(boot, collect):
    machine = boot(
        """
        .equ ROOT, 0x80300000
        la t0, mapped
        li t1, 0x40000000
        add t0, t0, t1
        csrw stvec, t0
        li t0, ROOT
        li t1, (0x80000000 >> 12 << 10) | 0xcf
        sd t1, 24(t0)                       # the code at 0xc0000000 only
        li t1, 8 << 60 | ROOT >> 12
        fence.i
        c.nop
        c.nop
        c.nop
        c.nop
        c.nop
        c.nop
        sfence.vma
        csrw satp, t1
        nop
        .balign 4
    mapped:
        li a7, 8
        ecall
        """
    )
    traps = collect(machine, TrapTaken)
    stepped = machine.snapshot()
    machine.run(max_instructions=1000)
    machine.restore(stepped)
    machine.run(max_instructions=traps[0].instret)
    assert machine.hart.csr["satp"] >> 60 == 8
    machine.restore(stepped)
    machine.run(max_instructions=traps[0].instret - 1)
    assert machine.hart.csr["satp"] >> 60 == 0
