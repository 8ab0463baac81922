"""The exit statuses of `ekernel` itself."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """Statuses of `ekernel` itself, chosen as timeout(1) and env(1) have them; all others are the guest's."""

    LIMIT = 124
    """A limit that the user set ended the run."""
    FAILED = 125
    """ekernel could not do it: bad input, or a guest that no hart survives."""
    SIGNAL = 128
    """A signal: its number is added, so that Ctrl-C gives 130."""
    OUTPUT_CLOSED = 141
    """Whoever read the output has gone, as in `ekernel run | head`."""
