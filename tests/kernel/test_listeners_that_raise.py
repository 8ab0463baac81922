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
    PageEvicted,
    PageLoaded,
    SyscallMade,
)
from emu.machine import Machine, MachineConfig, StopReason
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.calls.functions import FunctionObserver
from emu.observe.faults import PageFaultHandled, PageFaultObserver
from emu.observe.memory import MemoryObserver, WatchedRange
from emu.observe.replacement import ReplacementObserver
from kernel.build import BuiltKernel

KINDS = (
    FrameAllocated, FrameFreed, HeapAllocated, HeapFreed, FunctionCalled, FunctionReturned, MemoryAccessed, SyscallMade,
    PageFaultHandled,
)  # fmt: skip
PAGES = (PageEvicted, PageLoaded)


class Refused(Exception):
    """What the listener raises."""


def life(
    kernel: BuiltKernel, fidelity: str, listener: Callable[[Event], None], ram_size: int = 128 << 20, typed: str = ""
) -> tuple[object, ...]:
    """All that may not depend on exceptions, of a boot to the end."""
    with Machine(MachineConfig(fidelity=fidelity, ram_size=ram_size)) as machine:
        machine.load(kernel.elf)
        machine.type_text(typed.encode())
        FrameObserver(machine)
        HeapObserver(machine)
        PageFaultObserver(machine)
        FunctionObserver(machine, ("page_table_*",))
        MemoryObserver(machine, (WatchedRange.parse(machine, "frame_used"),))
        if typed:
            ReplacementObserver(machine)
        for kind in (*KINDS, *(PAGES if typed else ())):
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
@pytest.mark.parametrize("pages", [False, True], ids=["enough memory", "pages are replaced"])
def test_every_event_of_an_observer_may_be_refused(
    kernel_of: Callable[..., BuiltKernel], fidelity: str, pages: bool
) -> None:
    heard: list[Event] = []
    again: list[Event] = []

    def refuse(event: Event) -> None:
        again.append(event)
        raise Refused

    if pages:
        kernel = kernel_of("shell", replacement="clock", store="ram")
        how = {"ram_size": 6656 << 10, "typed": "large\rexit\r"}
    else:
        kernel, how = kernel_of("full"), {}
    assert life(kernel, fidelity, refuse, **how) == life(kernel, fidelity, heard.append, **how)
    assert again == heard
    for kind in PAGES if pages else KINDS:
        assert sum(isinstance(event, kind) for event in heard) > 10, kind
