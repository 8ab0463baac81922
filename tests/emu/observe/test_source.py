"""Observers are attached once however often they are asked for, and can be detached."""

from collections.abc import Callable

import pytest

from emu.errors import ConfigError
from emu.events import Event, FrameAllocated, FunctionCalled, HeapAllocated, PageFault
from emu.machine import Machine
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.calls.functions import FunctionObserver
from emu.observe.faults import PageFaultHandled, PageFaultObserver

Boot = Callable[..., Machine]
Collect = Callable[..., list[Event]]

KERNEL = """
    .type frame_alloc, @function
frame_alloc:
    li a0, 0x80300
    ret
    .type frame_dealloc, @function
frame_dealloc:
    ret
"""


def test_two_observers_of_one_machine_tell_each_event_once(boot: Boot, collect: Collect) -> None:
    machine = boot(KERNEL)
    FrameObserver(machine)
    events = collect(machine, FrameAllocated)
    FrameObserver(machine)
    machine.call("frame_alloc")
    assert len(events) == 1


def test_functions_that_two_observers_want_are_told_once(boot: Boot, collect: Collect) -> None:
    machine = boot(KERNEL)
    FunctionObserver(machine, ["frame_*"])
    FunctionObserver(machine, ["frame_alloc"])
    events = collect(machine, FunctionCalled)
    machine.call("frame_alloc")
    machine.call("frame_dealloc", 1)
    assert [event.name for event in events if isinstance(event, FunctionCalled)] == ["frame_alloc", "frame_dealloc"]


@pytest.mark.parametrize("first_to_go", [0, 1])
def test_events_go_on_until_the_last_observer_is_detached(boot: Boot, collect: Collect, first_to_go: int) -> None:
    machine = boot(KERNEL)
    observers = [FrameObserver(machine), FrameObserver(machine)]
    events = collect(machine, FrameAllocated)
    observers.pop(first_to_go).close()
    machine.call("frame_alloc")
    assert len(events) == 1
    observers.pop().close()
    machine.call("frame_alloc")
    assert len(events) == 1
    with FrameObserver(machine):
        machine.call("frame_alloc")
    machine.call("frame_alloc")
    assert len(events) == 2


def test_detaching_one_observer_twice_detaches_no_other(boot: Boot, collect: Collect) -> None:
    machine = boot(KERNEL)
    first, _second = FrameObserver(machine), FrameObserver(machine)
    events = collect(machine, FrameAllocated)
    first.close()
    first.close()
    machine.call("frame_alloc")
    assert len(events) == 1


def test_functions_of_a_detached_observer_are_told_no_more(boot: Boot, collect: Collect) -> None:
    machine = boot(KERNEL)
    both = FunctionObserver(machine, ["frame_*"])
    FunctionObserver(machine, ["frame_alloc"])
    events = collect(machine, FunctionCalled)
    both.close()
    machine.call("frame_dealloc", 1)
    machine.call("frame_alloc")
    assert [event.name for event in events if isinstance(event, FunctionCalled)] == ["frame_alloc"]


def test_without_its_observer_nobody_can_listen(boot: Boot) -> None:
    machine = boot(KERNEL)
    FrameObserver(machine).close()
    with pytest.raises(ConfigError, match="attach the observer"):
        machine.on(FrameAllocated, lambda event: None)
    with pytest.raises(ConfigError, match=r"FrameObserver.*emu\.observe"):
        AllocationLedger(machine)


def test_a_ledger_of_frames_needs_no_heap_and_the_other_way_round(boot: Boot) -> None:
    machine = boot(KERNEL)
    FrameObserver(machine)
    ledger = AllocationLedger(machine)
    assert not machine.events.has_source(HeapAllocated)
    machine.call("frame_alloc")
    assert list(ledger.frames.held) == [0x80300]
    other = boot(KERNEL)
    HeapObserver(other)
    AllocationLedger(other)


def test_a_second_observer_of_faults_knows_the_faults_that_the_first_has_seen(boot: Boot, collect: Collect) -> None:
    machine = boot(
        """
        la t0, handler
        csrw stvec, t0
        li t0, 0x80300000
        li t1, (0x80000000 >> 12 << 10) | 0xcf
        sd t1, 16(t0)                       # the gigabyte of RAM, and no other
        li t1, 8 << 60 | 0x80300
        csrw satp, t1
        sfence.vma
        ld t0, (zero)
        .balign 4
    handler:
        j handler
        """
    )
    PageFaultObserver(machine)
    collect(machine, PageFault, PageFaultHandled)
    machine.run(40)
    assert [int(fault.address) for fault in PageFaultObserver(machine).unhandled] == [0]
