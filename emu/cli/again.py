"""A recorded run that is lived again, for every command that looks at a run."""

from collections.abc import Iterable
from pathlib import Path

from emu.cli.quarantined import hold_back_again
from emu.machine import Machine
from emu.machine.history.moment import Moment
from emu.record.recording import Recording
from emu.record.replay import host_of, replayed


def lived_again(path: Path, symbols: Iterable[Path] = ()) -> tuple[Machine, Moment]:
    """The machine of a recorded run before its first instruction, and the end of that run.

    Raises RecordingError for a recording that cannot be lived again.
    """
    with Recording(path) as recording:
        machine, end = replayed(recording)
        hold_back_again(machine, host_of(recording))
    for file in symbols:
        machine.add_symbols(file)
    return machine, end
