"""Which ebreak is a call of semihosting, and that a call is one instruction."""

import pytest

from emu.events import ConsoleOutput, TrapTaken
from emu.machine import Machine, Semihosting, StopReason

WRITEC, WRITE0, ELAPSED = 3, 4, 0x30
CALL = ".option norvc\n .balign 16\n slli x0, x0, 0x1f\n ebreak\n srai x0, x0, 7\n"
ALL = (1 << 64) - 1


def breakpoints(machine: Machine) -> int:
    """How many breakpoints the guest took; it prints a `c` in each call that is answered."""
    traps: list[TrapTaken] = []
    machine.on(TrapTaken, traps.append)
    machine.hart.csr["mtvec"] = machine.address_of("handler")
    machine.run(max_instructions=40)
    return len([trap for trap in traps if trap.cause == 3])


HANDLER = "\n j .\n .balign 4\n handler: j handler\n letter: .byte 'c'\n"
PRINT = f"li a0, {WRITEC}\n la a1, letter\n"


def test_an_ebreak_between_the_marks_is_a_call(boot):
    machine = boot(PRINT + CALL + HANDLER, firmware="none", semihosting=Semihosting())
    assert (breakpoints(machine), machine.console) == (0, b"c")


def test_without_semihosting_it_is_a_breakpoint(boot):
    machine = boot(PRINT + CALL + HANDLER, firmware="none")
    assert (breakpoints(machine), machine.console) == (1, b"")


@pytest.mark.parametrize(
    "other",
    [
        CALL.replace("0x1f", "0x1e"),
        CALL.replace("x0, 7", "x0, 6"),
        CALL.replace("slli x0, x0, 0x1f", "nop"),
        CALL.replace("srai x0, x0, 7", "nop"),
        CALL.replace("ebreak", "c.ebreak").replace("norvc", "rvc").replace("slli x0", ".4byte 0x01f01013 #"),
    ],
    ids=["another shift before", "another shift behind", "no mark before", "no mark behind", "compressed"],
)
def test_any_other_ebreak_is_a_breakpoint(boot, other):
    machine = boot(PRINT + other + HANDLER, firmware="none", semihosting=Semihosting())
    assert (breakpoints(machine), machine.console) == (1, b"")


@pytest.mark.parametrize("offset", [0xFF4, 0xFF8, 0xFFC, 0x1000])
def test_a_call_lies_in_one_page(boot, offset):
    call = CALL.replace(".balign 16", "")
    machine = boot(f"{PRINT} j there\n .org {offset:#x}\n there: {call} {HANDLER}", firmware="none",
                   semihosting=Semihosting())  # fmt: skip
    answered = offset in (0xFF4, 0x1000)
    assert (breakpoints(machine), machine.console) == ((0, b"c") if answered else (1, b""))


@pytest.mark.parametrize("allowed", [False, True])
def test_u_mode_calls_only_when_that_was_wanted(boot, allowed):
    protection = "li t0, -1\n csrw pmpaddr0, t0\n li t0, 31\n csrw pmpcfg0, t0\n"
    source = f"la t0, user\n csrw mepc, t0\n {protection} mret\n user: "
    machine = boot(source + PRINT + CALL + HANDLER, firmware="none", semihosting=Semihosting(user_mode=allowed))
    assert (breakpoints(machine), machine.console) == ((0, b"c") if allowed else (1, b""))


def test_s_mode_calls_with_pointers_of_its_own_address_space(boot):
    source = f"""
        la t0, table
        li t1, (0x80000000 >> 12 << 10) | 0xcf
        sd t1, 2 * 8(t0)
        li t1, (0x80000000 >> 12 << 10) | 0xc3   # readable only
        sd t1, 1 * 8(t0)
        srli t0, t0, 12
        li t1, 8 << 60
        or t0, t0, t1
        csrw satp, t0
        sfence.vma
        li a0, {WRITE0}
        la a1, text - 0x40000000
        {CALL}
        li a0, {ELAPSED}
        la a1, place - 0x40000000
        {CALL}
        mv s0, a0
        li a0, {ELAPSED}
        la a1, place
        {CALL}
        mv s1, a0
        li a7, 8
        ecall
        text: .asciz "seen through the page table"
        .balign 8
        place: .dword 0
        .balign 4096
        table: .zero 4096
    """
    machine = boot(source, semihosting=Semihosting())
    assert machine.run(max_instructions=1000).reason is StopReason.POWERED_OFF
    assert machine.console == b"seen through the page table"
    assert (machine.hart.x["s0"], machine.hart.x["s1"]) == (ALL, 0)


def test_a_call_is_one_instruction_and_its_output_an_event_in_its_place(boot, collect):
    machine = boot(PRINT + CALL + "behind: nop\n" + HANDLER, firmware="none", semihosting=Semihosting())
    output = collect(machine, ConsoleOutput)
    machine.run(until=machine.address_of("behind"))
    before = output[0].instret
    assert machine.hart.pc == output[0].pc + 8
    assert machine.instret == before + 2
    machine.run(7)
    assert machine.instret == before + 9


@pytest.mark.parametrize("probes", [None, "python"])
def test_an_exception_in_a_listener_does_not_repeat_the_call(boot, probes):
    machine = boot(PRINT + CALL + HANDLER, firmware="none", probes=probes, semihosting=Semihosting())

    def fail(event: ConsoleOutput) -> None:
        raise LookupError

    with machine.on(ConsoleOutput, fail), pytest.raises(LookupError):
        machine.run(100)
    machine.run(10)
    assert machine.console == b"c"
