"""Features of translated code in a boot of Linux: switched again and again, and the stacks of calls they give."""

from collections import defaultdict
from collections.abc import Callable

import pytest

from emu.engine.translated.features import Feature, calls
from emu.engine.translated.features.accesses import Accesses
from emu.engine.translated.features.blocks import Blocks
from emu.engine.translated.features.calls import Calls, Kind
from emu.engine.translated.features.counts import Counts, Coverage, Edges
from emu.engine.translated.features.lastwriter import LastWriter
from emu.engine.translated.features.registerwrites import RegisterWrites
from emu.machine import Drive, Machine, MachineConfig, StopReason
from emu.observe.calls.backtrace import Backtrace
from emu.observe.calls.stacks import CallStacks
from tests.linux.build import Linux
from tests.linux.conftest import SERIAL

pytestmark = pytest.mark.slow


@pytest.fixture
def linux(built: Linux) -> Callable[[], Machine]:
    """A machine with Linux loaded, in `fast`."""

    def make() -> Machine:
        drive = Drive(path=built.disk, snapshot=True)
        machine = Machine(MachineConfig(fidelity="fast", bootargs=SERIAL, drives=(drive,)))
        machine.load(built.kernel, initrd=built.initrd)
        machine.add_symbols(built.vmlinux)
        return machine

    return make


def seen(machine: Machine) -> tuple[object, ...]:
    """What a user can tell two boots by."""
    return machine.instret, bytes(machine.console), list(machine.hart.x), int(machine.hart.pc)


def features() -> list[Feature]:
    """One of each, with drains that drop what they get."""
    return [
        Accesses(len), RegisterWrites(len), Blocks(len), Calls(len, jumps=True), Counts(), Coverage(), Edges(),
        LastWriter(),
    ]  # fmt: skip


def test_a_boot_is_the_same_while_features_are_switched_a_hundred_times_and_snapshots_are_run_from_again(linux):
    plain = linux()
    assert plain.run().reason is StopReason.POWERED_OFF
    machine = linux()
    engine = machine.core.engine
    all_of_them, on = features(), set()
    machine.run(12_000_000)
    for switch in range(100):
        number = switch * 5 % len(all_of_them)
        (engine.switch_off if number in on else engine.switch_on)(all_of_them[number])
        on ^= {number}
        machine.run(40_000)
        if switch == 40:
            snapshot = machine.snapshot()
            machine.run(100_000)
            machine.restore(snapshot)
    for number in on:
        engine.switch_off(all_of_them[number])
    assert machine.run().reason is StopReason.POWERED_OFF
    assert seen(machine) == seen(plain)


def test_the_stack_of_calls_of_linux_is_that_of_its_call_frame_information(linux):
    machine, words, stacks = linux(), bytearray(), CallStacks()
    backtrace, compared, deepest = Backtrace(machine), 0, 0
    record = Calls(words.extend)
    machine.core.engine.switch_on(record)
    machine.run(17_000_000)
    for _ in range(40):
        machine.run(33_331)
        machine.core.engine.flush_features()
        for transfer in calls.decode(words):
            stacks.apply(transfer)
        words.clear()
        expected = [int(site) for site in backtrace.callers_here()]
        if expected:
            found = [frame.site for frame in reversed(stacks.current)][: len(expected)]
            # A thread begins behind `ret_from_fork`, which has not called it.
            assert found == expected[: max(len(found), len(expected) - 1)]
            compared, deepest = compared + 1, max(deepest, len(found))
    assert compared > 20
    assert deepest > 6
    assert stacks.switches > 100
    assert stacks.unwound == 0


def test_every_return_of_a_whole_boot_ends_its_own_call_as_linuxs_current_task_tells(linux):
    machine, words, stacks = linux(), bytearray(), CallStacks()
    switches = []
    machine.watch("__switch_to", lambda: switches.append((machine.instret, machine.hart.x["a0"], machine.hart.x["a1"])))
    machine.core.engine.switch_on(Calls(words.extend))
    assert machine.run().reason is StopReason.POWERED_OFF
    machine.core.engine.flush_features()
    dies = int(machine.symbols.lookup("do_task_dead").address)
    # The other method knows no stack pointers: a shadow stack for each task, and the kernel says which one goes on.
    tasks = defaultdict(list)
    task, upcoming = int(switches[0][1]), iter(switches)
    switch, dead = next(upcoming), False
    returned = inside_trap = forgotten = 0
    for transfer in calls.decode(words):
        stacks.apply(transfer)
        if transfer.kind is Kind.CALL:
            tasks[task].append((transfer.pc, transfer.return_address, transfer.instret))
            dead |= transfer.target == dies
        if transfer.kind is not Kind.RETURN:
            continue
        if switch is not None and transfer.instret > switch[0]:
            if dead:
                del tasks[task]
            task, switch, dead = int(switch[2]), next(upcoming, None), False
        open_calls = tasks[task]
        if not open_calls or open_calls[-1][1] != transfer.target:
            continue  # into `ret_from_exception`, `ret_from_fork` and their like, which called nobody
        open_calls.pop()
        returned += 1
        now = stacks.current[-1] if stacks.current else None
        if now is None or now.is_trap:
            inside_trap += now is not None
            forgotten += now is None and bool(open_calls)
        else:
            assert (now.site, now.return_address, now.instret) == open_calls[-1], transfer
    assert returned > 400_000
    assert inside_trap < returned // 100
    assert forgotten < 20  # in handlers of signals
    assert len(switches) > 300
    assert stacks.unwound == 0
