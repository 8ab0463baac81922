"""Spike's log of a recorded run."""

from collections.abc import Iterable, Iterator

from emu.isa.privilege import Privilege
from emu.record import formats
from emu.record.csrs import Change, ChangeKind
from emu.record.recording import Recording
from emu.report.logs.commits.log import CommitLog
from emu.report.logs.commits.templates import Chosen
from emu.report.logs.commits.text import LogText

_AT_ONCE = 1 << 12
"""Words of the record of blocks."""


class _Pieces:
    """What was written and not yet taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes | memoryview, /) -> None:
        self._parts.append(bytes(data))

    def taken(self) -> Iterator[str]:
        parts, self._parts = self._parts, []
        text = b"".join(parts)
        if text:
            yield text[:-1].decode()


def commit_log(
    recording: Recording, first: int, last: int, *, execution: bool = False, chosen: Chosen | None = None
) -> Iterator[str]:
    """A line of each instruction, as Spike writes it: privilege, pc, code, registers, addresses, values; many at once.

    With CSRs and accesses to devices where the recording has `csrs`; `execution` adds the lines of Spike's `-l`.
    `chosen` takes instructions by their addresses. Raises RecordingError for a recording without memory or registers.
    """
    log = CommitLog(recording.names, execution=execution)
    log.writes.read(recording.records(formats.REGISTERS))
    log.accesses.read(recording.records(formats.MEMORY))
    has_changes = "csrs" in recording.what
    if has_changes:
        log.changes.read(_in_time(change for _, change in recording.changes()))
    log.is_native = not recording.goes_back
    pieces = _Pieces()
    keeps_codes = execution and has_changes
    text = LogText(log, pieces, shown=(first, last), chosen=chosen, keeps_codes=keeps_codes)
    for block in recording.blocks.values():
        text.define(block)
    lengths, end = recording.lengths, 0
    modes: list[tuple[int, Privilege]] = []
    for span, begin, words in recording.pieces():
        if begin is not None:
            text.finish()
            modes, end = recording.modes(span) or modes, begin
            text.begin(begin, Privilege.S, modes)
        for place in range(0, len(words), _AT_ONCE):
            part = words[place : place + _AT_ONCE]
            recording.on_reached(end)
            end += sum(map(lengths.__getitem__, part))
            if log.is_native:
                log.writes.load(end)
                log.accesses.load(end)
            text.words(part.tobytes())
            yield from pieces.taken()
            if text.is_over:
                return
    text.finish()
    yield from pieces.taken()


def _in_time(changes: Iterable[Change]) -> Iterator[Change]:
    """The same without the traps that a machine has taken last before it was put back: no instruction followed them."""
    traps: list[Change] = []
    for change in changes:
        if change.kind is not ChangeKind.START or not traps or change.instret >= traps[-1].instret:
            yield from traps
        traps.clear()
        if change.kind is ChangeKind.TRAP:
            traps.append(change)
        else:
            yield change
    yield from traps
