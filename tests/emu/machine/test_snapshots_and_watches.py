"""Snapshots return to every observable state; watches call back at their instruction and nowhere else."""

import random
from itertools import pairwise

import pytest

from emu.errors import ConfigError, SymbolError
from emu.events import ConsoleOutput
from emu.machine import Machine, MachineConfig, StopReason
from emu.memory import Ram
from emu.memory.baseline import RamHistory
from emu.memory.pagescan import written_pages

OFF = "li a7, 8\n ecall\n"
COUNTER = (
    "la s1, place\n li s0, 10\n 1: ld t0, (s1)\n addi t0, t0, 1\n sd t0, (s1)\n .globl top\n"
    " top: addi s0, s0, -1\n bnez s0, 1b\n"
    + ("li a7, 1\n li a0, 'x'\n ecall\n" + OFF + ".balign 8\n .globl place\n place: .dword 0")
)


def state(machine: Machine):
    return machine.instret, machine.hart.pc, list(machine.hart.x), machine.console, machine.time, place(machine)


def place(machine: Machine) -> int:
    return machine.memory.read_int(int(machine.symbols.lookup("place").address), 8)


def test_a_restored_machine_does_the_same_again(boot):
    machine = boot(COUNTER)
    machine.run(20)
    snapshot, before = machine.snapshot(), state(machine)
    first = machine.run(), state(machine)
    machine.restore(snapshot)
    assert state(machine) == before
    assert (machine.run(), state(machine)) == first
    assert place(machine) == 10


TIMER = """
    la t0, handler
    csrw stvec, t0
    li t0, 0x20
    csrw sie, t0
    csrsi sstatus, 2
    rdtime a0
    addi a0, a0, 5
    li a7, 0    # set_timer
    ecall
    li s0, 100
1:  addi s0, s0, -1
    bnez s0, 1b
    li a7, 8
    ecall
.balign 4
handler:
    addi s1, s1, 1
    li a0, -1
    ecall
    sret
"""


def test_a_timer_that_is_due_at_the_moment_of_a_snapshot_interrupts_after_it_was_restored(boot):
    machine = boot(TIMER)
    begin = machine.snapshot()
    machine.run()
    end = state_at_end(machine)
    assert machine.hart.x["s1"] == 1
    machine.restore(begin)
    while machine.run(1).reason is StopReason.INSTRUCTION_LIMIT and machine.instret < 80:
        here = machine.snapshot()
        machine.run(30)
        machine.restore(here)
        machine.run()
        assert state_at_end(machine) == end
        machine.restore(here)


def state_at_end(machine: Machine):
    return machine.instret, machine.core.traps_taken, list(machine.hart.x)


def test_snapshots_can_be_restored_in_any_order(boot):
    machine = boot(COUNTER)
    snapshots = []
    for _ in range(6):
        snapshots.append((machine.snapshot(), state(machine)))
        machine.run(9)
    for index in (3, 0, 5, 2, 2, 4, 1):
        machine.restore(snapshots[index][0])
        assert state(machine) == snapshots[index][1]


def test_patched_code_is_restored_too(boot):
    machine = boot(
        "la t0, 1f\n li t1, 0x4509\n fence.i\n j 2f\n .balign 4\n 2: sh t1, (t0)\n fence.i\n 1: c.li a0, 1\n" + OFF
    )
    snapshot = machine.snapshot()
    for _ in range(3):
        machine.run()
        assert machine.hart.x["s2"] == 0
        machine.restore(snapshot)


def test_a_snapshot_belongs_to_its_machine(boot):
    with pytest.raises(ConfigError, match="another machine"):
        boot(OFF).restore(boot(OFF).snapshot())


def test_memory_returns_to_every_state_that_was_taken():
    source = random.Random(7)
    ram = Ram(1 << 20)
    history = RamHistory(ram)
    taken = [(history.take(), bytes(ram.view))]
    for _ in range(200):
        for _ in range(source.randrange(4)):
            ram.view[source.randrange(ram.size)] = source.randrange(256)
        what = source.random()
        if what < 0.2:
            taken.append((history.take(), bytes(ram.view)))
        else:
            saved, content = taken[-1] if what < 0.7 else source.choice(taken)
            history.restore(saved)
            assert bytes(ram.view) == content


@pytest.mark.parametrize("seed", range(3))
def test_memory_returns_to_every_state_that_is_held_whatever_others_were_dropped(seed):
    source = random.Random(seed)
    ram = Ram(1 << 20)
    history = RamHistory(ram)
    held = [(history.take(), bytes(ram.view))]
    for _ in range(400):
        for _ in range(source.choice((0, 1, 1, 2, 9))):
            ram.view[source.randrange(1 << 16)] = source.randrange(256)
        what = source.random()
        if what < 0.3:
            history.take()  # and dropped at once
        elif what < 0.5:
            held.append((history.take(), bytes(ram.view)))
        elif what < 0.65 and len(held) > 1:
            del held[source.randrange(len(held))]
        elif what < 0.75:
            saved, content = source.choice(held)
            filled = bytearray(ram.size)
            for first, data in history.runs(saved):
                filled[first << 12 : (first << 12) + len(data)] = data
            assert bytes(filled) == content
        else:
            saved, content = source.choice(held)
            history.restore(saved)
            assert bytes(ram.view) == content


