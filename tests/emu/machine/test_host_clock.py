"""The clock `host`: the guest's time lies within the host's, timers come, `wfi` ends at its deadline and not before."""

import time

import pytest

from emu.events import TrapTaken
from emu.isa.csrs import Csr
from emu.machine import Machine, MachineConfig, StopReason
from emu.machine.host_clock import HostClock

OFF = "li a7, 8\n ecall\n"
TICK = 100
"""Nanoseconds."""
NAP = """
    csrr s0, time
    li a1, {ticks}
    add a0, s0, a1
    mv s2, a0
    li a7, 0
    ecall
    li t0, 32
    csrw sie, t0
    wfi
    csrr s1, time
    csrr s3, sip
"""
TICKING = """
    la t0, handler
    csrw stvec, t0
    li s0, 0
    csrr a0, time
    addi a0, a0, 500
    li a7, 0
    ecall
    li t0, 32
    csrs sie, t0
    csrsi sstatus, 2
1:  {body}
    li t0, 5
    blt s0, t0, 1b
    li a7, 8
    ecall
    .balign 4
handler:
    addi s0, s0, 1
    li a0, -1
    li t1, 5
    beq s0, t1, 2f
    csrr a0, time
    addi a0, a0, 500
2:  li a7, 0
    ecall
    sret
"""


def test_the_guests_time_passes_within_the_hosts(boot):
    machine = boot(
        "csrr s0, time\n li t0, 20000\n 1: addi t0, t0, -1\n bnez t0, 1b\n csrr s1, time\n" + OFF, clock="host"
    )
    before = time.monotonic_ns()
    machine.run()
    after = time.monotonic_ns()
    first, second = machine.hart.x["s0"], machine.hart.x["s1"]
    assert 0 <= (second - first) * TICK <= after - before
    assert machine.time >= second


@pytest.mark.parametrize("body", ["nop", "wfi", "csrr t1, sstatus"])
def test_timer_interrupts_come(boot, collect, body):
    machine = boot(TICKING.format(body=body), clock="host")
    traps = collect(machine, TrapTaken)
    assert machine.run(max_instructions=500_000_000).reason is StopReason.POWERED_OFF
    assert [trap.cause for trap in traps if trap.interrupt] == [5] * 5


def test_wfi_sleeps_until_its_deadline_and_no_shorter(boot):
    machine = boot(NAP.format(ticks=200_000) + OFF, clock="host")
    before = time.monotonic_ns()
    assert machine.run().reason is StopReason.POWERED_OFF
    assert time.monotonic_ns() - before >= 200_000 * TICK
    assert machine.hart.x["s1"] >= machine.hart.x["s2"]
    assert machine.hart.x["s3"] == 32
    assert machine.instret < 30


def test_cycle_follows_the_clock_and_instret_the_instructions(boot):
    reads = "csrr s4, cycle\n csrr s6, instret\n" + NAP.format(ticks=1000) + "csrr s5, cycle\n csrr s7, instret\n"
    machine = boot(reads + OFF, clock="host")
    counting = boot(reads + OFF)
    for one in (machine, counting):
        one.run()
    passed = machine.hart.x["s5"] - machine.hart.x["s4"]
    assert passed >= (machine.hart.x["s1"] - machine.hart.x["s0"] - 1) * TICK
    assert machine.hart.x["s7"] - machine.hart.x["s6"] == counting.hart.x["s7"] - counting.hart.x["s6"]


def test_cycle_goes_on_from_what_was_written_unless_it_is_inhibited(build):
    machine = Machine(MachineConfig(ram_size=4 << 20, firmware="none", clock="host"))
    machine.load(build("li a0, 1 << 40\n csrw mcycle, a0\n csrr a1, cycle\n csrwi mcountinhibit, 1\n csrr a2, cycle\n"
                       "csrr a3, cycle\n j ."))  # fmt: skip
    machine.run(10)
    x = machine.hart.x
    assert 1 << 40 <= x["a1"] <= x["a2"] == x["a3"] < 1 << 60


def test_the_real_time_clock_shows_the_hosts_time(boot):
    before = time.time_ns()
    machine = boot("li t0, 0x101000\n lwu s0, 0(t0)\n lwu s1, 4(t0)\n" + OFF, clock="host")
    machine.run()
    shown = machine.hart.x["s1"] << 32 | machine.hart.x["s0"]
    assert before - 1_000_000_000 < shown < time.time_ns() + 1_000_000_000  # the host may set its clock meanwhile


def test_whoever_runs_the_machine_can_end_its_sleep_and_let_it_sleep_on(boot):
    machine = boot(NAP.format(ticks=36_000_000_000) + OFF, clock="host")
    clock, asked = machine.platform.clock, []
    assert isinstance(clock, HostClock)

    def look(seconds):
        asked.append(seconds)
        if len(asked) > 3:
            clock.restore(clock.next_deadline)  # the hour is over
        return len(asked) > 3

    clock.sleep = look
    for _ in range(3):
        assert machine.run().reason is StopReason.ASLEEP
    assert machine.run().reason is StopReason.POWERED_OFF
    assert machine.hart.x["s1"] >= machine.hart.x["s2"]


def test_a_snapshot_takes_the_time_with_it(boot):
    machine = boot(NAP.format(ticks=50_000) + "j .", clock="host")
    machine.run(4)
    start, then = machine.snapshot(), machine.time
    machine.run(100)
    later = machine.time
    assert later >= machine.hart.x["s0"] + 50_000
    machine.restore(start)
    assert machine.hart.csr[Csr.TIME] >= then
    machine.run(100)
    assert machine.hart.x["s1"] >= machine.hart.x["s2"]


def test_waiting_for_nothing_still_ends_the_run(boot):
    assert boot("csrw sie, zero\n wfi", clock="host").run().reason is StopReason.IDLE_FOREVER


def test_what_a_guest_has_said_is_seen_before_it_sleeps(boot):
    machine = boot("li t0, 0x10000000\n li t1, '>'\n sb t1, (t0)\n" + NAP.format(ticks=20_000) + OFF, clock="host")
    happened = []
    machine.platform.echo = happened.append
    clock = machine.platform.clock
    assert isinstance(clock, HostClock)
    sleep = clock.sleep

    def slept(seconds: float) -> bool:
        happened.append(b"asleep")
        return sleep(seconds)

    clock.sleep = slept
    assert machine.run().reason is StopReason.POWERED_OFF
    assert happened[:2] == [b">", b"asleep"]
