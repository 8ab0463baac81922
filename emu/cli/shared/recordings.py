"""Recordings that commands look at: what they lack, and the run that is lived again."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from emu.record.recording import Recording

if TYPE_CHECKING:
    from emu.machine import Machine
    from emu.machine.history.moment import Moment


def tell_missing(recording: Recording) -> None:
    """Say on standard error what a recording lacks, if anything."""
    if recording.missing is not None:
        print(f"ekernel: {recording.path} is not complete: {recording.missing}", file=sys.stderr)


def lived_again(path: Path, symbols: Iterable[Path] = ()) -> "tuple[Machine, Moment]":
    """The machine of a recorded run before its first instruction, and the end of that run.

    Raises RecordingError for a recording that cannot be lived again.
    """
    from emu.cli.shared.quarantined import hold_back_again  # who reads a recording only needs no machine
    from emu.record.replay import host_of, replayed

    with Recording(path) as recording:
        machine, end = replayed(recording)
        hold_back_again(machine, host_of(recording))
    for file in symbols:
        machine.add_symbols(file)
    return machine, end
