"""Exceptions of listeners and of signals' handlers at any moment: run again, the machine goes on as if without them."""

import random
import signal
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from types import FrameType

import pytest

from emu.events import (
    AddressSpaceSwitched,
    ConsoleOutput,
    Event,
    InterruptRaised,
    MachineReset,
    MemoryAccessed,
    MmioAccess,
    PageFault,
    PteWritten,
    StateRestored,
    TlbFilled,
    TrapReturned,
    TrapTaken,
)
from emu.machine import Machine, Outcome, StopReason

# Pages, faults, the timer, `wfi`, both ways to the console, tables that change, and a reset in the middle of it all.
LIFE = """
    la t0, trap
    csrw stvec, t0
    la s0, root
    li t1, 0xcf
    sd t1, (s0)
    li t1, 0x200000cf
    sd t1, 16(s0)
    srli t0, s0, 12
    li t1, 8 << 60
    or s1, t0, t1
    csrw satp, s1
    sfence.vma
    li s5, 0x10000000
    li s4, 30
    call set_timer
    li t0, 32
    csrs sie, t0
    csrsi sstatus, 2
1:  li a0, 'a'
    li a7, 1
    ecall
2:  lbu t0, 5(s5)
    andi t0, t0, 32
    beqz t0, 2b
    li t0, 'b'
    sb t0, (s5)
    li t0, 7 << 36
    ld t1, (t0)
    slli t0, s4, 10
    ori t0, t0, 1
    sd t0, 64(s0)
    csrw sscratch, s4
    csrw satp, s1
    andi t0, s4, 7
    bnez t0, 3f
    wfi
3:  addi s4, s4, -1
    bnez s4, 1b
    la t0, resets
    lw t1, (t0)
    bnez t1, 4f
    li t1, 1
    sw t1, (t0)
    sfence.vma
    li a0, 1
    li a1, 0
    li a6, 0
    li a7, 0x53525354
    ecall
4:  li a0, 0
    li a1, 0
    li a6, 0
    li a7, 0x53525354
    ecall
set_timer:
    rdtime a0
    addi a0, a0, 8
    li a7, 0
    ecall
    ret
    .balign 4
trap:
    csrr t2, scause
    bltz t2, 5f
    csrr t2, sepc
    addi t2, t2, 4
    csrw sepc, t2
    sret
5:  addi s6, s6, 1
    csrw sscratch, ra
    mv s7, a0
    mv s8, a7
    call set_timer
    mv a0, s7
    mv a7, s8
    csrr ra, sscratch
    sret
    .balign 4096
    .globl root
root: .zero 4096
    .balign 4096
    .globl _after
_after: .word 0
"""
RESETS = 0x8030_0000
"""Where the guest notes that it has asked for a reset: RAM that a reset does not load again."""
LIFE = LIFE.replace("la t0, resets", f"li t0, {RESETS:#x}")
KINDS = (
    TrapTaken, TrapReturned, PageFault, AddressSpaceSwitched, ConsoleOutput, MmioAccess, PteWritten, InterruptRaised,
    MachineReset, StateRestored, TlbFilled,
)  # fmt: skip


class Interrupted(Exception):
    """What the listeners and handlers of these tests raise."""


def life_of(machine: Machine) -> tuple[Outcome, int, bytes, list[int], int]:
    """Run to the end, again after each exception; all that may not depend on them."""
    while True:
        try:
            outcome = machine.run()
            break
        except (Interrupted, KeyboardInterrupt):
            pass
    return outcome, machine.time, machine.console, list(machine.hart.x), zlib.crc32(machine.memory.ram.view)


@pytest.fixture
def undisturbed(boot: Callable[..., Machine]) -> tuple[Outcome, int, bytes, list[int], int]:
    """The life that nobody listens to."""
    life = life_of(boot(LIFE))
    assert life[0].reason is StopReason.POWERED_OFF
    assert life[2].count(b"a") == life[2].count(b"b") == 60
    return life


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_listener_may_raise_at_every_event_of_its_kind(boot, undisturbed, fidelity, kind: type[Event]):
    if kind is TlbFilled and fidelity == "fast":
        pytest.skip("fidelity fast fills its TLB by itself")
    quiet, loud = boot(LIFE), boot(LIFE)
    heard: list[Event] = []
    again: list[Event] = []

    def refuse(event: Event) -> None:
        again.append(event)
        raise Interrupted

    quiet.on(kind, heard.append)
    loud.on(kind, refuse)
    assert life_of(quiet) == undisturbed
    assert life_of(loud) == undisturbed
    assert again == heard
    assert len(heard) >= (1 if kind in (MachineReset, StateRestored) else 20)


