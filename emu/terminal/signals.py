"""Signals that end the process: they are handled here, and nowhere else."""

import signal
import sys
from _thread import get_ident
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType

from emu.hints import Self

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGXCPU")
_ENDING = tuple(number for name in _NAMES if (number := getattr(signal, name, None)) is not None)
"""What ends a process that does not care, without being a crash of it, as far as the host has it."""
_AGAIN = 0.1
"""Seconds after which what has missed a signal gets another one."""
_PLAIN = (signal.SIG_DFL, signal.default_int_handler)


class Ended(BaseException):
    """A signal ends the process; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Signals:
    """While it is entered, a signal raises `Ended` in the main thread, or is told to whoever has asked for that.

    What was ignored before, as under nohup(1), stays ignored.
    """

    def __init__(self) -> None:
        self.came: int | None = None
        """The signal that came while `noted` was set."""
        self.noted = False
        """Whether the first signal is only noted in `came`: work goes on that cannot be left at just any moment."""
        self._insisting = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        self._main = get_ident()
        for number in _ENDING:
            if signal.getsignal(number) in _PLAIN:
                with suppress(ValueError):  # no other thread than the first may set handlers
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what `signal` has returned

    def handles(self, number: int) -> bool:
        """Whether this signal's handler is ours."""
        return number in self._before

    def insist(self, number: int | None) -> None:
        """End what does not listen, by this signal or any in the main thread; called from another one."""
        if number is None:
            number = next(iter(self._before), None)
        if number is not None:
            self._insisting = True
            signal.pthread_kill(self._main, number)

    def within(self, seconds: float, write: Callable[[], object]) -> bool:
        """Whether `write` has ended in so many seconds; else it is left where it stands, as by a signal."""
        if not self.handles(signal.SIGALRM):
            write()
            return True
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
            try:
                write()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Ended:
            signal.setitimer(signal.ITIMER_REAL, 0)
            return False
        return True

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if not self.noted or self._insisting or self.came is not None:
            self._insisting = False
            raise Ended(number)
        self.came = number


def swallow_lost_endings() -> Callable[[], None]:
    """Say nothing of an `Ended` that came where no exception can pass, as it comes again; returns what undoes that."""
    before = sys.unraisablehook

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, Ended):
            before(unraisable)

    def undo() -> None:
        sys.unraisablehook = before

    sys.unraisablehook = hook
    return undo
