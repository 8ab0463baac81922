"""Functions of the guest that the host calls: in one native step or by the loop that runs machines, with one result."""

import signal
import sys
import threading
import time
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.engine.core import Engine
from emu.errors import GuestPanic, LimitExceeded
from emu.events import ConsoleOutput, PageFault, TrapTaken
from emu.machine import Machine, StopReason
from emu.machine.calls import Caller
from tests.emu.conftest import CODE
from tests.guests import GIGAPAGES

# A page table that maps all of RAM and the devices, one page that faults, a timer, and functions of every kind.
LIBRARY = (
    GIGAPAGES
    + """
ready:
    nop
halt:
    j halt
    .globl add, sum, hello, put, tick, wander, fault, sleep, off, far, patch, page, arm, sie, clock, stop, trigger, bare
add:
    add a0, a0, a1
    ret
sum:
    li t0, 0
1:  add t0, t0, a0
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, t0
    ret
hello:
    li a7, 1
    ecall
    ret
put:
    li t0, 0x10000000
2:  lbu t1, 5(t0)
    andi t1, t1, 32
    beqz t1, 2b
    sb a0, (t0)
    ret
tick:
    rdtime a0
    rdinstret t0
    add a0, a0, t0
    ret
wander:
    li t0, 7 << 36
    jr t0
fault:
    li t0, 7 << 36
    ld a0, (t0)
    addi a0, s6, 0
    ret
sleep:
    mv s7, ra
    rdtime a0
    addi a0, a0, 9
    li a7, 0
    ecall
    li t0, 32
    csrs sie, t0
    wfi
    csrc sie, t0
    rdtime a0
    mv ra, s7
    ret
off:
    li a0, 0
    li a1, 0
    li a6, 0
    li a7, 0x53525354
    ecall
far:
    addi a0, a0, 3
    ret
patch:
    la t0, far
    slli a0, a0, 20
    li t1, 0x50513
    or t1, t1, a0
    sw t1, (t0)
    fence.i
    j far
page:
    csrw satp, s1
    sfence.vma
    ret
bare:
    csrw satp, zero
    sfence.vma
    ret
arm:
    mv t2, a0
    rdtime a0
    add a0, a0, t2
    li a7, 0
    ecall
    li t0, 32
    csrs sie, t0
    ret
sie:
    csrsi sstatus, 2
    ret
clock:
    mv a0, s8
    ret
stop:
    ebreak
    ret
trigger:
    csrsi sip, 2
    csrsi sie, 2
    csrsi sstatus, 2
    csrci sstatus, 2
    csrr a0, scause
    csrci sip, 2
    ret
    .balign 4
trap:
    csrr t2, scause
    bltz t2, 5f
    csrr t2, sepc
    addi t2, t2, 4
    csrr t3, scause
    addi t3, t3, -12
    bnez t3, 4f
    mv t2, ra
4:  csrw sepc, t2
    addi s6, s6, 1
    sret
5:  addi s8, s8, 1
    csrci sip, 2
    li t2, 32
    csrc sie, t2
    sret
    .balign 4096
    .globl root
root: .zero 4096
"""
)
CALLS = st.one_of(
    st.tuples(st.just("add"), st.tuples(st.integers(-(1 << 64), 1 << 64), st.integers(0, 9))),
    st.tuples(st.sampled_from(["sum", "arm"]), st.tuples(st.integers(1, 50))),
    st.tuples(st.sampled_from(["hello", "put", "patch"]), st.tuples(st.integers(65, 90))),
    st.tuples(st.sampled_from(["tick", "fault", "far", "page", "bare", "sie", "clock", "stop"]), st.just(())),
    st.tuples(st.sampled_from(["sleep", "wander", "off", "trigger"]), st.just(())),
)


@pytest.fixture
def library(boot) -> Callable[[], Machine]:
    """Makes machines that have run up to where functions can be called."""

    def make() -> Machine:
        machine = boot(LIBRARY)
        machine.run(until="ready")
        return machine

    return make


def outcome_of(machine: Machine, name: str, args: tuple[int, ...], limit: int) -> tuple[object, ...]:
    """What a call gives or raises, and all that a guest could see of it later."""
    try:
        result: object = machine.call(name, *args, max_instructions=limit)
    except (GuestPanic, LimitExceeded) as error:
        result = type(error), str(error)
    registers = tuple(machine.hart.x), machine.hart.pc, machine.hart.privilege
    status = [machine.hart.csr[name] for name in ("sstatus", "sepc", "scause", "stval", "sip", "satp")]
    return (
        result,
        machine.instret,
        machine.time,
        registers,
        status,
        machine.console,
        zlib.crc32(machine.memory.view(CODE, 0x4000)),
    )


def test_a_call_gives_the_same_in_one_step_and_by_the_loop(library):
    quick, slow = library(), library()
    slow.watch("halt", lambda: None)  # whoever watches an address makes the loop necessary
    starts = quick.snapshot(), slow.snapshot()

    @settings(max_examples=30, deadline=None)
    @given(calls=st.lists(st.tuples(CALLS, st.one_of(st.just(10_000), st.integers(0, 60))), min_size=1, max_size=12))
    def check(calls: list[tuple[tuple[str, tuple[int, ...]], int]]) -> None:
        for machine, start in zip((quick, slow), starts, strict=True):
            machine.restore(start)
        for (name, args), limit in calls:
            assert outcome_of(quick, name, args, limit) == outcome_of(slow, name, args, limit)

    check()


