"""Exceptions of listeners at any moment: run again, the machine goes on as if without them."""

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
from tests.emu.machine.life import LIFE, RESETS, Interrupted, life_of

KINDS = (
    TrapTaken, TrapReturned, PageFault, AddressSpaceSwitched, ConsoleOutput, MmioAccess, PteWritten, InterruptRaised,
    MachineReset, StateRestored, TlbFilled,
)  # fmt: skip


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