def test_a_state_that_was_returned_to_is_not_taken_again():
    ram = Ram(1 << 20)
    history = RamHistory(ram)
    ram.view[0x5000:0x7000] = b"a" * 0x2000
    saved = history.take()
    ram.view[0x4000:0x9000] = b"b" * 0x5000
    history.restore(saved)
    assert history.take() is saved
    ram.view[0x6000] = 0
    other = history.take()
    assert (other is saved, saved.bytes) == (False, 0x1000)


def test_pages_that_are_written_no_more_are_not_copied_for_ever():
    ram = Ram(1 << 20)
    history = RamHistory(ram)
    ram.view[0] = 1
    saved = history.take()
    ram.view[0x8000:0x2_0000] = b"b" * 0x1_8000
    for _ in range(40):
        ram.view[0x3000] = 7
        history.restore(saved)
    assert ram.file is None or written_pages(ram.host_address, ram.size) == [(3, 1)]


def test_a_restore_tells_whether_code_may_have_changed():
    ram = Ram(1 << 20)
    history = RamHistory(ram)
    saved = history.take()
    ram.view[0x2_0000] = 1
    assert history.restore(saved, {0x8_0020}) is True
    ram.view[0x2_0000] = 1
    assert history.restore(saved, {0x8_0021}) is False
    ram.view[0x1_F000:0x2_1000] = bytes(0x2000)
    ram.view[0x2_1000] = 1
    assert history.restore(saved, {0x8_001F}) is False  # written, and the same as before
    ram.view[0x2_1000] = 1
    assert history.restore(saved, {0x8_001F, 0x8_0021}) is True


def test_a_watch_calls_back_before_each_execution(boot):
    machine = boot(COUNTER)
    seen = []
    with machine.watch("top", lambda: seen.append((machine.hart.x["s0"], machine.instret, machine.hart.pc))):
        machine.run()
    top = machine.symbols.lookup("top").address
    assert [entry[0] for entry in seen] == list(range(10, 0, -1))
    assert [entry[2] for entry in seen] == [top] * 10
    assert [after[1] - before[1] for before, after in pairwise(seen)] == [5] * 9


def test_several_watches_of_one_address_are_called_in_order(boot):
    machine = boot(COUNTER)
    seen = []
    first = machine.watch("top", lambda: seen.append("first"))
    machine.watch("top", lambda: seen.append("second"))
    machine.run(8)
    assert seen == ["first", "second"]
    first.cancel()
    machine.run(5)
    assert seen == ["first", "second", "second"]


def test_a_watch_can_be_set_and_cancelled_inside_a_callback(boot):
    machine = boot("call f\n call f\n call f\n" + OFF + ".globl f\n f: addi s0, s0, 1\n ret")
    returns, subscriptions = [], []

    def entered() -> None:
        address = machine.hart.x["ra"]
        subscription = machine.watch(address, lambda: (returns.append(address), subscription.cancel()))
        subscriptions.append(subscription)

    machine.watch("f", entered)
    assert machine.run().reason is StopReason.POWERED_OFF
    assert len(returns) == len(set(returns)) == 3


def test_watching_does_not_change_the_run(boot):
    plain, watched = boot(COUNTER), boot(COUNTER)
    watched.watch("top", lambda: None)
    assert plain.run() == watched.run()


def test_a_run_stops_at_an_address_and_leaves_it_again(boot):
    machine = boot(COUNTER)
    values = []
    while machine.run(until="top").reason is StopReason.REACHED:
        values.append(machine.hart.x["s0"])
    assert values == list(range(10, 0, -1))


def test_a_restored_machine_stops_at_the_same_address_each_time(boot):
    machine = boot("li a0, 1\n nop\nhere: li a0, 2\n li a7, 8\n ecall")
    start = machine.snapshot()
    for _ in range(4):
        assert machine.run(until="here").reason is StopReason.REACHED
        assert machine.hart.x["a0"] == 1
        machine.restore(start)


def test_unknown_symbols_and_odd_addresses_are_refused(boot):
    machine = boot(COUNTER)
    with pytest.raises(SymbolError):
        machine.watch("nowhere", lambda: None)
    with pytest.raises(ConfigError, match="odd"):
        machine.watch(0x8020_0001, lambda: None)
    with pytest.raises(SymbolError, match="register"):
        machine.hart.x["q7"]
    with pytest.raises(SymbolError, match="CSR"):
        machine.hart.csr["mnonsense"]


def test_console_output_is_an_event_in_its_place(boot, collect):
    machine = boot(COUNTER)
    events = collect(machine, ConsoleOutput)
    machine.run()
    assert [(event.data, event.instret) for event in events] == [(b"x", machine.instret - 3)]


def test_a_large_machine_costs_no_more_than_a_small_one(boot):
    machine = Machine(MachineConfig(ram_size=8 << 30))
    machine.memory.write(0x8000_0000 + (8 << 30) - 8, b"the end!")
    assert machine.memory.read(0x8000_0000 + (8 << 30) - 8, 8) == b"the end!"
