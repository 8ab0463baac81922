"""How a run ended, as its last line says it, and the exit status that goes with it."""

import signal
from enum import Enum

from emu.hints import NamedTuple
from emu.machine import Outcome, StopReason
from emu.terminal.statuses import ExitStatus


class Cause(Enum):
    """What ended a run; the value is the word for programs, but for the guest's own endings."""

    GUEST = "guest"
    LIMIT = "instruction_limit"
    TIMEOUT = "timeout"
    SHOWN = "shown"
    LEFT = "left"
    SIGNAL = "signal"
    HANGUP = "hangup"
    ERROR = "error"


class Ending(NamedTuple):
    """How a run from the command line ended.

    >>> Ending(Cause.SIGNAL, signal=15).description, Ending(Cause.SIGNAL, signal=15).status
    ('ended by SIGTERM', 143)
    """

    cause: Cause
    outcome: Outcome | None = None
    """What the machine said, where the guest has ended the run."""
    signal: int = 0

    @property
    def word(self) -> str:
        """The cause as one word, for programs."""
        return self.outcome.reason.name.lower() if self.outcome and self.cause is Cause.GUEST else self.cause.value

    @property
    def is_regular(self) -> bool:
        """Whether the guest has ended the run in a way that needs no explanation."""
        regular = (StopReason.POWERED_OFF, StopReason.RESET)
        return self.cause is Cause.GUEST and self.outcome is not None and self.outcome.reason in regular

    @property
    def is_wish(self) -> bool:
        """Whether the user has ended the run, or a signal has."""
        return self.cause in (Cause.TIMEOUT, Cause.LEFT, Cause.SIGNAL, Cause.HANGUP)

    @property
    def status(self) -> int:
        """The exit status of the process."""
        if self.outcome is not None and self.is_regular:
            return self.outcome.exit_code & 0xFF
        statuses = {Cause.LIMIT: ExitStatus.LIMIT, Cause.TIMEOUT: ExitStatus.LIMIT, Cause.SHOWN: 0, Cause.LEFT: 0}
        if self.cause is Cause.SIGNAL:
            return ExitStatus.SIGNAL + self.signal
        if self.cause is Cause.HANGUP:
            return ExitStatus.SIGNAL + signal.SIGHUP
        return int(statuses.get(self.cause, ExitStatus.FAILED))

    @property
    def description(self) -> str:
        """The cause as the beginning of a sentence, which goes on with a place or numbers."""
        if self.cause is Cause.GUEST and self.outcome is not None:
            status = f" with exit status {self.status}" if self.outcome.exit_code else ""
            return f"{self.outcome.description}{status}"
        if self.cause is Cause.SIGNAL:
            name = signal.Signals(self.signal).name
            return "interrupted by Ctrl-C (SIGINT)" if name == "SIGINT" else f"ended by {name}"
        return {
            Cause.LIMIT: "stopped at the limit of instructions",
            Cause.TIMEOUT: "stopped when the time was up",
            Cause.SHOWN: "stopped by a text on the console",
            Cause.LEFT: "left by you",
            Cause.HANGUP: "ended by the end of its terminal",
        }.get(self.cause, "stopped by an error")
