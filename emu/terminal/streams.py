"""Standard output and standard error that nobody takes any more: what is still to be said goes nowhere instead."""

import errno
import os
import select
import stat
import termios
from collections.abc import Callable

from emu.hints import BinaryIO

Work = Callable[[], object]


def give_up(descriptor: int) -> None:
    """Let what is written there from here on go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def give_up_lost_terminal() -> None:
    """Let what is still to be said go nowhere when the terminal is no more, instead of failing to say it."""
    for descriptor in (1, 2):
        try:
            termios.tcgetattr(descriptor)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                give_up(descriptor)


def takes(descriptor: int, seconds: float) -> bool:
    """Whether something can be written there, or will within so many seconds."""
    return bool(select.select([], [descriptor], [], seconds)[1])


class Patience:
    """Writes to a stream wait for whoever reads it, until the user wants to leave."""

    def __init__(self, stream: BinaryIO, open_for: Callable[[Work], object] = lambda work: work()) -> None:
        """`open_for` does what may wait so that a signal can end it."""
        self._stream, self._open_for = stream, open_for
        self._within: Callable[[Work], bool] | None = None

    @property
    def is_short(self) -> bool:
        """Whether the user wants to leave, and it is no file."""
        return self._within is not None

    def hurry(self, within: Callable[[Work], bool]) -> None:
        """Give up a pipe as soon as `within` says that a write was left: nobody reads it."""
        if not stat.S_ISREG(os.fstat(self._stream.fileno()).st_mode):
            self._within = within

    def do(self, write: Work) -> None:
        """Write there."""
        if self._within is None:
            self._open_for(write)
        elif not self._within(write):
            give_up(self._stream.fileno())