def test_a_short_call_is_one_native_step(library, monkeypatch):
    machine = library()
    assert [machine.call("add", 40, 2) for _ in range(2)] == [42, 42]

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the loop was entered")

    monkeypatch.setattr(Engine, "run", refuse)
    before = machine.instret
    assert machine.call("add", -1, 2) == 1
    assert machine.call(machine.address_of("sum"), 10) == 55
    assert machine.instret == before + 2 + 33


def test_listeners_are_told_of_what_happens_in_a_short_call(library):
    machine = library()
    machine.call("page")
    told: list[tuple[type, int]] = []
    for kind in (PageFault, TrapTaken, ConsoleOutput):
        machine.on(kind, lambda event: told.append((type(event), event.instret)))
    start = machine.instret
    assert machine.call("fault") == 1
    assert machine.call("put", 65) == 65
    kinds = [kind for kind, _ in told]
    assert kinds == [PageFault, TrapTaken, ConsoleOutput]
    assert told[0][1] == told[1][1] == start + 2  # without the load itself
    assert told[2][1] > start


def test_an_interrupt_that_comes_due_is_taken_at_its_instruction_in_the_middle_of_calls(library):
    quick, slow = library(), library()
    slow.watch("halt", lambda: None)
    seen = []
    for machine in (quick, slow):
        machine.call("sie")
        machine.call("arm", 3)
        seen.append([(machine.call("clock"), machine.instret) for _ in range(30)])
    assert seen[0] == seen[1]
    assert [taken for taken, _ in seen[0]].count(1) == 1


def test_a_call_goes_on_after_a_snapshot_was_restored_and_a_timer_set_back(library):
    machine = library()
    machine.call("sie")
    snapshot = machine.snapshot()
    lives = []
    for _ in range(2):
        machine.call("arm", 4)
        lives.append([machine.call("clock") for _ in range(40)])
        machine.restore(snapshot)
    assert lives[0] == lives[1]
    assert lives[0].count(1) == 1  # the call in which it came


def test_another_thread_can_interrupt_a_call(library):
    machine = library()
    machine.call("add", 1, 1)
    running = threading.Event()

    def interrupt() -> None:
        running.wait()
        while running.is_set():
            machine.interrupt()
            time.sleep(0.001)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        running.set()
        with pytest.raises(GuestPanic, match="interrupted"):
            machine.call("sum", 0, max_instructions=1 << 40)
    finally:
        running.clear()
        thread.join()


def call_long(machine: Machine) -> None:
    for _ in range(50_000):
        assert machine.call("sum", 200) == 20_100


def interrupted(action: Callable[[], object]) -> bool:
    """Whether Ctrl-C ends an action."""
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)  # in here: the host may give nobody the processor until it is over
        action()
    except KeyboardInterrupt:
        return True
    return False


@pytest.mark.usefixtures("uncollected")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this host has no interval timers")
def test_ctrl_c_in_a_call_leaves_the_machine_as_before_it(library):
    machine = library()
    start = tuple(machine.hart.x), machine.hart.pc
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for action in (
            lambda: call_long(machine),
            lambda: call_long(machine),
            lambda: machine.call("sum", 0, max_instructions=200_000_000),
        ):
            assert interrupted(action)
            assert (tuple(machine.hart.x), machine.hart.pc) == start
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert machine.call("add", 2, 3) == 5
    assert machine.run(max_instructions=10).reason is StopReason.INSTRUCTION_LIMIT


@pytest.mark.parametrize("name", ["add", "hello"])
def test_an_exception_of_a_signal_at_any_line_of_a_call_leaves_the_machine_as_before_it(library, name):
    machine = library()
    start = tuple(machine.hart.x), machine.hart.pc
    lines = 0

    def trace(frame, event, _):
        nonlocal lines
        if frame.f_code is Caller.execute.__code__ and event == "line":
            lines -= 1
            if lines == 0:
                raise KeyboardInterrupt
        return trace if frame.f_code is Caller.execute.__code__ else None

    for number in range(1, 100):
        lines = number
        sys.settrace(trace)
        try:
            machine.call(name, 2, 3)
        except KeyboardInterrupt:
            pass
        else:
            break
        finally:
            sys.settrace(None)
        assert (tuple(machine.hart.x), machine.hart.pc) == start, number
        assert machine.call("add", 2, 3) == 5
    assert 10 < number < 99


def test_calls_belong_to_the_history_that_can_be_gone_back_in(library):
    machine = library()
    moments = []
    for number in range(6):
        machine.call("add", number, 1)
        machine.call("put", 65 + number)
        machine.step()
        moments.append((machine.history.now, list(machine.hart.x), machine.hart.pc, machine.console))
        machine.step()  # what comes from outside at a moment belongs to it
    for moment, registers, pc, console in (moments[2], moments[5], moments[0], moments[3]):
        machine.history.go(moment)
        assert (list(machine.hart.x), machine.hart.pc, machine.console) == (registers, pc, console)
