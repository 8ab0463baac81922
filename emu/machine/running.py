"""The loop that runs a machine: slices of execution between the moments at which timers have to be looked at."""

import time
from collections.abc import Callable

from emu.counted import counted
from emu.engine import Stop
from emu.errors import ConfigError
from emu.hart.words import PC
from emu.hints import Protocol
from emu.machine.boot import BootPlan
from emu.machine.config import Outcome, StopReason
from emu.machine.history.effects import carry_out
from emu.machine.history.inputs import way_to
from emu.machine.history.moment import Moment
from emu.machine.htif import Htif
from emu.machine.platform import Platform
from emu.machine.reset import reset
from emu.machine.timers import NEVER
from emu.machine.watches import Watches
from emu.machine.watchpoints import Watchpoints

SLICE = 20_000_000
"""Instructions between two looks at what the host wants."""
_FIRST, _FEWEST = 200_000, 1_000
"""By the host's time: instructions before the first look, and at the least before each."""
_LIMITED, _WATCHED = 0.01, 0.05
"""Seconds between two looks: with a limit of time, and where the console is watched, whose output waits for a look."""
_WAITS = (StopReason.IDLE_FOREVER, StopReason.WANTS_INPUT, StopReason.ASLEEP)
_RESET, _IDLE = (StopReason.RESET, 0), (StopReason.IDLE_FOREVER, 0)
_FINAL = (StopReason.POWERED_OFF, StopReason.RESET)


class Stepped(Protocol):
    """Looks at each instruction."""

    def before(self) -> None:
        """The instruction at pc is about to be executed, if no trap comes first."""

    def after(self) -> None:
        """It has retired; or a trap was entered, or the host has stopped the guest, in front of it."""


