"""`--record`, `--log-commits`, `-d` and their relatives: what a run does goes into files."""

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from emu.cli.words.requests import RunWords
from emu.errors import ConfigError
from emu.hints import TYPE_CHECKING, BinaryIO, FilePath, Protocol
from emu.machine import Machine
from emu.patience import Patience, Work

if TYPE_CHECKING:
    from emu.cli.shared.outputs import OutputFile
    from emu.record.recorder import Following, Recorder
    from emu.report.tracefile import Sink
    from emu.terminal.moment import Moment


class _Hurried(Protocol):
    """What may wait for a reader."""

    def hurry(self, within: Callable[[Work], bool]) -> None:
        """See `Patience`."""


class _Standard:
    """Standard output or standard error."""

    def __init__(self, stream: BinaryIO, patience: Patience) -> None:
        self._stream, self._patience = stream, patience

    def write(self, data: bytes | memoryview, /) -> None:
        self._patience.do(lambda: self._stream.write(data))


class Outputs(ExitStack):
    """What a run writes beside its console, closed at its end."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._signals = machine.events.signals
        self._written: list[_Hurried] = []

    def file(self, path: FilePath) -> "OutputFile":
        """A file that the run writes as it goes on. Raises ConfigError."""
        from pathlib import Path

        from emu.cli.shared.outputs import OutputFile  # few runs write such files

        file = self.enter_context(OutputFile(Path(path), self._signals.open_for))
        self._written.append(file)
        return file

    def stream(self, stream: BinaryIO) -> "Sink":
        """Standard output or error, for what is written while the machine holds signals back."""
        patience = Patience(stream, self._signals.open_for)
        self._written.append(patience)
        return _Standard(stream, patience)

    def recording(self, recorder: "Recorder") -> None:
        """Writes a recording, too."""
        self.enter_context(recorder)
        self._written.append(recorder)

    def hurry(self, within: Callable[[Work], bool]) -> None:
        """The user wants to leave: see `Patience`."""
        for each in self._written:
            each.hurry(within)


def recorder(machine: Machine, request: RunWords) -> "Recorder | None":
    """What records the run, if that was asked for. Raises ConfigError for words that mean nothing."""
    if request.record is None:
        if request.record_what != "calls":
            raise ConfigError("--record-what says what to record; name the file with --record FILE")
        if request.record_from is not None and request.commits is None and request.sail is None:
            raise ConfigError(
                "--record-from says from where on; name a file with --record, --log-commits or --log-sail FILE"
            )
        return None
    from emu.record.recorder import Recorder  # few runs are recorded

    what = [word.strip() for word in request.record_what.split(",") if word.strip()]
    return Recorder(machine, request.record, what, start=request.record_from is None)


def log_commits(outputs: Outputs, machine: Machine, request: RunWords) -> "list[Following]":
    """Write what `--log-commits` and `--log-sail` ask for; what writes it."""

    def stream(name: str) -> "Sink":
        return outputs.stream(sys.stdout.buffer) if name == "-" else outputs.file(name)

    start = request.record_from is None
    writers: list[Following] = []
    if request.commits is not None:
        from emu.report.logs.commits.writer import CommitWriter  # only who asks for it pays for its import

        writers.append(CommitWriter(machine, stream(request.commits), execution=request.execution, start=start))
    if request.sail is not None:
        from emu.report.logs.sail import SailWriter

        writers.append(SailWriter(machine, stream(request.sail), start=start))
    for writer in writers:
        outputs.enter_context(writer)
    return writers


def log_as_qemu(outputs: Outputs, machine: Machine, logged: frozenset[str], path: FilePath | None) -> None:
    """Write what `-d` asks for."""
    if not logged - {"guest_errors", "nochain"}:
        return
    stream = outputs.file(path) if path else outputs.stream(sys.stderr.buffer)
    if logged & {"in_asm", "exec"}:
        from emu.report.logs.blocks import BlockLog  # only who asks for it pays for its import

        code, blocks = "in_asm" in logged, "exec" in logged
        outputs.enter_context(BlockLog(machine, stream, code=code, blocks=blocks, traps="int" in logged))
    else:
        from emu.report.logs.traps import TrapLog

        TrapLog(machine, stream)


def first_moment(machine: Machine, request: RunWords, recordings: "Iterable[Following | Recorder]") -> "Moment | None":
    """The moment from which on is recorded and logged, if it is not the beginning."""
    if request.record_from is None:
        return None
    from emu.terminal.moment import Moment

    def begin() -> None:
        for recording in recordings:
            recording.start()

    return Moment(machine, request.record_from, begin)
