"""Listeners, and sources that run only while somebody listens."""

import signal
from collections.abc import Iterator

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


@pytest.fixture
def happened() -> Iterator[list[str]]:
    """What a handler of SIGUSR1 appends to."""
    heard: list[str] = []
    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: heard.append("handled"))
    yield heard
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_that_waits_is_handled_before_a_listener_that_may_take_long(
    bus: EventBus, happened: list[str]
) -> None:
    bus.on(ConsoleOutput, lambda _event: happened.append("listened"))
    with bus.signals:
        signal.raise_signal(signal.SIGUSR1)
        assert happened == []
        bus.emit(console(b"x"))
        signal.raise_signal(signal.SIGUSR1)
        assert happened == ["handled", "listened"]
    assert happened == ["handled", "listened", "handled"]


def test_what_a_handler_raises_before_a_listener_is_kept_as_what_the_listener_raises(
    bus: EventBus, happened: list[str]
) -> None:
    def raises(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGUSR1, raises)
    bus.on(ConsoleOutput, lambda _event: happened.append("listened"))
    bus.keeps_errors = lambda: happened.append("kept")
    with bus.signals:
        signal.raise_signal(signal.SIGUSR1)
        bus.emit(console(b"x"))
    assert happened == ["kept"]
    assert isinstance(bus.error, KeyboardInterrupt)
