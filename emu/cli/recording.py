"""`--record` and its relatives: a run goes into a file."""

from typing import TYPE_CHECKING

from emu.cli.requests import RunWords
from emu.errors import ConfigError
from emu.machine import Machine
from emu.terminal.moment import Moment

if TYPE_CHECKING:
    from emu.record.recorder import Recorder


def recorder(machine: Machine, request: RunWords) -> "Recorder | None":
    """What records the run, if that was asked for. Raises ConfigError for words that mean nothing."""
    if request.record is None:
        if request.record_from is not None or request.record_what != "calls":
            raise ConfigError("--record-from and --record-what say what to record; name the file with --record FILE")
        return None
    from emu.record.recorder import Recorder  # few runs are recorded

    what = [word.strip() for word in request.record_what.split(",") if word.strip()]
    return Recorder(machine, request.record, what, start=request.record_from is None)


def first_moment(machine: Machine, request: RunWords, recording: "Recorder | None") -> Moment | None:
    """The moment from which on is recorded, if it is not the beginning."""
    if recording is None or request.record_from is None:
        return None
    return Moment(machine, request.record_from, recording.start)