def test_an_exception_comes_at_once_and_with_all_that_had_happened(boot):
    machine = boot(LIFE)
    told = []

    def refuse(event: TrapTaken) -> None:
        told.append(event)
        raise Interrupted

    machine.on(TrapTaken, refuse)
    with pytest.raises(Interrupted):
        machine.run()
    assert len(told) == 1
    assert machine.hart.pc == told[0].handler
    assert machine.instret == told[0].instret


def test_all_listeners_are_told_although_one_of_them_raises(boot):
    machine = boot(LIFE)
    first, second = [], []
    machine.on(ConsoleOutput, lambda event: first.append(event) or 1 // 0)
    machine.on(ConsoleOutput, second.append)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            machine.run()
    assert first == second
    assert len(first) == 5


def test_a_watch_may_raise_each_time(boot, undisturbed):
    machine = boot(LIFE)
    hits = []

    def refuse() -> None:
        hits.append(machine.instret)
        raise Interrupted

    machine.watch(machine.hart.pc + 0x60, refuse)
    assert life_of(machine) == undisturbed
    assert len(hits) == len(set(hits))


def test_a_watchpoint_may_raise_at_each_access(boot, undisturbed):
    quiet, loud, heard, again = boot(LIFE), boot(LIFE), [], []

    def refuse(event: MemoryAccessed) -> None:
        again.append(event)
        raise Interrupted

    for machine, listener in ((quiet, heard.append), (loud, refuse)):
        machine.watch_memory("root", listener, length=4096)
        machine.watch_memory(RESETS, listener, length=4)
    assert life_of(quiet) == undisturbed
    assert life_of(loud) == undisturbed
    assert again == heard
    assert len(heard) > 50
    machine = boot(
        "la s0, word\n li t0, 3\n1: amoadd.d t1, t0, (s0)\n addi t0, t0, -1\n bnez t0, 1b\n li a7, 8\n ecall\n"
        " .balign 8\nword: .dword 5"
    )
    again.clear()
    machine.watch_memory("word", refuse, length=8)
    life_of(machine)
    assert [(event.write, event.old, event.new) for event in again] == [
        (False, 5, 5),
        (True, 5, 8),
        (False, 8, 8),
        (True, 8, 10),
        (False, 10, 10),
        (True, 10, 11),
    ]


class Attack:
    """Raises SIGINT at given distances, counted in calls of Python functions, whatever is going on then."""

    def __init__(self, distances: Callable[[], int]) -> None:
        self._distances, self._left = distances, distances()
        self.sent = 0

    def begin(self) -> None:
        """Begin, or go on: Python stops profiling when an exception comes out of it."""
        sys.setprofile(self._look)

    def _look(self, _frame: FrameType, event: str, _argument: object) -> None:
        self._left -= event == "call"
        if self._left <= 0:
            self._left = self._distances()
            self.sent += 1
            signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("listens", [False, True], ids=["alone", "with listeners"])
def test_ctrl_c_may_come_at_any_call_of_a_run(boot, undisturbed, listens):
    pick = random.Random(7)
    machine = boot(LIFE)
    for kind in (TrapTaken, TrapReturned, PageFault, ConsoleOutput, MmioAccess) if listens else ():
        machine.on(kind, lambda _event: None)
    attack, interruptions, outcome = Attack(lambda: pick.choice((30, 300, 600))), 0, None
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        while outcome is None:
            try:
                attack.begin()
                outcome = machine.run()
                sys.setprofile(None)
            except KeyboardInterrupt:
                interruptions += 1
    finally:
        sys.setprofile(None)
        signal.signal(signal.SIGINT, before)
    assert life_of(machine) == undisturbed
    assert 10 <= interruptions <= attack.sent


def test_handlers_are_where_they_were_after_each_run(boot):
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    machine = boot(LIFE)
    inside = []
    machine.on(MachineReset, lambda _event: inside.append(signal.getsignal(signal.SIGINT)))
    machine.run()
    assert inside != [handlers[0]]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_a_handler_that_raises_nothing_changes_nothing_and_is_called_each_time(boot, undisturbed):
    machine, called = boot(LIFE), []
    machine.on(ConsoleOutput, lambda _event: signal.raise_signal(signal.SIGUSR1))
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: called.append(number))
    try:
        assert life_of(machine) == undisturbed
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(called) == 120


