"""What a guest may use in one test: instructions, and bytes on its console."""

from collections.abc import Callable
from typing import Any

from emu.errors import LimitExceeded
from emu.events import ConsoleOutput
from emu.lateclass import dataclass
from emu.machine import Machine, StopReason


@dataclass(frozen=True)
class Limits:
    """None: no limit."""

    instructions: int | None = None
    console: int | None = None


class Allowance:
    """What is left of the limits for one machine: its `run` and `call` raise LimitExceeded when nothing is."""

    def __init__(self, machine: Machine, limits: Limits) -> None:
        self._machine, self._limits = machine, limits
        self._used = self._written = 0
        self._inside = False
        if limits.console is not None:
            self._subscription = machine.on(ConsoleOutput, self._wrote)
        if limits.instructions is not None:
            own: Any = machine  # what users call; for this machine alone
            own.run, own.call = self._counted(machine.run, at=0), self._counted(machine.call, at=None)

    def close(self) -> None:
        """Limit the machine no more."""
        if self._limits.console is not None:
            self._subscription.cancel()
        for name in ("run", "call"):
            vars(self._machine).pop(name, None)

    def _counted(self, method: Callable[..., Any], at: int | None) -> Callable[..., Any]:
        """A method that takes `max_instructions`, by name or at a position, and may use what is left."""

        def run(*args: Any, **named: Any) -> Any:
            __tracebackhide__ = True
            if self._inside:
                return method(*args, **named)
            assert self._limits.instructions is not None
            left = self._limits.instructions - self._used
            if left <= 0:
                raise self._spent()
            wanted = args[0] if at == 0 and args else named.get("max_instructions")
            most = left if wanted is None else min(left, wanted)
            rest = args[1:] if at == 0 else args
            begin, self._inside = self._machine.instret, True
            try:
                outcome = method(*rest, **named | {"max_instructions": most})
            except LimitExceeded:
                if self._machine.instret - begin >= left:
                    raise self._spent() from None
                raise
            finally:
                self._inside = False
                self._used += max(0, self._machine.instret - begin)
            ended = getattr(outcome, "reason", None) is StopReason.INSTRUCTION_LIMIT
            if ended and self._used >= self._limits.instructions:
                raise self._spent()
            return outcome

        return run

    def _spent(self) -> LimitExceeded:
        return LimitExceeded(
            f"the guest has executed {self._limits.instructions:,} instructions, which is all that it may in one test"
        )

    def _wrote(self, event: ConsoleOutput) -> None:
        self._written += len(event.data)
        if self._limits.console is not None and self._written > self._limits.console:
            raise LimitExceeded(
                f"the guest has written {self._written:,} bytes to its console, and {self._limits.console:,} are all "
                "that it may in one test"
            )
