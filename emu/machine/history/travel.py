"""The way from one moment of a run to another: back to a checkpoint, and forward by living the same again."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emu.errors import ConfigError, MachineError
from emu.events import StateRestored
from emu.machine.boot import BootPlan
from emu.machine.config import HOST_CLOCK, Outcome, StopReason
from emu.machine.history.checkpoints import Checkpoint, Checkpoints
from emu.machine.history.inputs import Input
from emu.machine.history.moment import Moment
from emu.machine.platform import Platform
from emu.machine.running import Runner
from emu.machine.snapshots import Follower, Snapshot, restore, take
from emu.machine.timers import NEVER

_NEAR = (2_000_000, 100_000, 2_000)
"""How many instructions before its aim a journey leaves checkpoints: the next one is likely to end there."""
_FINAL = (StopReason.POWERED_OFF, StopReason.RESET)

_APART = 4_000_000
"""Instructions between two checkpoints that a journey leaves where there are none: the next may end anywhere."""
_STRETCH = 6_000_000
"""Instructions that are searched at once, where checkpoints are close."""
_SHORT = 1_000
"""Instructions of the first stretch where what is looked for is likely to be near."""
_PATIENCE = 0.05
"""Seconds between two looks at whether a journey is to go on."""

Search = Callable[[Callable[[], None]], Callable[[], "int | None"]]
Stop = Callable[[], bool]
"""Whether whoever waits for the journey has lost patience."""


class Interrupted(Exception):
    """A search was given up; the machine is where it was."""


def _never() -> bool:
    return False


class History:
    """All moments of a machine's run, from its power-on or from the last snapshot that it was put to."""

    def __init__(self, platform: Platform, runner: Runner, followers: list[Follower]) -> None:
        """At power-on, when nothing is in memory yet."""
        self._platform, self._runner, self._followers = platform, runner, followers
        self._inputs = platform.inputs
        self._checkpoints = Checkpoints()
        self._inputs.on_cut = self._cut
        self._obstacle: str | None = None
        self._power_on: Snapshot | None = None
        self._base: Snapshot | None = None
        self._end = Moment(0, 0)
        self.marks: dict[str, Moment] = {}
        """Moments with a name."""
        if platform.config.clock == HOST_CLOCK:
            self._obstacle = "time that passes by the host's clock does not come again; use clock instructions"
            return
        try:
            self._base = self._power_on = take(platform, (), at_power_on=True)
        except ConfigError as error:
            self._obstacle = str(error)

    def begin_at(self, snapshot: Snapshot) -> None:
        """The machine was put to a snapshot: nothing before that is known any more."""
        self._inputs.forget()
        self._checkpoints.clear()
        self._base, self._end = snapshot, self._platform.moment
        self.marks.clear()
        if self._runner.pause != NEVER:
            self._runner.pause = NEVER
            self.follow()

    @property
    def plan(self) -> BootPlan | None:
        """What was loaded."""
        return self._runner.plan

    def foresee(self, plan: BootPlan, inputs: list[Input], end: Moment) -> None:
        """At power-on: know the whole of a run that another machine has lived."""
        self._runner.plan = plan
        self._inputs.entries[:] = inputs
        self._inputs.position, self._inputs.horizon, self._end = 0, end, end
        self._runner.live()

    # Moments.

    @property
    def power_on(self) -> Snapshot:
        """The machine before anything was loaded. Raises ConfigError for one that cannot go back in time."""
        if self._power_on is None:
            raise ConfigError(f"this machine cannot go back in time: {self._obstacle}")
        return self._power_on

    @property
    def now(self) -> Moment:
        """Where the machine is."""
        return self._platform.moment

    @property
    def begin(self) -> Moment:
        """The first moment that there is a way to."""
        base = self._usable_base()
        return Moment(base.instret, base.traps)

    @property
    def end(self) -> Moment:
        """The last moment that was lived."""
        return max(self._end, self.now)

    @property
    def is_followed(self) -> bool:
        """Whether checkpoints are taken."""
        return len(self._checkpoints) > 0

    def follow(self) -> None:
        """Take checkpoints from now on, where the machine can be saved at all."""
        if self.is_followed or self._obstacle is not None or not self._inputs.is_whole:
            return
        base = self._usable_base()
        self._checkpoints.add(Checkpoint(Moment(base.instret, base.traps), base, 0))
        self._runner.paused = self._paused
        self._schedule()

    # Journeys.

    def go(self, target: Moment | int, stop: Stop = _never) -> None:
        """Put the machine to a moment, or to where so many instructions have just retired.

        Raises ConfigError for a moment outside of what is known, Interrupted when `stop` says so.
        """
        wanted = Moment(target, -1) if isinstance(target, int) else target
        if not self.begin.instret <= wanted.instret <= self.end.instret:
            raise ConfigError(
                f"instruction {wanted.instret:,} is not in this run's history, which goes from {self.begin.instret:,} "
                f"to {self.end.instret:,}"
            )
        if isinstance(target, int) and target == self.begin.instret:
            wanted = self.begin
        if wanted != self.now:
            with self._journey():
                self._go(wanted, stop)

    def back(self, stop: Stop = _never) -> bool:
        """Take back one instruction, or one trap; False where history begins."""
        self.follow()
        if self.now <= self.begin:
            return False
        with self._journey():
            self._go(self._before(self.now, stop), stop)
        return True

    def arrive(self, moment: Moment) -> None:
        """Live up to a later moment, as a run that listeners see."""
        self._advance(moment, _never)

    def forward(self) -> Outcome:
        """Execute one instruction, or enter one trap."""
        now = self.now
        return self._runner.advance(Moment(now.instret, now.traps + 1))

    def last(self, search: Search, stop: Stop = _never, *, near: bool = False) -> Moment | None:
        """Go back to the last moment before now that `search` finds; None, and no move, where there is none.

        `search` is called at the beginning of each stretch of time, with what to call at a moment that is looked for.
        What it returns is called at the end, and returns how many instructions had retired before the last
        instruction that is looked for, if it has found one by other means. `near` looks at short stretches first.
        Raises Interrupted when `stop` says so.
        """
        self.follow()
        here = end = self.now
        with self._journey():
            self._keep()
            most = _STRETCH
            try:
                if near:
                    most = _SHORT
                    self._go(max(Moment(here.instret - most, -1), self._checkpoints.first.moment), stop)
                    self._keep()
                while (checkpoint := self._checkpoints.before(end, most=most)) is not None:
                    most = min(most * 8, _STRETCH)
                    found = self._in_stretch(checkpoint, end, here, search, stop)
                    if found is not None:
                        self._go(found, stop)
                        return found
                    end = checkpoint.moment
            except Interrupted:
                self._go(here, _never)
                raise
            self._go(here, _never)
        return None

    def _in_stretch(
        self, checkpoint: Checkpoint, end: Moment, here: Moment, search: Search, stop: Stop
    ) -> Moment | None:
        hits: list[Moment] = []

        def hit() -> None:
            hits[:] = [self.now]

        self._return_to(checkpoint)
        finish = search(hit)
        try:
            self._cross(end, stop)
        finally:
            instret = finish()
        best = hits[-1] if hits and hits[-1] < here else None
        if instret is not None and (best is None or instret >= best.instret):
            self._go(Moment(instret + 1, -1), stop)
            best = self._before(self.now, stop)
        return best

    @contextmanager
    def _journey(self) -> Iterator[None]:
        self.follow()
        inputs = self._inputs
        if inputs.is_travelling:
            raise ConfigError("the machine is on its way to another moment: a listener cannot send it elsewhere")
        self._end = self.end
        inputs.is_travelling = True
        try:
            yield
        finally:
            inputs.is_travelling = False
            if inputs.horizon is not None and self.now >= inputs.horizon and inputs.is_done:
                inputs.horizon = None
            self._schedule()
            self._platform.tell(StateRestored)

    def _go(self, target: Moment, stop: Stop) -> None:
        checkpoint = self._checkpoints.at_or_before(target)
        assert checkpoint is not None
        if not (checkpoint.moment <= self.now <= target):
            self._return_to(checkpoint)
        for distance in _NEAR:
            if self.now.instret < target.instret - distance:
                self._cross(Moment(target.instret - distance, -1), stop)
                self._keep()
        self._advance(target, stop)

    def _before(self, moment: Moment, stop: Stop) -> Moment:
        """The moment before one: of the last instruction, or trap."""
        begin = self._checkpoints.first.moment
        self._go(max(Moment(moment.instret - 1, -1), begin), stop)
        self._keep()
        before = self.now
        while self.now < moment:
            before = self.now
            self.forward()
            self._check_progress(before)
        return before

    def _cross(self, target: Moment, stop: Stop) -> None:
        """Live up to a later moment, and leave checkpoints on the way."""
        while (aim := self.now.instret + _APART) < target.instret:
            self._advance(Moment(aim, -1), stop)
            self._keep()
        self._advance(target, stop)

    def _advance(self, target: Moment, stop: Stop) -> None:
        while (before := self.now) < target:
            outcome = self._runner.advance(target, timeout=_PATIENCE)
            if stop():
                raise Interrupted
            if outcome.reason in _FINAL and self.now < target:
                raise MachineError(self._diverged(f"the guest {outcome.reason.value}", target))
            if outcome.reason not in (StopReason.INTERRUPTED, StopReason.REACHED) and self.now < target:
                self._check_progress(before, target)

    def _check_progress(self, before: Moment, target: Moment | None = None) -> None:
        if self.now == before:
            raise MachineError(self._diverged("the guest does not go on", target or self.end))

    def _diverged(self, what: str, target: Moment) -> str:
        return (
            f"this run is not what it was: {what} at instruction {self.now.instret:,} on the way to "
            f"{target.instret:,}; something from outside is not in its history"
        )

    # Checkpoints.

    def _return_to(self, checkpoint: Checkpoint) -> None:
        restore(self._platform, self._followers, checkpoint.snapshot)
        self._inputs.position = checkpoint.position
        self._inputs.horizon = self._end
        self._runner.live()
        self._schedule()

    def _keep(self) -> None:
        """Leave a checkpoint here."""
        snapshot = take(self._platform, self._followers)
        self._checkpoints.add(Checkpoint(self.now, snapshot, self._inputs.position))

    def _paused(self) -> None:
        began, last = time.process_time(), self._checkpoints.before(self.now)
        self._keep()
        if last is not None:
            self._checkpoints.took(time.process_time() - began, self.now.instret - last.moment.instret)
        self._schedule()

    def _schedule(self) -> None:
        """When the next checkpoint is taken."""
        if self.is_followed:
            self._checkpoints.began()
            self._runner.pause = self.now.instret + self._checkpoints.interval

    def _cut(self, moment: Moment) -> None:
        self._end = moment
        self._checkpoints.cut(moment)
        self.marks = {name: marked for name, marked in self.marks.items() if marked <= moment}

    def _usable_base(self) -> Snapshot:
        if self._obstacle is not None:
            raise ConfigError(f"this machine cannot go back in time: {self._obstacle}")
        if self._base is None or not self._inputs.is_whole:
            raise ConfigError("this machine cannot go back in time: too much has come from outside since it began")
        return self._base
