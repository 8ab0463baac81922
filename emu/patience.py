"""Writes that may wait for a reader, until the user wants to leave."""

import os
import stat
from collections.abc import Callable

from emu.hints import BinaryIO

Work = Callable[[], object]


def give_up(descriptor: int) -> None:
    """Let what is written there from here on go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


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
