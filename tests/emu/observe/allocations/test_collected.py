"""Allocations that are collected in bulk are those that a listener is told of at their moments, callers included."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ekernel import assemble, link
from emu.errors import EmuError
from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.machine import Machine, MachineConfig
from emu.observe.allocations.collected import CollectedSource
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.allocations.signatures import frame_allocator
from kernel.build import BuiltKernel
from tests.emu.observe.allocations.conftest import Build

KINDS = (FrameAllocated, FrameFreed, HeapAllocated, HeapFreed)
OBSERVERS: tuple[type[CollectedSource], ...] = (FrameObserver, HeapObserver)
Work = Callable[[Machine], object]


def work_of_c(machine: Machine) -> None:
    """What `pages.c` does with its frames, also wrongly."""
    machine.run()
    machine.hart.x["sp"] = 0x8090_0000
    for number in range(3):
        machine.call("works", number)
    for mistake in ("frees_twice", "frees_inside"):
        with suppress(EmuError):
            machine.call(mistake)


@pytest.fixture(scope="module", params=["C kernel", "teaching kernel"])
def case(request: pytest.FixtureRequest, built: Build, kernel_of: Callable[..., BuiltKernel]) -> tuple[Path, Work]:
    if request.param == "C kernel":
        return built("pages"), work_of_c
    return kernel_of("full").elf, lambda machine: machine.run(760_000)


def loaded(elf: Path, fidelity: str) -> Machine:
    machine = Machine(MachineConfig(fidelity=fidelity))
    machine.load(elf)
    FrameObserver(machine)
    HeapObserver(machine)
    return machine


def listened(elf: Path, work: Work, fidelity: str) -> list[Event]:
    machine, events = loaded(elf, fidelity), list[Event]()
    for kind in KINDS:
        machine.on(kind, events.append)
    work(machine)
    return events


def test_collected_events_are_those_that_are_listened_to(case: tuple[Path, Work], fidelity: str) -> None:
    elf, work = case
    expected = listened(elf, work, fidelity)
    machine, events = loaded(elf, fidelity), list[Event]()
    for observer in OBSERVERS:
        observer.collect(machine, events.append, at_once=False)
    work(machine)
    assert events == expected
    assert len(events) > 100
    assert any(len(event.callers) > 2 for event in events)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("kinds", "ahead"), [(KINDS[::2], -3), (KINDS[1::2], 3)], ids=["allocation", "free"])
def test_who_begins_to_listen_in_the_middle_is_told_all_from_then_on(
    case: tuple[Path, Work], fidelity: str, kinds: tuple[type[Event], ...], ahead: int
) -> None:
    elf, _ = case
    most = 760_000
    expected = listened(elf, lambda machine: machine.run(most), fidelity)
    of_kinds = [event for event in expected if isinstance(event, kinds)] or expected
    inside = of_kinds[len(of_kinds) // 3]
    machine, collected, heard = loaded(elf, fidelity), list[Event](), list[Event]()
    for observer in OBSERVERS:
        observer.collect(machine, collected.append, at_once=True)
    machine.run(inside.instret + ahead)  # the call that this event is about has not returned
    subscriptions = [machine.on(kind, heard.append) for kind in KINDS]
    before = len(collected)
    machine.run(20_000)
    for subscription in subscriptions:
        subscription.cancel()
    machine.run(most - machine.instret)
    assert collected == expected
    assert heard
    assert collected[before : before + len(heard)] == heard


FREE_THAT_ALLOCATES = """
    .globl _start
_start:
    la sp, stack
    li a0, 0x80400
    call give_back
    li a7, 8
    ecall
give_back:
    addi sp, sp, -16
    sd ra, 8(sp)
    call take
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
take:
    li a0, 0x80401
    ret
    .bss
    .balign 16
    .zero 256
stack:
"""


@pytest.mark.parametrize("saves", [False, True], ids=["at once", "after a snapshot"])
def test_what_a_free_does_that_had_begun_before_somebody_listened_is_part_of_it(tmp_path: Path, saves: bool) -> None:
    script = "SECTIONS { . = 0x80200000; .text : { *(.text) } .bss : { *(.bss) } }"
    elf, heard = tmp_path / "guest.elf", list[Event]()
    elf.write_bytes(link([assemble(FREE_THAT_ALLOCATES, name="guest.S")], script=script).elf)
    with Machine(MachineConfig(ram_size=16 << 20)) as machine:
        machine.load(elf)
        FrameObserver(machine, [frame_allocator("take,give_back")])
        FrameObserver.collect(machine, heard.append, at_once=True)
        machine.run(until="give_back")
        machine.run(2)
        assert [type(event) for event in heard] == [FrameFreed]
        if saves:
            snapshot = machine.snapshot()
            machine.run()
            machine.restore(snapshot)
        for kind in KINDS[:2]:
            machine.on(kind, heard.append)
        machine.run()
    assert [type(event) for event in heard] == [FrameFreed]
