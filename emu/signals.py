"""Signals held back while a guest executes: their handlers run where the machine is whole, and may raise there."""

import _signal  # type: ignore[import-not-found, unused-ignore]  # typeshed has no stub of it
import signal
import threading
from collections.abc import Callable
from types import FrameType

from emu.hints import Any

# What `signal` wraps in enumerations, which would take most of the time of a short run.
_HANDLER_OF: Callable[[int], Any] = _signal.getsignal
_SET_HANDLER: Callable[[int, Any], Any] = _signal.signal
_NUMBERS = tuple(sorted(int(number) for number in signal.valid_signals()))

Handler = Callable[[int, FrameType | None], Any]


def _nobody() -> None:
    pass


class HeldSignals:
    """While it is entered, the handlers that Python has for signals wait for `deliver`, or for the end.

    A handler may raise an exception, as Ctrl-C does, between any two instructions of Python: in the middle of a trap,
    or in a callback of the engine, where it would be lost. So each is replaced for as long by one that takes a note.
    Entered in another thread than the first, which alone runs handlers, it does nothing. May be entered again inside.

    >>> held, heard = HeldSignals(), []
    >>> before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append("handled"))
    >>> with held:
    ...     signal.raise_signal(signal.SIGTERM)
    ...     heard.append("whole")
    >>> heard
    ['whole', 'handled']
    >>> _ = signal.signal(signal.SIGTERM, before)
    """

    def __init__(self) -> None:
        self.is_open = False
        """Whether handlers run at once all the same: while code of the user's executes, which can take long."""
        self.came: Callable[[], None] = _nobody
        """Called when one has to wait: whoever executes is to reach a place for `deliver` soon."""
        self._depth = 0
        self._is_holding = False
        self._waiting: list[tuple[int, FrameType | None]] = []
        self._replaced: list[int] = []
        self._handlers: dict[int, Handler] = {}

    @property
    def are_waiting(self) -> bool:
        """Whether a signal has come that `deliver` is to hand on."""
        return bool(self._waiting)

    def __enter__(self) -> None:
        if not self._depth and threading.get_ident() == threading.main_thread().ident:
            try:
                self._is_holding = True
                self._replace()
            except BaseException:  # a handler that was not replaced yet has raised
                self._is_holding = False
                self._put_back()
                raise
        self._depth += 1  # no handler can raise here any more

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth and self._is_holding:
            self._is_holding = False  # from here on those that are still replaced are called at once
            self._put_back()

    def _replace(self) -> None:
        for number, handler in zip(_NUMBERS, map(_HANDLER_OF, _NUMBERS), strict=True):
            if callable(handler):
                if handler != self._handle:  # it may be left from a handler that has raised in `_put_back`
                    self._handlers[number] = handler
                self._replaced.append(number)
                _SET_HANDLER(number, self._handle)

    def deliver(self) -> None:
        """Run the handlers of what has come; raises what they raise, and those behind it run later."""
        was_open = self.is_open
        while self._waiting:
            number, frame = self._waiting.pop(0)
            try:
                self.is_open = True
                self._handlers[number](number, frame)
                self.is_open = was_open
            except BaseException:
                self.is_open = was_open
                raise

    def open_for(self, work: Callable[..., object], *arguments: object) -> None:
        """Do what can take long, such as a write to a full pipe or a listener: handlers run at once, and may raise."""
        was_open = self.is_open
        try:
            self.is_open = True
            if self.are_waiting:  # one has come just before: what takes long would not know of it
                self.deliver()
            work(*arguments)
        finally:
            self.is_open = was_open

    def _put_back(self) -> None:
        try:
            while self._replaced:
                number = self._replaced[-1]
                if _HANDLER_OF(number) == self._handle:  # else the user has set another one meanwhile
                    _SET_HANDLER(number, self._handlers[number])
                self._replaced.pop()
            self.deliver()
        finally:
            if self._replaced or self._waiting:  # a handler has raised
                self._put_back()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_open or not self._is_holding:
            self._handlers[number](number, frame)
        else:
            self._waiting.append((number, frame))
            self.came()
