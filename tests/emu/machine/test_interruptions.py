"""Ctrl-C and other ends at any moment: run again, the machine goes on as if without them."""

import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from types import FrameType

import pytest

from emu.events import (
    ConsoleOutput,
    MachineReset,
    MmioAccess,
    PageFault,
    TrapReturned,
    TrapTaken,
)
from emu.machine import StopReason
from tests.emu.machine.life import LIFE, life_of


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
def ctrl_c_once(begun: threading.Event, *, goes_astray: bool = False) -> Iterator[None]:
    """A thread that sends SIGINT to this one when something has begun: no sooner, however late this one gets there.

    One that goes astray is that thread's own. Of the process's signals the host gives any thread any, and then it ends
    no system call of this one, as where it comes just before the call.
    """
    main = threading.get_ident()

    def send() -> None:
        begun.wait()
        signal.pthread_kill(threading.get_ident() if goes_astray else main, signal.SIGINT)

    thread = threading.Thread(target=send)
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


@pytest.mark.parametrize("goes_astray", [False, True], ids=["this thread's", "another thread's"])
def test_a_sleep_by_the_hosts_clock_is_left_by_ctrl_c_and_slept_on(boot, goes_astray):
    machine, begun = boot(SLEEPS_LONG, clock="host"), threading.Event()
    clock = machine.platform.clock
    sleep = clock.sleep
    clock.sleep = lambda seconds: begun.set() or sleep(seconds)
    with ctrl_c_once(begun, goes_astray=goes_astray), pytest.raises(KeyboardInterrupt):
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
