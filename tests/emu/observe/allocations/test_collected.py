"""Allocations that are collected in bulk are those that a listener is told of at their moments, callers included."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from emu.errors import EmuError
from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.machine import Machine, MachineConfig
from emu.observe.allocations.collected import CollectedSource
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from kernel.build import build, profile_named
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
def case(request: pytest.FixtureRequest, built: Build, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Work]:
    if request.param == "C kernel":
        return built("pages"), work_of_c
    return build(profile_named("full"), tmp_path_factory.mktemp("full")).elf, lambda machine: machine.run(760_000)


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
        observer.collect(machine, events.append)
    work(machine)
    assert events == expected
    assert len(events) > 100
    assert any(len(event.callers) > 2 for event in events)  # type: ignore[attr-defined]


def test_who_begins_to_listen_in_the_middle_is_told_all_from_then_on(case: tuple[Path, Work], fidelity: str) -> None:
    elf, _ = case
    most = 760_000
    expected = listened(elf, lambda machine: machine.run(most), fidelity)
    inside = expected[len(expected) // 3]
    machine, collected, heard = loaded(elf, fidelity), list[Event](), list[Event]()
    for observer in OBSERVERS:
        observer.collect(machine, collected.append)
    machine.run(inside.instret - 3)  # the call that this event is about has not returned
    subscriptions = [machine.on(kind, heard.append) for kind in KINDS]
    before = len(collected)
    machine.run(20_000)
    for subscription in subscriptions:
        subscription.cancel()
    machine.run(most - machine.instret)
    assert collected == expected
    assert heard
    assert collected[before : before + len(heard)] == heard
