"""The host's standard input as the guest's keyboard: a terminal in raw mode, or a file or pipe that is typed."""

import errno
import os
import select
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from stat import S_ISREG
from threading import RLock

from emu.hints import Self

_CHUNK = 4096
_MOST_KEPT = 1 << 16
"""Keys that wait for a guest that does not ask; what is typed beyond is lost, but for the escapes."""
_ESCAPE = 0x01
"""Ctrl-A."""
_INTERRUPT = 0x03
"""Ctrl-C."""
_IMPATIENCE = 2.0
"""Seconds between two Ctrl-C of a user who wants to get out."""
HELP = "\r\nCtrl-A X  leave\r\nCtrl-A C  monitor\r\nCtrl-A Ctrl-A  send Ctrl-A\r\n"
HINT = "\r\nekernel: the guest gets Ctrl-C and has not read it yet; Ctrl-A X leaves, Ctrl-A C opens the monitor\r\n"


class HostInput:
    """Where the guest's input comes from: a file or pipe, or nothing.

    A file's bytes arrive when the guest asks, so a run with them can be repeated exactly. All methods can be called
    from two threads: the one that runs the guest, and the one that waits for news.
    """

    leave = False
    """The user wants to end the run."""
    monitor = False
    """The user wants to talk to the monitor."""
    gone = False
    """The terminal is no more."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._kept = bytearray()
        self._lock = RLock()
        self.ended = descriptor is None
        """Whether nothing more will come."""
        self.changed: Callable[[], None] = lambda: None
        """Called when `watched` was None and is a descriptor again, and when the user wants something."""

    @property
    def watched(self) -> int | None:
        """The descriptor at which news is to be waited for, if there can be any."""
        return None if self.ended or self._kept or self._is_file() else self._descriptor

    def more(self) -> bytes:
        """What there is now."""
        with self._lock:
            if not self._kept:
                self.pull()
            return self._take()

    def has_something(self) -> bool:
        """Whether `more` has anything to give."""
        with self._lock:
            if not self._kept:
                self.pull()
            return bool(self._kept)

    def pull(self) -> None:
        """Read what has come; never waits for a terminal or pipe."""
        with self._lock:
            descriptor = self._descriptor
            if descriptor is None or self.ended or not self._may_read():
                return
            try:
                if not select.select([descriptor], [], [], 0)[0]:
                    return
                keys = os.read(descriptor, _CHUNK)
            except BlockingIOError:  # another process has taken them
                return
            except OSError:  # a directory, a terminal that is gone, or closed by whoever started us
                keys = b""
            self._got(keys)

    def _take(self) -> bytes:
        data = bytes(self._kept)
        self._kept.clear()
        if data:
            self.changed()
        return data

    def _may_read(self) -> bool:
        return True

    def _got(self, keys: bytes) -> None:
        self._kept += keys
        self.ended = not keys

    def _is_file(self) -> bool:
        try:
            return self._descriptor is not None and S_ISREG(os.fstat(self._descriptor).st_mode)
        except OSError:
            return True


class TerminalInput(HostInput):
    """A terminal whose keys all go to the guest, but for Ctrl-A and what follows it, as in QEMU."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._terminal = descriptor
        self._is_raw = self._escaped = False
        self._last_interrupt = self._last_hint = float("-inf")
        self._cooked = termios.tcgetattr(descriptor)

    def __enter__(self) -> Self:
        mode = termios.tcgetattr(self._terminal)
        mode[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
            | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
        )  # fmt: skip
        mode[1] |= termios.OPOST  # a newline of the guest still begins a line
        mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN | termios.ISIG)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        with self._lock:
            self._is_raw = True
            termios.tcsetattr(self._terminal, termios.TCSANOW, mode)
        self.changed()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_raw = False
            try:
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._cooked)
            except termios.error:
                self.gone = True

    @contextmanager
    def cooked(self) -> Iterator[None]:
        """The terminal as it was, for a dialogue."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()

    @property
    def watched(self) -> int | None:
        """See `HostInput`: always, as the user may want to leave."""
        return self._terminal if self._is_raw and not self.ended else None

    def _may_read(self) -> bool:
        return self._is_raw

    def _got(self, keys: bytes) -> None:
        self.ended = self.gone = not keys
        for key in keys:
            if self._goes_to_guest(key) and len(self._kept) < _MOST_KEPT:
                self._kept.append(key)
        if self.gone or self.leave or self.monitor:  # the thread that runs the guest may have read this, for a device
            self.changed()

    def _goes_to_guest(self, key: int) -> bool:
        if not self._escaped:
            self._escaped = key == _ESCAPE
            if key == _INTERRUPT:
                self._interrupt()
            return not self._escaped
        self._escaped = False
        command = chr(key).lower()
        if command == "x":
            self.leave = True
        elif command == "c":
            self.monitor = True
        elif command in "h?":
            self._say(HELP)
        return key == _ESCAPE

    def _interrupt(self) -> None:
        """Ctrl-C is a key like others, until somebody presses it again and again."""
        now, before = time.monotonic(), self._last_interrupt
        self._last_interrupt = now
        if _INTERRUPT in self._kept and now - before < _IMPATIENCE and now - self._last_hint > _IMPATIENCE / 2:
            self._last_hint = now
            self._say(HINT)

    def _say(self, text: str) -> None:
        try:
            os.write(self._terminal, text.encode())
        except OSError:  # open for reading only
            sys.stderr.write(text)
            sys.stderr.flush()


def standard_input() -> HostInput:
    """The keyboard that this process was started with; a terminal only when it may be used (not in the background)."""
    try:
        descriptor = sys.stdin.fileno()
        if os.isatty(descriptor):
            return HostInput(None) if _is_in_the_background(descriptor) else TerminalInput(descriptor)
    except (OSError, ValueError, AttributeError, termios.error):
        return HostInput(None)
    return HostInput(descriptor)


def _is_in_the_background(descriptor: int) -> bool:
    """Whether reading a terminal would stop this process; none that does not control its session ever does."""
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except OSError as error:
        if error.errno == errno.ENOTTY:
            return False
        raise