@contextmanager
def ctrl_c_once(begun: threading.Event) -> Iterator[None]:
    """A thread that sends SIGINT to this one when something has begun: no sooner, however late this one gets there."""
    thread = threading.Thread(
        target=lambda main: begun.wait() and signal.pthread_kill(main, signal.SIGINT), args=[threading.get_ident()]
    )
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_an_endless_loop_is_left_by_ctrl_c(boot):
    machine, begun = boot("li a7, 1\n li a0, 'x'\n ecall\n j ."), threading.Event()
    machine.on(ConsoleOutput, lambda _event: begun.set())
    with ctrl_c_once(begun), pytest.raises(KeyboardInterrupt):
        machine.run()
    assert machine.run(1).reason is StopReason.INSTRUCTION_LIMIT


SLEEPS_LONG = """
    rdtime a0
    li t0, 30000000000
    add a0, a0, t0
    li a7, 0
    ecall
    li t0, 32
    csrw sie, t0
    wfi
    nop
"""


def test_a_sleep_by_the_hosts_clock_is_left_by_ctrl_c_and_slept_on(boot):
    machine, begun = boot(SLEEPS_LONG, clock="host"), threading.Event()
    clock = machine.platform.clock
    sleep = clock.sleep
    clock.sleep = lambda seconds: begun.set() or sleep(seconds)
    with ctrl_c_once(begun), pytest.raises(KeyboardInterrupt):
        machine.run()
    here = machine.instret, machine.hart.pc
    assert machine.run(timeout=0.01).reason is StopReason.TIMED_OUT
    assert (machine.instret, machine.hart.pc) == here


@pytest.mark.usefixtures("uncollected")
def test_no_sleep_begins_behind_a_ctrl_c_whenever_that_has_come(boot):
    machine = boot(SLEEPS_LONG, clock="host")
    slept_over: list[int] = []
    sent = 0

    def sleep(_seconds: float) -> bool:
        slept_over.append(sent)
        return False

    machine.platform.clock.sleep = sleep
    assert machine.run().reason is StopReason.ASLEEP
    for distance in count(1):
        sent, left = 0, distance

        def look(_frame: FrameType, _event: str, _argument: object) -> None:
            nonlocal sent, left
            left -= 1
            if not left:
                sent = 1
                signal.raise_signal(signal.SIGINT)

        try:
            sys.setprofile(look)
            machine.run()
            sys.setprofile(None)
        except KeyboardInterrupt:  # after which Python profiles no more
            pass
        if not sent:
            break
    assert distance > 30
    assert set(slept_over) == {0}


def test_a_listener_that_waits_is_left_by_ctrl_c(boot):
    machine = boot(LIFE)
    waits = machine.on(MachineReset, lambda _event: signal.raise_signal(signal.SIGINT) or time.sleep(600))
    with waits, pytest.raises(KeyboardInterrupt):
        machine.run()
    assert machine.run().reason is StopReason.POWERED_OFF


def test_other_threads_run_machines_too(boot, undisturbed):
    lives = []
    threads = [threading.Thread(target=lambda: lives.append(life_of(boot(LIFE)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lives == [undisturbed] * 3


def test_a_run_ends_when_its_time_is_up(boot):
    machine = boot("j .")
    assert machine.run(timeout=0.02).reason is StopReason.TIMED_OUT
    assert machine.run(10, timeout=60).reason is StopReason.INSTRUCTION_LIMIT


def test_a_limit_of_no_instructions_runs_nothing(boot):
    machine = boot("li t0, 2\n csrs sie, t0\n csrs sip, t0\n csrsi sstatus, 2\n j .")
    machine.run(4)
    pc, taken = machine.hart.pc, []
    machine.on(TrapTaken, taken.append)
    outcome = machine.run(0)
    assert (outcome.reason, outcome.instructions, machine.hart.pc) == (StopReason.INSTRUCTION_LIMIT, 4, pc)
    assert taken == []


def test_a_machine_that_is_off_stays_off(boot):
    machine = boot("li a0, 5\n li a7, 8\n ecall\n .globl behind\n behind: addi a0, a0, 1\n ret")
    start = machine.snapshot()
    ends = [machine.run(), machine.run(), machine.run(max_instructions=7)]
    assert ends == [ends[0]] * 3
    assert ends[0].reason is StopReason.POWERED_OFF
    assert machine.call("behind", 41) == 42
    assert machine.run().reason is StopReason.POWERED_OFF
    machine.restore(start)
    assert machine.run() == ends[0]
