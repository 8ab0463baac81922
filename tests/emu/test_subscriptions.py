"""Listeners, and sources that run only while somebody listens."""

import pytest

from emu.address import VirtAddr
from emu.errors import ConfigError
from emu.events import ConsoleOutput, InterruptRaised
from emu.isa.privilege import Privilege
from emu.subscriptions import EventBus, Stop


def console(data: bytes) -> ConsoleOutput:
    return ConsoleOutput(instret=1, pc=VirtAddr(0), privilege=Privilege.S, data=data)


@pytest.fixture
def switches() -> list[str]:
    return []


@pytest.fixture
def bus(switches: list[str]) -> EventBus:
    bus = EventBus()

    def start() -> Stop:
        switches.append("on")
        return lambda: switches.append("off")

    bus.add_source(ConsoleOutput, start)
    return bus


def test_a_source_runs_from_the_first_listener_to_the_last(bus: EventBus, switches: list[str]) -> None:
    first = bus.on(ConsoleOutput, lambda event: None)
    second = bus.on(ConsoleOutput, lambda event: None)
    first.cancel()
    assert switches == ["on"]
    second.cancel()
    assert switches == ["on", "off"]


def test_cancelling_twice_cancels_once(bus: EventBus, switches: list[str]) -> None:
    kept = bus.on(ConsoleOutput, lambda event: None)
    cancelled = bus.on(ConsoleOutput, lambda event: None)
    cancelled.cancel()
    cancelled.cancel()
    assert bus.wants(ConsoleOutput)
    kept.cancel()
    assert not bus.wants(ConsoleOutput)


def test_listeners_are_called_in_the_order_in_which_they_came(bus: EventBus) -> None:
    heard: list[str] = []
    bus.on(ConsoleOutput, lambda event: heard.append("first"))
    bus.on(ConsoleOutput, lambda event: heard.append("second"))
    bus.emit(console(b"x"))
    assert heard == ["first", "second"]


def test_a_source_that_comes_late_starts_for_those_who_listen_already(bus: EventBus, switches: list[str]) -> None:
    bus.on(ConsoleOutput, lambda event: None)

    def start() -> Stop:
        switches.append("late on")
        return lambda: switches.append("late off")

    bus.add_source(ConsoleOutput, start)
    assert switches == ["on", "late on"]


def test_an_event_that_nothing_produces_is_refused_with_what_there_is(bus: EventBus) -> None:
    with pytest.raises(ConfigError, match=r"nothing produces InterruptRaised .*sources: ConsoleOutput"):
        bus.on(InterruptRaised, lambda event: None)
