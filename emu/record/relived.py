"""What a recording does not hold, of those by which the run can be lived again: it is recorded then."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emu.errors import EmuError, RecordingError
from emu.machine import Machine
from emu.machine.history.moment import Moment
from emu.record.recorder import Recorder
from emu.record.recording import Instruction, Recording
from emu.record.replay import host_of, replayed

Prepare = Callable[[Machine, Mapping[str, Any]], None]
"""Has a machine at its power-on do again what else the host did; see `emu.record.replay.host_of`."""


@contextmanager
def with_more(
    recording: Recording, what: Sequence[str], first: int, last: int, prepare: Prepare
) -> Iterator[Recording]:
    """The recording, or where it lacks some of `what`, one that has them in a range of `instret`; it is temporary.

    Raises RecordingError for a run that turns out to be another one, which one of another version of ekernel may.
    """
    if set(what) <= set(recording.what) or not _can_be_lived_again(recording):
        yield recording
        return
    spans = [(max(begin, first), min(end, last + 1)) for begin, end in _spans(recording)]
    spans = [(begin, end) for begin, end in spans if begin < end]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "again.ekrec")
        _record(recording, path, what, spans, prepare)
        with Recording(path) as again:
            again.path = recording.path
            again.names = recording.names
            if spans:
                _check(recording, again, spans[-1][1] - 1)
            yield again


def _can_be_lived_again(recording: Recording) -> bool:
    """Whether a way back is known, and the machine was put back nowhere in it."""
    begins = [begin for begin, _ in _spans(recording)]
    return recording.obstacle is None and begins == sorted(begins)


def _spans(recording: Recording) -> list[tuple[int, int]]:
    """The ranges of `instret` that were recorded, in the order in which they were."""
    found: list[tuple[int, int]] = []
    for begin, words in recording.words():
        if begin is not None:
            found.append((begin, begin))
        if found:
            at, end = found[-1]
            found[-1] = at, end + sum(map(recording.lengths.__getitem__, words))
    return found


def _record(
    recording: Recording, path: Path, what: Sequence[str], spans: list[tuple[int, int]], prepare: Prepare
) -> None:
    machine, _ = replayed(recording)
    with machine:
        prepare(machine, host_of(recording))
        with Recorder(machine, path, what, start=False) as recorder:
            try:
                for begin, end in spans:
                    machine.history.arrive(Moment(begin, -1))
                    recorder.start()
                    machine.history.arrive(Moment(end, -1))
                    recorder.stop()
            except RecordingError:
                raise
            except EmuError:  # it may be what the recorded run has died of: whether it is the same run is seen below
                recorder.stop()


def _check(recording: Recording, again: Recording, instret: int) -> None:
    """Compare the last instruction, which a run that has become another one would hardly reach so."""

    def last(of: Recording) -> Instruction | None:
        return next(of.instructions(instret, instret), None)

    if last(recording) != last(again):
        raise RecordingError(
            f"the run of {recording.path}, lived again, was another one: `ekernel replay {recording.path}` says from "
            "where on. It may be from another version of ekernel"
        )
