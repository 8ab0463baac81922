"""Standard output and standard error that nobody takes any more: what is still to be said goes nowhere instead."""

import errno
import select
import termios

from emu.patience import give_up


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
