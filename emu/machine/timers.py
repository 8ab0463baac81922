"""The clock `instructions`: ticks from retired instructions, and the deadlines that they bring.

One tick of the 10 MHz `mtime` is 10 instructions, whatever they are: a hart of 100 million instructions a second.
`wfi` skips to the next deadline, so the time that the hart has slept is added. Deadlines are in ticks since power-on,
whatever the guest writes to `mtime`.
"""

from collections.abc import Callable

INSTRUCTIONS_PER_TICK = 10
NEVER = (1 << 64) - 1

Deadline = Callable[[], int | None]
"""The tick since power-on of a timer's next event, or None."""
Update = Callable[[], None]
"""Lets a timer put its interrupt line to what the time now says."""


class InstructionClock:
    """Time as a function of `instret`, and everything that waits for it.

    >>> clock = InstructionClock()
    >>> clock.time_at(999), clock.instret_at(100)
    (99, 1000)
    >>> clock.skip_to(500, instret=1000); clock.time_at(1000)
    500
    """

    instructions_per_tick = INSTRUCTIONS_PER_TICK

    def __init__(self) -> None:
        self.slept = 0
        """Instructions that could have retired while the hart slept."""
        self._timers: list[tuple[Deadline, Update]] = []

    def time_at(self, instret: int) -> int:
        """Ticks since power-on when so many instructions have retired."""
        return (instret + self.slept) // INSTRUCTIONS_PER_TICK

    def instret_at(self, time: int) -> int:
        """The first `instret` at which the tick is `time`; less than the present one for the past."""
        return time * INSTRUCTIONS_PER_TICK - self.slept

    def skip_to(self, time: int, *, instret: int) -> None:
        """Sleep until `time`; does nothing when it is past."""
        self.slept = max(self.slept, time * INSTRUCTIONS_PER_TICK - instret)

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

    def save(self) -> int:
        """The state, for `restore`."""
        return self.slept

    def restore(self, state: int) -> None:
        """Return to a saved state."""
        self.slept = state


class Comparator:
    """A timer interrupt that a comparator raises: the SBI's timer, and `stimecmp` (Sstc).

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
