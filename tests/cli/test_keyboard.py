"""The keyboard behind the command line, where no run shows it reliably."""

import os
import pty
import select
import signal
import threading
from collections.abc import Iterator

import pytest

from emu.terminal.attention import Attention
from emu.terminal.keyboard import HostInput, TerminalInput
from emu.terminal.signals import Ended, Signals


@pytest.fixture
def terminal() -> Iterator[tuple[int, TerminalInput]]:
    ours, theirs = pty.openpty()
    with TerminalInput(theirs) as keyboard:
        yield ours, keyboard
    os.close(ours)
    os.close(theirs)


def typed(ours: int, keyboard: TerminalInput, keys: bytes) -> None:
    os.write(ours, keys)
    assert keyboard.watched is not None
    assert select.select([keyboard.watched], [], [], 60)[0]
    keyboard.pull()


def test_a_wish_that_came_with_other_keys_is_known_though_the_guest_has_not_asked(
    terminal: tuple[int, TerminalInput],
) -> None:
    ours, keyboard = terminal
    typed(ours, keyboard, b"a\x01x")
    assert keyboard.leave
    assert keyboard.more() == b"a"


def test_keys_that_nobody_reads_are_kept_up_to_a_bound_and_the_escape_still_works(
    terminal: tuple[int, TerminalInput],
) -> None:
    ours, keyboard = terminal
    for _ in range(80):
        typed(ours, keyboard, b"k" * 1000)
    typed(ours, keyboard, b"\x01c")
    assert keyboard.monitor
    assert len(keyboard.more()) <= 1 << 16


def test_a_wish_that_the_guests_own_thread_has_read_for_a_device_interrupts_it(
    terminal: tuple[int, TerminalInput], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, keyboard = terminal
    monkeypatch.setattr(TerminalInput, "watched", None)  # as if the other thread had not been quick enough
    interrupted = threading.Event()
    with Attention(keyboard, Signals(), interrupt=interrupted.set, has_output=None, timeout=None):
        os.write(ours, b"\x01c")
        assert select.select([keyboard._terminal], [], [], 60)[0]
        keyboard.pull()
        assert interrupted.wait(60)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGQUIT"])
def test_a_signal_that_has_not_interrupted_a_call_that_blocks_ends_it(name: str) -> None:
    """It came just before the call, or the host has given it to another thread: no handler runs meanwhile."""
    nothing, never = os.pipe()
    number = signal.Signals[name]
    keyboard, signals = HostInput(nothing), Signals()
    with signals, Attention(keyboard, signals, interrupt=int, has_output=None, timeout=None):
        given = threading.Timer(0.1, signal.raise_signal, [number])  # the call of another thread gives it to that
        given.start()
        with pytest.raises(Ended) as ended:
            os.read(nothing, 1)
        given.join()
    os.close(nothing)
    os.close(never)
    assert ended.value.number == number


def test_a_terminal_is_not_read_during_a_dialogue(terminal: tuple[int, TerminalInput]) -> None:
    ours, keyboard = terminal
    with keyboard.cooked():
        os.write(ours, b"info\n")
        assert keyboard.watched is None
        assert keyboard.more() == b""
    assert keyboard.more() == b"info\n"


def test_a_pipe_is_watched_until_something_waits_there_for_the_guest() -> None:
    theirs, ours = os.pipe()
    keyboard = HostInput(theirs)
    rooms: list[None] = []
    keyboard.changed = lambda: rooms.append(None)
    assert keyboard.watched == theirs
    os.write(ours, b"text")
    keyboard.pull()
    assert keyboard.watched is None
    assert keyboard.more() == b"text"
    assert (keyboard.watched, len(rooms)) == (theirs, 1)
    os.close(ours)
    keyboard.pull()
    assert (keyboard.ended, keyboard.watched, keyboard.more()) == (True, None, b"")
    os.close(theirs)


@pytest.mark.parametrize("descriptor", [None, 1000])
def test_no_input_is_an_input_that_has_ended(descriptor: int | None) -> None:
    keyboard = HostInput(descriptor)
    assert keyboard.more() == b""
    assert keyboard.watched is None
