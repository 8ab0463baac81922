"""The host's standard input as the guest's keyboard: a terminal in raw mode, or a file or pipe that is typed."""

import os
import select
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from stat import S_ISREG
from typing import Protocol, Self

_CHUNK = 4096
_ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end the process."""
_ESCAPE = 0x01
"""Ctrl-A."""
HELP = b"\r\nCtrl-A X  leave\r\nCtrl-A C  monitor\r\nCtrl-A Ctrl-A  send Ctrl-A\r\n"


class HostInput(Protocol):
    """Where the guest's input comes from."""

    needs_polling: bool
    """Whether there may be news while the guest executes and asks for nothing."""
    leave: bool
    """The user wants to end the run."""
    monitor: bool
    """The user wants to talk to the monitor."""

    def more(self) -> bytes:
        """What is there now; never waits for a terminal or pipe."""

    def wait(self, seconds: float | None) -> bool:
        """Wait for input, at most so long; False when there will be none or the time is up."""


def _raise(error: BaseException) -> None:
    raise error


class _Buffered:
    """What one read brought, kept until the machine takes it."""

    leave = monitor = False

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._kept = b""

    def more(self) -> bytes:
        """See `HostInput`."""
        if not self._kept:
            self._pull(0)
        data, self._kept = self._kept, b""
        return data

    def wait(self, seconds: float | None) -> bool:
        """See `HostInput`; the user's wish to leave or to talk to the monitor counts as input."""
        if not self._something:  # the wish may have been read when the guest asked for more
            self._pull(seconds)
        return self._something

    @property
    def _something(self) -> bool:
        return bool(self._kept) or self.leave or self.monitor

    def _pull(self, seconds: float | None) -> None:
        raise NotImplementedError


class StreamInput(_Buffered):
    """A file or pipe. A file's bytes arrive when the guest asks, so a run with them can be repeated exactly."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        try:
            is_file = S_ISREG(os.fstat(descriptor).st_mode)
            self._ended = False
        except OSError:  # closed by whoever started us: there is nothing to type
            is_file, self._ended = True, True
        self.needs_polling = not is_file

    def _pull(self, seconds: float | None) -> None:
        if self._ended or not select.select([self._descriptor], [], [], seconds)[0]:
            return
        try:
            self._kept = os.read(self._descriptor, _CHUNK)
        except OSError:  # a directory, or a terminal that is gone
            self._kept = b""
        if not self._kept:
            self._ended = True
            self.needs_polling = False


class TerminalInput(_Buffered):
    """A terminal whose keys all go to the guest, but for Ctrl-A and what follows it, as in QEMU."""

    needs_polling = True

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self.end: Callable[[BaseException], None] = _raise
        """Ends the run by an exception, when a signal asks for it: through `__exit__`, which puts the terminal back."""
        self._escaped = False
        self._cooked = termios.tcgetattr(descriptor)

    def __enter__(self) -> Self:
        mode = termios.tcgetattr(self._descriptor)
        mode[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
            | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
        )  # fmt: skip
        mode[1] |= termios.OPOST  # a newline of the guest still begins a line
        mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN | termios.ISIG)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, mode)
        for number in _ENDING:
            signal.signal(number, lambda number, _: self.end(SystemExit(128 + number)))
        return self

    def __exit__(self, *_: object) -> None:
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._cooked)

    @contextmanager
    def cooked(self) -> Iterator[None]:
        """The terminal as it was, for a dialogue."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()

    def _pull(self, seconds: float | None) -> None:
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return
        keys = os.read(self._descriptor, _CHUNK)
        if not keys:
            self.leave = True  # the terminal is gone
        self._kept = bytes(key for key in keys if self._goes_to_guest(key))

    def _goes_to_guest(self, key: int) -> bool:
        if not self._escaped:
            self._escaped = key == _ESCAPE
            return not self._escaped
        self._escaped = False
        command = chr(key).lower()
        if command == "x":
            self.leave = True
        elif command == "c":
            self.monitor = True
        elif command in "h?":
            os.write(self._descriptor, HELP)
        return key == _ESCAPE


def standard_input() -> StreamInput | TerminalInput:
    """The keyboard that this process was started with; a terminal only when it may be used (not in the background)."""
    try:
        descriptor = sys.stdin.fileno()
        if os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp():
            return TerminalInput(descriptor)
    except (OSError, ValueError, AttributeError, termios.error):
        return StreamInput(-1)
    if os.isatty(descriptor):
        return StreamInput(-1)  # reading in the background would stop the process
    return StreamInput(descriptor)