class Runner:
    """Runs a platform from one end to the next, resets by the guest included."""

    def __init__(self, platform: Platform, watches: Watches, watchpoints: Watchpoints) -> None:
        self._platform, self._watches, self._watchpoints = platform, watches, watchpoints
        self._power_on = platform.core.save()
        self.plan: BootPlan | None = None
        """What is loaded, and again at a reset."""
        self.resets = platform.config.reboot
        """Whether a guest that asks for a reset starts again, instead of ending the run."""
        self.htif: Htif | None = None
        """The host's end of `tohost` and `fromhost`, for a guest that has them."""
        self._off: tuple[int, int, tuple[StopReason, int]] | None = None
        """Instructions retired and pc when the guest ended the machine, and how."""
        self._step = SLICE
        self._seconds: float | None = None
        self._interrupted = False
        self._inputs = platform.inputs
        self.pause = NEVER
        """At how many instructions retired `paused` is called next."""
        self.paused: Callable[[], object] = lambda: None
        self._target: Moment | None = None
        self.bound = NEVER
        """How many instructions may ever have retired."""
        self.stepped: Stepped | None = None
        """Who wants the guest to stop behind each instruction and each trap."""
        self.spent: Callable[[], object] = lambda: None
        """Called, to raise what it will, when a run has come there."""

    def interrupt(self) -> None:
        """See `Machine.interrupt`."""
        self._interrupted = True
        self._platform.core.engine.stop_after_block()

    def reset(self) -> None:
        """Start again as at power-on, with `instret` counted on; ConfigError while the guest executes."""
        if self._inputs.note("reset"):
            self._reset_again()

    def _reset_again(self) -> None:
        reset(self._platform, self._power_on, self.plan)
        self.off = None

    def load(self, plan: BootPlan) -> None:
        """Put into memory what a plan says, and the hart at its entry."""
        self.plan = plan
        if self._inputs.note("load"):
            self._load_again()

    def _load_again(self) -> None:
        assert self.plan is not None
        platform = self._platform
        self.plan.place(platform.memory, again=False)
        self.plan.enter(platform.core)
        if platform.semihosting:
            platform.semihosting.loaded(self.plan.command_line, self.plan.free)

    def forget(self) -> None:
        """Know nothing of what was loaded, nor of how it ended: the machine has been put to its power-on."""
        self.plan = self.htif = self.off = None
        self._platform.names.clear()
        self._interrupted = False
        self.resets = self._platform.config.reboot

    @property
    def off(self) -> tuple[StopReason, int] | None:
        """How the guest has ended the machine, unless somebody has put the hart elsewhere since."""
        core = self._platform.core
        return self._off[2] if self._off and self._off[:2] == (core.retired_count, core.words[PC]) else None

    @off.setter
    def off(self, ended: tuple[StopReason, int] | None) -> None:
        core = self._platform.core
        self._off = None if ended is None else (core.retired_count, core.words[PC], ended)

    def room(self, count: int, most: int) -> int:
        """How many instructions, at most so many, may be executed from `count` on without Python; 0: none."""
        core, inputs = self._platform.core, self._inputs
        room = self._platform.look_again - count
        if room > most:
            room = most
        if self.pause - count < room:
            room = self.pause - count
        if self.bound - count < room:
            room = self.bound - count
        if (
            room <= 0
            or inputs.horizon is not None
            or inputs.is_travelling
            or self._watches.callbacks
            or self._off is not None
            or self.htif is not None
            or self._interrupted
            or self.stepped is not None
            or core.tables.asks_again
            or not core.engine.can_call_alone
            or not core.knows_no_interrupt()
        ):
            return 0
        return min(SLICE, room)

    def advance(self, moment: Moment, *, timeout: float | None = None) -> Outcome:
        """Execute up to a later moment, or less when something ends the run before."""
        self._target = moment
        try:
            return self.run_to(moment.instret + 1, timeout=timeout)
        finally:
            self._target = None

    def live(self) -> None:
        """Let the inputs have their effect that are due."""
        platform, inputs = self._platform, self._inputs
        while (what := inputs.due(platform.moment)) is not None:
            if what[0] == "load":
                self._load_again()
            elif what[0] == "reset":
                self._reset_again()
            else:
                carry_out(platform, what)
            if platform.ended is not None and platform.ended[0] in _WAITS:
                platform.ended = None

    def run_to(self, limit: int, *, timeout: float | None = None, begun: int | None = None) -> Outcome:
        """Execute until something ends the run, or `limit` instructions have retired since power-on.

        `timeout` is in seconds of the host. `begun`: the deadline of a call that the engine has begun, and left.
        """
        platform, limit = self._platform, min(limit, self.bound)
        deadline = None if timeout is None else time.monotonic() + timeout
        with platform.events.signals:
            if (off := self.off) is not None:
                reason, exit_code = off
            elif begun is None and platform.core.retired_count >= limit:
                reason, exit_code = StopReason.INSTRUCTION_LIMIT, 0
            else:
                watched = None if platform.echo is None else _WATCHED
                self._seconds = watched if deadline is None else _LIMITED
                self._step = SLICE if self._seconds is None else _FIRST
                platform.begin(deadline)
                try:
                    reason, exit_code = self._run_to(limit, begun)
                finally:
                    platform.leave()
                    self._interrupted = False
        if reason is StopReason.INSTRUCTION_LIMIT and platform.core.retired_count >= self.bound:
            self.spent()
        return Outcome(reason, exit_code, platform.core.retired_count)

    def _run_to(self, limit: int, begun: int | None) -> tuple[StopReason, int]:
        platform, bus = self._platform, self._platform.events
        while True:
            if begun is None:
                bus.signals.deliver()  # between two slices all is whole
            if platform.is_asleep:
                platform.waiting()
            if platform.ended is None and not platform.is_asleep:
                self._execute(limit, begun)
                begun = None
            ended = self._ended(limit)
            bus.raise_kept()
            if ended is not None:
                return ended

    def _execute(self, limit: int, begun: int | None) -> None:
        platform, core = self._platform, self._platform.core
        count, start = core.retired_count, time.monotonic()
        htif = self.htif
        core.last_trap = 0
        self._watchpoints.settle()
        if begun is not None:
            stop = core.go_on(begun)
        else:
            self._watches.settle()
            core.tables.settle()
            deadline = min(limit, count + self._step, platform.look_at_timers(), self.pause)
            if self._target is not None or self._inputs.horizon is not None:
                deadline = min(deadline, self._stretch())
            if htif is not None:
                deadline = min(deadline, htif.next_look)
            stop = core.run(deadline) if self.stepped is None else self._run_stepped(self.stepped, deadline)
        self._adapt(core.retired_count - count, time.monotonic() - start)
        asleep = stop is Stop.WAITING or platform.ended == _IDLE
        if htif is not None and (asleep or core.retired_count >= htif.next_look):
            htif.look()
        if stop is Stop.WAITING and platform.ended is None:
            platform.waiting()
        if self._inputs.horizon is not None:
            self.live()
        if core.retired_count >= self.pause:
            self.paused()

    def _run_stepped(self, stepped: Stepped, deadline: int) -> Stop:
        core = self._platform.core
        core.last_trap = core.traps_taken + 1
        stepped.before()
        stop = core.run(min(core.retired_count + 1, deadline))
        stepped.after()
        return stop

    def _adapt(self, executed: int, took: float) -> None:
        """Choose how many instructions come before the next look, from how fast the last were."""
        if self._seconds is not None and (executed >= self._step or took > self._seconds):
            rate = executed / max(took, 1e-6)
            self._step = min(max(int(rate * self._seconds), _FEWEST), 4 * self._step, SLICE)

    def _stretch(self) -> int:
        """How far to run at once towards the moment that is wanted, and the next input; sets the trap to end behind."""
        core, now = self._platform.core, self._platform.moment
        stops = [stop for stop in (self._inputs.next_stop(now),) if stop is not None]
        if self._target is not None:
            stops.append(way_to(now, self._target))
        core.last_trap = max((trap for _, trap in stops), default=0)
        return min((limit for limit, _ in stops), default=NEVER)

    def _ended(self, limit: int) -> tuple[StopReason, int] | None:
        """How the run has ended, if it has; a reset is done."""
        platform, core = self._platform, self._platform.core
        if core.returned:
            platform.ended = StopReason.REACHED, 0
        elif platform.ended is None and (
            core.retired_count >= limit or (self._target is not None and platform.moment >= self._target)
        ):
            platform.ended = StopReason.INSTRUCTION_LIMIT, 0
        elif platform.ended is None and platform.time_is_up:
            platform.ended = StopReason.TIMED_OUT, 0
        elif platform.ended is None and self._interrupted:
            platform.ended = StopReason.INTERRUPTED, 0
        if platform.ended == _RESET and self.resets:
            platform.ended = None
            self.reset()
        if platform.ended is not None and platform.ended[0] in _FINAL:
            self.off = platform.ended
        return platform.ended


def check_count(instructions: int) -> None:
    """Raise ConfigError for a number of instructions that nobody can execute."""
    if instructions < 0:
        raise ConfigError(f"{counted(instructions, 'instruction')} cannot be executed: give 0 or more")
