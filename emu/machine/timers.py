"""Time and what waits for it. Deadlines are in ticks of 10 MHz since power-on, whatever the guest writes to `mtime`.

The clock `instructions`: one tick is 10 instructions, whatever they are: a hart of 100 million instructions a second.
`wfi` skips to the next deadline, so the time that the hart has slept is added.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

INSTRUCTIONS_PER_TICK = 10
NANOSECONDS_PER_TICK = 100
NEVER = (1 << 64) - 1
POWER_ON_NANOSECONDS = 1_704_067_200 * 1_000_000_000
"""2024-01-01 00:00 UTC."""

Deadline = Callable[[], int | None]
"""The tick since power-on of a timer's next event, or None."""
Update = Callable[[], None]
"""Lets a timer put its interrupt line to what the time now says."""


class Clock(ABC):
    """What time it is, and everything that waits for it."""

    power_on: int
    """What the real-time clock showed at power-on, in nanoseconds since 1970."""

    instructions_per_tick = 0
    """How many instructions are a tick; 0 when time does not go by them."""
    slept = 0
    """Instructions that could have retired while the hart slept."""

    def __init__(self) -> None:
        self._timers: list[tuple[Deadline, Update]] = []

    def add(self, deadline: Deadline, update: Update) -> None:
        """Wait for a timer."""
        self._timers.append((deadline, update))

    def update(self) -> None:
        """Let every timer look at the time."""
        for _, update in self._timers:
            update()

    @property
    def next_deadline(self) -> int | None:
        """The earliest time that a timer waits for."""
        times = [time for deadline, _ in self._timers if (time := deadline()) is not None]
        return min(times, default=None)

    @abstractmethod
    def time_at(self, instret: int) -> int:
        """Ticks since power-on when so many instructions have retired, which is now."""

    @abstractmethod
    def cycles_at(self, instret: int) -> int:
        """What `cycle` counts."""

    @abstractmethod
    def look_at(self, instret: int) -> int:
        """The `instret` at which the timers are to look at the time again, seen from `instret`."""

    @abstractmethod
    def wait_until(self, time: int, *, instret: int, longest: float | None = None) -> bool:
        """Let the time pass up to then or less, while the hart does nothing; False to stop the machine meanwhile.

        The host is to wait for `longest` seconds at most.
        """

    @abstractmethod
    def save(self) -> int:
        """The state, for `restore`."""

    @abstractmethod
    def restore(self, state: int) -> None:
        """Return to a saved state."""


class InstructionClock(Clock):
    """Time as a function of `instret`.

    >>> clock = InstructionClock()
    >>> clock.time_at(999)
    99
    >>> clock.add(lambda: 500, lambda: None); clock.look_at(1000)
    5000
    >>> clock.wait_until(500, instret=1000); clock.time_at(1000)
    True
    500
    """

    power_on = POWER_ON_NANOSECONDS  # fixed, so that a run can be repeated
    instructions_per_tick = INSTRUCTIONS_PER_TICK

    def time_at(self, instret: int) -> int:
        """See `Clock`."""
        return (instret + self.slept) // INSTRUCTIONS_PER_TICK

    def cycles_at(self, instret: int) -> int:
        """See `Clock`: one a retired instruction."""
        return instret

    def look_at(self, instret: int) -> int:
        """See `Clock`: exactly when the time will have come."""
        time = self.next_deadline
        return NEVER if time is None else max(time * INSTRUCTIONS_PER_TICK - self.slept, instret)

    def wait_until(self, time: int, *, instret: int, longest: float | None = None) -> bool:  # noqa: ARG002
        """See `Clock`: it is that time at once."""
        self.slept = max(self.slept, time * INSTRUCTIONS_PER_TICK - instret)
        return True

    def save(self) -> int:
        """See `Clock`."""
        return self.slept

    def restore(self, state: int) -> None:
        """See `Clock`."""
        self.slept = state


class Comparator:
    """A timer interrupt that a comparator raises: `stimecmp` (Sstc).

    `now` gives `mtime` as the guest sees it, with what it has written there.
    """

    def __init__(self, now: Callable[[], int], line: Callable[[bool], None]) -> None:
        self._now, self._line = now, line
        self.compare = NEVER
        self._raised = False

    @property
    def remaining(self) -> int | None:
        """Ticks until the line rises; None when it is up or never will be."""
        return None if self._raised or self.compare == NEVER else max(0, self.compare - self._now())

    def set(self, compare: int) -> None:
        """Wait for another time; the line falls unless that is past already."""
        self.compare = compare
        self.update()

    def update(self) -> None:
        """Put the line to `mtime >= compare`."""
        level = self.compare != NEVER and self._now() >= self.compare
        if level != self._raised:
            self._raised = level
            self._line(level)

    def save(self) -> tuple[int, bool]:
        """The state, for `restore`."""
        return self.compare, self._raised

    def restore(self, state: tuple[int, bool]) -> None:
        """Return to a saved state; the hart restores the line itself."""
        self.compare, self._raised = state
