"""The run of a guest in front of a user: to its end, to a limit, or until the user or a signal ends it."""

from collections.abc import Callable

from emu.errors import MachineError
from emu.events import ConsoleOutput
from emu.hints import TYPE_CHECKING
from emu.machine import Machine, Outcome, StopReason
from emu.machine.config import HOST_CLOCK
from emu.terminal.attention import Attention
from emu.terminal.ending import Cause, Ending
from emu.terminal.keyboard import HostInput
from emu.terminal.signals import Ended, Signals

if TYPE_CHECKING:
    from emu.terminal.moment import Moment

if TYPE_CHECKING:  # loaded by whoever asks for it
    from emu.debug.gdb import GdbServer

_LONGEST = 3600.0
"""Seconds of one wait; who waits for longer is asked again."""


class Execution:
    """Runs a machine with a keyboard.

    `monitor` is called when the user asks for it, and says whether to go on; `flush` hands on the guest's output.
    """

    def __init__(
        self,
        machine: Machine,
        keyboard: HostInput,
        signals: Signals,
        *,
        monitor: Callable[[], bool],
        flush: Callable[[], None],
        max_instructions: int | None,
        until_console: str | None = None,
        debugger: "GdbServer | None" = None,
        moment: "Moment | None" = None,
    ) -> None:
        self._debugger, self._moment = debugger, moment
        self._machine, self._keyboard, self._signals = machine, keyboard, signals
        self._monitor, self._flush = monitor, flush
        self._limit = None if max_instructions is None else machine.instret + max_instructions
        self._shown = False
        if until_console:
            self._awaited, self._tail = until_console.encode("utf-8", "surrogateescape"), b""
            machine.on(ConsoleOutput, self._look_for_text)

    def run(self, *, timeout: float | None = None, has_output: Callable[[], bool] | None = None) -> Ending:
        """Run to the end. `has_output` says whether `flush` is worth calling now and then."""
        platform = self._machine.platform
        self._attention = Attention(
            self._keyboard, self._signals, interrupt=self._interrupt, has_output=has_output, timeout=timeout
        )
        platform.keyboard.source = self._keyboard.more
        if platform.config.clock == HOST_CLOCK:
            from emu.machine.host_clock import HostClock

            assert isinstance(platform.clock, HostClock)
            platform.clock.sleep = self._sleep
        with self._attention:
            try:
                ending = self._run()
                self._attention.relax()
            except Ended as end:
                ending = self._left(end)
                self._relax()
        return ending

    def _relax(self) -> None:
        while True:
            try:
                return self._attention.relax()
            except Ended:
                continue

    def _left(self, end: Ended) -> Ending:
        """How a run has ended that an exception has left."""
        return self._wish() or Ending(Cause.SIGNAL, signal=end.number)

    def _interrupt(self) -> None:
        """Make the machine, or whoever waits for the debugger, look at the news; from another thread."""
        self._machine.interrupt()
        if self._debugger is not None:
            self._debugger.wake()

    def _look_for_text(self, event: ConsoleOutput) -> None:
        text = self._tail + event.data
        if self._awaited in text:
            self._shown = True
            self._machine.interrupt()
        self._tail = text[-len(self._awaited) :]

    def _run(self) -> Ending:
        machine, attention, debugger = self._machine, self._attention, self._debugger
        outcome: Outcome | None = None
        while True:
            attention.acknowledge()
            ending = self._wish()
            if ending is not None:
                return ending
            if self._keyboard.monitor:
                self._keyboard.monitor = False
                if not self._monitor():
                    return Ending(Cause.LEFT)
            if debugger is not None:
                self._flush()
                if not debugger.talk(outcome):
                    return Ending(Cause.LEFT)
                outcome = None
                if debugger.holds:
                    continue
            machine.offer_input()
            outcome = self._run_on()
            ending = None if outcome is None or self._is_the_debuggers(outcome) else self._ending(outcome)
            if ending is not None:
                if debugger is not None:
                    debugger.ended(outcome)
                return ending
            self._flush()

    def _run_on(self) -> Outcome | None:
        """Run until something ends that; None when it goes on: a moment has come, or a debugger looks at an error."""
        machine = self._machine
        limit = None if self._limit is None else self._limit - machine.instret
        moment = self._moment
        try:
            return machine.run(limit) if moment is None or moment.has_come else moment.run(limit)
        except MachineError as error:
            if self._debugger is None or not self._debugger.is_attached:
                raise
            self._debugger.stopped_by_error(error)
            return None

    def _is_the_debuggers(self, outcome: Outcome) -> bool:
        """Whether it is the debugger's to say how to go on."""
        if self._debugger is None or not self._debugger.is_attached:
            return False
        return outcome.reason in (StopReason.REACHED, StopReason.IDLE_FOREVER)

    def _ending(self, outcome: Outcome) -> Ending | None:
        """How the run has ended; None when it goes on, or when a wish will end it."""
        keyboard = self._machine.platform.keyboard
        if self._shown and outcome.reason not in (StopReason.POWERED_OFF, StopReason.RESET):
            return Ending(Cause.SHOWN)
        if outcome.reason in (StopReason.INTERRUPTED, StopReason.ASLEEP):
            return None
        if outcome.reason is StopReason.INSTRUCTION_LIMIT:
            return Ending(Cause.LIMIT, outcome)
        if outcome.reason is StopReason.WANTS_INPUT and not keyboard.ended:
            keyboard.ended = not self._typing_comes()
            return None
        if outcome.reason is StopReason.IDLE_FOREVER and self._machine.waits_for_input and self._typing_comes():
            return None
        return Ending(Cause.GUEST, outcome)

    def _wish(self) -> Ending | None:
        """What ends the run that is not the guest."""
        if self._keyboard.leave:
            return Ending(Cause.LEFT)
        if self._signals.came is not None:
            return Ending(Cause.SIGNAL, signal=self._signals.came)
        if self._keyboard.gone:
            return Ending(Cause.HANGUP)
        return Ending(Cause.TIMEOUT) if self._attention.timed_out else None

    def _typing_comes(self) -> bool:
        """Wait until something is typed, or there is a wish; False when nothing more can be typed."""
        self._flush()
        while True:
            self._attention.acknowledge()
            if self._keyboard.has_something() or self._attention.wants_the_run:
                return True
            if self._keyboard.ended:
                return False
            self._attention.wait()

    def _sleep(self, seconds: float) -> bool:
        """The guest waits for a deadline of the host's clock, or for the keyboard; see `HostClock.sleep`."""
        attention = self._attention
        self._flush()
        attention.acknowledge()
        if not attention.wants_the_run:
            if self._machine.waits_for_input and self._keyboard.has_something():
                self._machine.offer_input()
            else:
                attention.wait(min(seconds, _LONGEST))
        return not attention.wants_the_run
