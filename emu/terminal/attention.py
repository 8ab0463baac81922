"""A thread that waits for keys, signals and the end of the time, and then gets the guest's run interrupted."""

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from emu.hints import Self
from emu.terminal.keyboard import HostInput
from emu.terminal.signals import Signals, swallow_lost_endings

_AGAIN = 0.01
"""Seconds after which a machine that has not listened is interrupted again."""
_PATIENCE = 0.15
"""Seconds after which work that the user wants to leave is left by an exception: a write that blocks, for example."""
_SHOW_EVERY = 0.05
"""Seconds between two looks at whether there is output to hand on."""

_LONGEST = 3600.0


class Attention:
    """While it is entered, `interrupt` is called for news until `acknowledge` is.

    News are keys, signals, the end of the time, and that `has_output` says that there is output to hand on.
    """

    def __init__(
        self,
        keyboard: HostInput,
        signals: Signals,
        *,
        interrupt: Callable[[], None],
        has_output: Callable[[], bool] | None,
        timeout: float | None,
    ) -> None:
        self._keyboard, self._signals = keyboard, signals
        self._interrupt, self._has_output = interrupt, has_output
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._news = threading.Event()
        self._since = time.monotonic()
        self._closing = False
        self._relaxing = threading.Lock()
        self._is_relaxed = False
        self._signal: int | None = None
        """A signal that ends the process and has come, whether or not the main thread knows of it by now."""
        self.timed_out = False
        """Whether the time is up."""

    def __enter__(self) -> Self:
        self._heard, self._bell = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._heard, False)
        self._keyboard.changed = self._ring
        # A signal's handler runs between two instructions of Python, so not before the hart is left; the byte that it
        # writes comes at once.
        self._signals.noted = True
        self._in_main = threading.current_thread() is threading.main_thread()
        if self._in_main:
            self._wakeup = signal.set_wakeup_fd(self._bell, warn_on_full_buffer=False)
        self._undo = swallow_lost_endings()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._signals.noted = False
        self._closing = True
        self._ring()
        self._thread.join()
        self._undo()
        if self._in_main:
            signal.set_wakeup_fd(self._wakeup)
        self._keyboard.changed = lambda: None
        os.close(self._heard)
        os.close(self._bell)

    @property
    def wants_to_leave(self) -> bool:
        """Whether the run is to end."""
        return self._keyboard.leave or self._keyboard.gone or self.timed_out or self._signals.came is not None

    @property
    def wants_the_run(self) -> bool:
        """Whether the run is to end or to stop for the monitor."""
        return self.wants_to_leave or self._keyboard.monitor

    def acknowledge(self) -> None:
        """Whoever was interrupted looks at the news now."""
        self._news.clear()

    def relax(self) -> None:
        """Leave nothing by an exception any more; raises `Ended` where that has just been done."""
        with self._relaxing:
            self._is_relaxed = True

    def wait(self, seconds: float | None = None) -> None:
        """Wait for news, at most so long."""
        self._news.wait(seconds)

    def _ring(self) -> None:
        with suppress(BlockingIOError):  # it rings already
            os.write(self._bell, b"\0")

    def _listen(self) -> None:
        while not self._closing:
            watched = self._keyboard.watched
            descriptors = [self._heard] if watched is None else [self._heard, watched]
            try:
                ready = select.select(descriptors, [], [], self._pause())[0]
            except OSError:  # the descriptor was closed
                ready = descriptors
            if self._heard in ready:
                self._hear()
            if watched in ready:
                self._keyboard.pull()
                self._tell()
            if self.wants_the_run:
                self._tell()
            if self._deadline is not None and not self.timed_out and time.monotonic() >= self._deadline:
                self.timed_out = True
                self._tell()
            if self._has_output is not None and self._has_output():
                self._tell()
            if self._news.is_set() and not self._closing:
                self._interrupt()
                if self.wants_to_leave or self._signal is not None:
                    self._insist()

    def _insist(self) -> None:
        with self._relaxing:
            if not self._is_relaxed and time.monotonic() - self._since > _PATIENCE:
                self._since = time.monotonic()
                self._signals.insist(self._signal)

    def _hear(self) -> None:
        # A system call that the main thread enters just after a signal is not interrupted by it, nor is one where the
        # host has given the signal to another thread: the handler would wait for its end.
        numbers = os.read(self._heard, 4096).replace(b"\0", b"")
        self._signal = next(filter(self._signals.handles, numbers), self._signal)
        if numbers:
            self._tell()

    def _tell(self) -> None:
        if not self._news.is_set():
            self._since = time.monotonic()
        self._news.set()

    def _pause(self) -> float | None:
        """How long nothing is to be done but wait for descriptors."""
        times = [_AGAIN] if self._news.is_set() else []
        if self._has_output is not None:
            times.append(_SHOW_EVERY)
        if self._deadline is not None and not self.timed_out:
            times.append(min(max(0.0, self._deadline - time.monotonic()), _LONGEST))
        return min(times, default=None)
