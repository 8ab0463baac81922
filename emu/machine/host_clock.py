"""The clock `host`: time passes as it does on the host, also while the guest does not run; `wfi` sleeps."""

import time
from collections.abc import Callable

from emu.machine.timers import NANOSECONDS_PER_TICK, NEVER, Clock

_LONGEST = 10_000
"""Ticks that the guest runs at most, by estimate, before a timer that is set looks at the time again: 1 ms."""
_FEWEST = 1_000
"""Instructions that it runs at least."""
_SECOND = 1_000_000_000
_LONGEST_SLEEP = 3600.0
"""Seconds that are slept at once: the host takes no arbitrary number."""
_UNHEARD = 0.1
"""Seconds until a signal is heard that ends no sleep: one that came just before it, or was given to another thread."""

Sleep = Callable[[float], bool]
"""Waits for so many seconds, or less; False when whoever runs the machine wants it to stop."""


def sleep(seconds: float) -> bool:
    """Wait for nothing but the time; less than `seconds` where these are many, as Python's handlers run in between."""
    time.sleep(min(seconds, _UNHEARD))
    return True


class HostClock(Clock):
    """Ticks from the host's monotonic clock; `cycle` counts its nanoseconds, as of a hart of 1 GHz.

    >>> clock = HostClock()
    >>> before = clock.time_at(0); clock.wait_until(before + 100, instret=0); clock.time_at(0) >= before + 100
    True
    True
    """

    def __init__(self) -> None:
        super().__init__()
        self.power_on = time.time_ns()
        self.sleep: Sleep = sleep
        self._start = time.monotonic_ns()
        self._per_tick = 10.0
        self._last: tuple[int, int] | None = None
        """`instret` and nanoseconds when the guest's speed began to be measured."""

    def time_at(self, instret: int) -> int:  # noqa: ARG002
        """See `Clock`."""
        return (time.monotonic_ns() - self._start) // NANOSECONDS_PER_TICK

    def cycles_at(self, instret: int) -> int:  # noqa: ARG002
        """See `Clock`."""
        return time.monotonic_ns() - self._start

    def look_at(self, instret: int) -> int:
        """See `Clock`: an estimate from how fast the guest was since the last look."""
        deadline = self.next_deadline
        if deadline is None:
            return NEVER
        now = time.monotonic_ns()
        before, last = self._last or (instret, now)
        if instret - before >= _FEWEST:
            self._per_tick = max((instret - before) * NANOSECONDS_PER_TICK / max(now - last, 1), 1e-3)
            before, last = instret, now
        self._last = before, last
        ticks = min(max(deadline - self.time_at(instret), 0), _LONGEST)
        return instret + max(int(ticks * self._per_tick), _FEWEST if ticks else 0)

    def wait_until(self, time_: int, *, instret: int, longest: float | None = None) -> bool:
        """See `Clock`."""
        left = self._start + time_ * NANOSECONDS_PER_TICK - time.monotonic_ns()
        most = _LONGEST_SLEEP if longest is None else min(longest, _LONGEST_SLEEP)
        goes_on = left <= 0 or self.sleep(min(left / _SECOND, most))
        self._last = instret, time.monotonic_ns()
        return goes_on

    def save(self) -> int:
        """See `Clock`."""
        return self.time_at(0)

    def restore(self, state: int) -> None:
        """See `Clock`."""
        self._start = time.monotonic_ns() - state * NANOSECONDS_PER_TICK
        self._last = None
