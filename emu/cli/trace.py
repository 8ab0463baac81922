"""`ekernel trace`: what a recording holds, as lines."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from emu.cli.words import Group, Words
from emu.errors import ConfigError
from emu.firmware.names import SymbolFile
from emu.record.recording import Recording
from emu.report import recorded
from emu.report.places import PlaceNames
from emu.spelling import did_you_mean
from emu.terminal.signals import Signals

_EVERYTHING = (0, (1 << 64) - 1)
WHAT: dict[str, Callable[..., Iterator[str]]] = {
    "instructions": recorded.instructions,
    "functions": recorded.functions,
    "memory": recorded.accesses,
    "registers": recorded.writes,
    "commits": recorded.commits,
}
"""What can be shown, and by which lines; `events` comes on top."""


class TraceWords:
    """What `ekernel trace` was asked for."""

    file: Path
    what: str
    span: str
    functions: list[str]
    symbols: list[Path]


def options() -> Words:
    """The words of `ekernel trace`."""
    words = Words(
        "ekernel trace",
        "Show what a recording (ekernel run --record FILE) holds, a line for each instruction, call, access.",
        operands=" FILE [instructions|functions|memory|registers|commits|events]",
    )
    words.add_argument("file", metavar="FILE", type=Path, help="The recording.")
    words.add_argument("what", metavar="WHAT", nargs="?", default="instructions", help="What to show of it.")
    group = Group(words, "What of it")
    group.value(
        "-range", "--range", to="span", form="A-B", default="",
        text="From the moment at which A instructions had retired to that of B.",
    )  # fmt: skip
    group.values(
        "-function", "--function", to="functions", form="PATTERN", text="What these functions execute, or their calls."
    )
    group.values("--symbols", to="symbols", form="FILE", kind=Path, text="Names from this ELF or listing, too.")
    Group(words, "Help").flag("-h", "--help", to="help", text="Show this.")
    return words


def main(words: Sequence[str], _signals: Signals) -> int:
    """Print the lines. Raises ConfigError for words that mean nothing, RecordingError for what cannot be read."""
    request = options().read(words, TraceWords())
    first, last = _span(request.span)
    with Recording(request.file) as recording:
        for path in request.symbols:
            recording.names.add(SymbolFile.open(path))
        for line in _lines(recording, request, first, last):
            print(line)
        sys.stdout.flush()
        tell_missing(recording)
    return 0


def tell_missing(recording: Recording) -> None:
    """Say on standard error what a recording lacks, if anything."""
    if recording.missing is not None:
        print(f"ekernel: {recording.path} is not complete: {recording.missing}", file=sys.stderr)


def _lines(recording: Recording, request: TraceWords, first: int, last: int) -> Iterator[str]:
    if request.what == "events":
        for event in recording.events():
            instret = event.get("instret")
            if isinstance(instret, int) and first <= instret <= last:
                yield json.dumps(event)
        return
    if request.what not in WHAT:
        known = (*WHAT, "events")
        hint = did_you_mean(request.what, known)
        raise ConfigError(f"ekernel trace does not show '{request.what}': {hint}it shows {', '.join(known)}")
    chosen = _chosen(recording, request.functions)
    yield from WHAT[request.what](recording, PlaceNames(recording.names), first, last, chosen)


def _chosen(recording: Recording, patterns: Sequence[str]) -> Callable[[int], bool]:
    if not patterns:
        return lambda _pc: True
    symbols = recording.names.symbols
    wanted = {symbol.address for pattern in patterns for symbol in symbols.matching(pattern)}

    def chosen(pc: int) -> bool:
        found = symbols.at(pc)
        return found is not None and found[0].address in wanted

    return chosen


def _span(text: str) -> tuple[int, int]:
    if not text:
        return _EVERYTHING
    first, _, last = text.replace(",", "").partition("-")
    try:
        begin = int(first or "0")
        end = int(last) if last else begin if "-" not in text else _EVERYTHING[1]
    except ValueError:
        raise ConfigError(f"-range {text}: give two counts of instructions, as in 1000-2000") from None
    if not 0 <= begin <= end:
        raise ConfigError(f"-range {text}: the first comes after the last")
    return begin, end
