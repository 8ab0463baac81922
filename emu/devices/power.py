"""How a guest asks the machine to end or to start again."""

from collections.abc import Callable
from enum import Enum


class PowerRequest(Enum):
    """What shall happen; numbered as the reset types of the SBI (version 2.0, section 10.1)."""

    SHUTDOWN = 0
    COLD_REBOOT = 1
    WARM_REBOOT = 2


PowerOff = Callable[[PowerRequest, int], None]
"""Ends or restarts the machine; the number is the exit code, 0 to 65535. The guest executes nothing after it."""
