"""What a guest may use in one test: instructions, and bytes on its console."""

from typing import NoReturn

from emu.counted import counted
from emu.errors import LimitExceeded
from emu.events import ConsoleOutput
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.machine.timers import NEVER


@dataclass(frozen=True)
class Limits:
    """None: no limit."""

    instructions: int | None = None
    console: int | None = None


class Allowance:
    """What is left of the limits for one machine: whatever executes it raises LimitExceeded when nothing is."""

    def __init__(self, machine: Machine, limits: Limits) -> None:
        self._machine, self._limits = machine, limits
        self._written = 0
        if limits.console is not None:
            self._subscription = machine.on(ConsoleOutput, self._wrote)
        if limits.instructions is not None:
            machine._runner.bound, machine._runner.spent = machine.instret + limits.instructions, self._spent

    def close(self) -> None:
        """Limit the machine no more."""
        if self._limits.console is not None:
            self._subscription.cancel()
        if not self._machine.is_closed:
            self._machine._runner.bound = NEVER

    def _spent(self) -> NoReturn:
        raise LimitExceeded(
            f"the guest has executed {counted(self._limits.instructions or 0, 'instruction')}, "
            "which is all that it may in one test"
        )

    def _wrote(self, event: ConsoleOutput) -> None:
        self._written += len(event.data)
        if self._limits.console is not None and self._written > self._limits.console:
            raise LimitExceeded(
                f"the guest has written {counted(self._written, 'byte')} to its console, "
                f"and {self._limits.console:,} are all that it may in one test"
            )
