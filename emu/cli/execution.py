"""The run loop of the command line: limits, the keyboard and the monitor around the machine's own loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from emu.cli.keyboard import HostInput
from emu.machine import Machine, Outcome, StopReason
from emu.machine.host_clock import HostClock

_LOOK_EVERY = 0.05
"""Seconds of the host between two looks at the keyboard and at the time."""
_FEWEST, _FIRST, _MOST = 1_000, 200_000, 50_000_000
"""Instructions between two looks."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run from the command line ended."""

    outcome: Outcome
    timed_out: bool = False
    """`--timeout` has passed."""
    left: bool = False
    """The user has left, with Ctrl-A X or in the monitor."""


class Execution:
    """Runs a machine with a keyboard until it ends, a limit is reached or the user leaves."""

    def __init__(
        self, machine: Machine, keyboard: HostInput, *, max_instructions: int | None, timeout: float | None
    ) -> None:
        self._machine = machine
        self._keyboard = keyboard
        self._limit = None if max_instructions is None else machine.instret + max_instructions
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._step = _FIRST
        self._flush: Callable[[], None] = lambda: None
        machine.platform.keyboard.source = keyboard.more
        if isinstance(machine.platform.clock, HostClock):
            machine.platform.clock.sleep = self._sleep

    def run(self, monitor: Callable[[], bool], flush: Callable[[], None]) -> Ending:
        """Run to the end. `monitor` is called when the user asks for it, and says whether to go on.

        `flush` shows the guest's output before the host waits.
        """
        self._flush = flush
        while True:
            outcome = self._some()
            if self._keyboard.monitor:
                self._keyboard.monitor = False
                if not monitor():
                    return Ending(outcome, left=True)
            if self._keyboard.leave:
                return Ending(outcome, left=True)
            if outcome.reason in (StopReason.INSTRUCTION_LIMIT, StopReason.ASLEEP):
                if self._limit is not None and outcome.instructions >= self._limit:
                    return Ending(outcome)
            elif outcome.reason is StopReason.WANTS_INPUT:
                if self._machine.platform.keyboard.ended:
                    return Ending(outcome)
                self._machine.platform.keyboard.ended = not self._wait(flush) and not self._time_is_up()
            elif outcome.reason is not StopReason.IDLE_FOREVER or not self._input_comes(flush):
                return Ending(outcome, timed_out=self._time_is_up() and outcome.reason is StopReason.IDLE_FOREVER)
            if self._time_is_up():
                return Ending(outcome, timed_out=True)
            if self._keyboard.needs_polling:
                flush()
            self._machine.offer_input()

    def _some(self) -> Outcome:
        """Run until the next look; without anything to look at, to the end."""
        left = None if self._limit is None else self._limit - self._machine.instret
        if not self._keyboard.needs_polling and self._deadline is None:
            return self._machine.run(max_instructions=left)
        step = self._step if left is None else min(left, self._step)
        start = time.monotonic()
        outcome = self._machine.run(max_instructions=step)
        if outcome.reason is StopReason.INSTRUCTION_LIMIT:
            factor = _LOOK_EVERY / max(time.monotonic() - start, _LOOK_EVERY / 8)
            self._step = min(max(int(step * factor), _FEWEST), _MOST)
        return outcome

    def _input_comes(self, flush: Callable[[], None]) -> bool:
        """Wait for the keyboard when only that can wake the guest."""
        return self._machine.waits_for_input and self._wait(flush)

    def _wait(self, flush: Callable[[], None]) -> bool:
        """Wait for the keyboard; False when there will be nothing or the time is up."""
        flush()
        return self._keyboard.wait(None if self._deadline is None else max(0.0, self._deadline - time.monotonic()))

    def _sleep(self, seconds: float) -> bool:
        """The guest waits for a deadline of the host's clock, or for the keyboard; see `HostClock.sleep`."""
        self._flush()
        if self._deadline is not None:
            seconds = min(seconds, max(0.0, self._deadline - time.monotonic()))
        keyboard, start = self._keyboard, time.monotonic()
        if self._machine.waits_for_input:
            if keyboard.wait(seconds):
                self._machine.offer_input()
            else:  # perhaps because nothing more will be typed
                time.sleep(max(0.0, start + seconds - time.monotonic()))
        elif keyboard.needs_polling:  # what is typed waits until the guest asks for it, but the user may want to leave
            time.sleep(min(seconds, _LOOK_EVERY))
            keyboard.wait(0)
        else:
            time.sleep(seconds)
        return not (keyboard.leave or keyboard.monitor or self._time_is_up())

    def _time_is_up(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline
