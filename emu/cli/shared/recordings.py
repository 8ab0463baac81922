"""Recordings that commands look at: what they lack, and the run that is lived again."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from emu.firmware.names import SymbolFile
from emu.record.recording import Recording

if TYPE_CHECKING:
    from emu.machine import Machine
    from emu.machine.history.moment import Moment


EVERYTHING = (0, (1 << 64) - 1)
"""All of a run, as a range of `instret`."""


@contextmanager
def opened(
    path: Path, symbols: Iterable[Path] = (), *, needs: Sequence[str] = (), span: tuple[int, int] = EVERYTHING
) -> Iterator[Recording]:
    """A recording with what a command `needs` of it in a range; behind the block it is said what the file lacks.

    What was not recorded is seen by living the run again, where that can be done; calls from the beginning on, for
    those that are open when the range begins.
    """
    with Recording(path) as recording:
        for file in symbols:
            recording.names.add(SymbolFile.open(file))
        if set(needs) <= set(recording.what):
            yield recording
        else:
            from emu.cli.shared.quarantined import hold_back_again  # who reads a recording only needs no machine
            from emu.record.relived import with_more

            first, last = span
            with with_more(recording, needs, 0 if "calls" in needs else first, last, hold_back_again) as whole:
                yield whole
        tell_missing(recording)


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
