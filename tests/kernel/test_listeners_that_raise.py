"""Whoever listens to what observers make of the kernel's life may raise at every event: the life stays the same."""

import zlib
from collections.abc import Callable

import pytest

from emu.events import (
    Event,
    FrameAllocated,
    FrameFreed,
    FunctionCalled,
    FunctionReturned,
    HeapAllocated,
    HeapFreed,
    MemoryAccessed,
    SyscallMade,
)
from emu.machine import Machine, MachineConfig, StopReason
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.faults import PageFaultHandled, PageFaultObserver
from emu.observe.functions import FunctionObserver
from emu.observe.memory import MemoryObserver, WatchedRange
from kernel.build import BuiltKernel

KINDS = (
    FrameAllocated, FrameFreed, HeapAllocated, HeapFreed, FunctionCalled, FunctionReturned, MemoryAccessed, SyscallMade,
    PageFaultHandled,
)  # fmt: skip


class Refused(Exception):
    """What the listener raises."""


def life(kernel: BuiltKernel, fidelity: str, listener: Callable[[Event], None]) -> tuple[object, ...]:
    """All that may not depend on exceptions, of a boot to the end."""
    with Machine(MachineConfig(fidelity=fidelity)) as machine:
        machine.load(kernel.elf)
        FrameObserver(machine)
        HeapObserver(machine)
        PageFaultObserver(machine)
        FunctionObserver(machine, ("page_table_*",))
        MemoryObserver(machine, (WatchedRange.parse(machine, "frame_used"),))
        for kind in KINDS:
            machine.on(kind, listener)
        while True:
            try:
                outcome = machine.run()
            except Refused:
                continue
            assert outcome.reason is StopReason.POWERED_OFF
            return outcome, machine.instret, machine.console, zlib.crc32(machine.memory.ram.view)


@pytest.mark.slow
@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_every_event_of_an_observer_may_be_refused(kernel_of: Callable[..., BuiltKernel], fidelity: str) -> None:
    heard: list[Event] = []
    again: list[Event] = []

    def refuse(event: Event) -> None:
        again.append(event)
        raise Refused

    kernel = kernel_of("full")
    assert life(kernel, fidelity, refuse) == life(kernel, fidelity, heard.append)
    assert again == heard
    for kind in KINDS:
        assert sum(isinstance(event, kind) for event in heard) > 10, kind
