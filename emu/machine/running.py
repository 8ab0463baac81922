"""The loop that runs a machine: slices of execution between the moments at which timers have to be looked at."""

from emu.engine import Stop
from emu.machine.boot import BootPlan
from emu.machine.config import Outcome, StopReason
from emu.machine.htif import Htif
from emu.machine.platform import Platform
from emu.machine.reset import reset
from emu.machine.watches import Watches

_SLICE = 50_000_000
"""Instructions between two looks at what the host wants (an interrupt from the keyboard)."""
_RESET, _IDLE = (StopReason.RESET, 0), (StopReason.IDLE_FOREVER, 0)


class Runner:
    """Runs a platform from one end to the next, resets by the guest included."""

    def __init__(self, platform: Platform, watches: Watches) -> None:
        self._platform, self._watches = platform, watches
        self._power_on = platform.core.save()
        self.plan: BootPlan | None = None
        """What is loaded, and again at a reset."""
        self.resets = platform.config.reboot
        """Whether a guest that asks for a reset starts again, instead of ending the run."""
        self.htif: Htif | None = None
        """The host's end of `tohost` and `fromhost`, for a guest that has them."""
        self._interrupted = False

    def interrupt(self) -> None:
        """See `Machine.interrupt`."""
        self._interrupted = True
        self._platform.core.engine.stop_after_block()

    def reset(self) -> None:
        """Start again as at power-on, with `instret` counted on; ConfigError while the guest executes."""
        reset(self._platform, self._power_on, self.plan)

    def run_to(self, limit: int) -> Outcome:
        """Execute until something ends the run, or `limit` instructions have retired since power-on."""
        try:
            reason, exit_code = self._run_to(limit)
        finally:
            self._interrupted = False
        return Outcome(reason, exit_code, self._platform.core.retired_count)

    def _run_to(self, limit: int) -> tuple[StopReason, int]:
        platform, core, clock = self._platform, self._platform.core, self._platform.clock
        platform.begin()
        if platform.is_asleep:
            platform.waiting()
            if platform.ended is not None:
                return platform.ended
        while True:
            clock.update()
            self._watches.settle()
            core.tables.settle()
            platform.tell_time()
            count = core.retired_count
            deadline = min(limit, count + _SLICE, clock.look_at(count))
            htif = self.htif
            stop = core.run(deadline if htif is None else min(deadline, htif.next_look))
            asleep = stop is Stop.WAITING or platform.ended == _IDLE
            if htif is not None and (asleep or core.retired_count >= htif.next_look):
                htif.look()
            if stop is Stop.WAITING and platform.ended is None:
                platform.waiting()
            if core.returned:
                platform.ended = StopReason.REACHED, 0
            elif platform.ended is None and core.retired_count >= limit:
                platform.ended = StopReason.INSTRUCTION_LIMIT, 0
            if platform.ended == _RESET and self.resets:
                platform.begin()
                self.reset()
            if platform.ended is not None:
                return platform.ended
            if self._interrupted:
                return StopReason.INTERRUPTED, 0
