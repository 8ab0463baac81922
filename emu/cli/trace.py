"""`ekernel trace`: what a recording holds, as lines and as files of other programs."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path, PurePath

from emu.cli.shared.outputs import needs_file, whole_file
from emu.cli.shared.recordings import EVERYTHING
from emu.cli.shared.runs import is_kernel, opened_run
from emu.cli.words.reading import Group, Words, add_help, written
from emu.counted import counted
from emu.errors import ConfigError
from emu.record.recording import Recording
from emu.report import recorded
from emu.report.places import PlaceNames
from emu.spelling import did_you_mean
from emu.terminal.progress import progress
from emu.terminal.signals import Signals

_EVENTS = "events"
WHAT: dict[str, Callable[..., Iterator[str]]] = {
    "instructions": recorded.instructions,
    "functions": recorded.functions,
    "memory": recorded.accesses,
    "registers": recorded.writes,
    "commits": recorded.commits,
    "execution": recorded.execution,
}
"""What can be shown, and by which lines; `events` comes on top."""
_LOG = ("memory", "registers", "csrs")
_NEEDS = {"functions": ("calls",), "memory": ("memory",), "registers": ("registers",)} | {
    "commits": _LOG, "execution": _LOG,
}  # fmt: skip
"""What a recording must hold to show it."""
_LINES = ("commits", "execution")
"""What has no columns."""
TIMELINES = ("perfetto", "chrome", "uftrace")
FORMATS = ("text", "jsonl", "parquet", *TIMELINES)
"""How: the first two are lines, the others files; a timeline has calls, traps and events together."""


class TraceWords:
    """What `ekernel trace` was asked for."""

    file: Path
    what: str
    span: str
    functions: list[str]
    symbols: list[Path]
    form: str
    output: Path | None


def options() -> Words:
    """The words of `ekernel trace`."""
    words = Words(
        "ekernel trace",
        "Show what a recording (ekernel run --record FILE) holds, a line for each instruction, call, access.",
        operands=" FILE [instructions|functions|memory|registers|commits|execution|events]",
    )
    words.operand("file", form="FILE", kind=Path, text="The recording; or a kernel, which is run and recorded first.")
    words.operand("what", form="WHAT", many="?", default="", text="What to show of it; instructions.")
    group = Group(words, "What of it")
    group.value(
        "-range", "--range", to="span", form="A-B", default="",
        text="From the moment at which A instructions had retired to that of B.",
    )  # fmt: skip
    group.values(
        "-function", "--function", to="functions", form="PATTERN", text="What these functions execute, or their calls."
    )
    group.values("--symbols", to="symbols", form="FILE", kind=Path, text="Names from this ELF or listing, too.")
    output = Group(words, "How, and where to")
    output.value(
        "-format", "--format", to="form", form="|".join(FORMATS), default="text",
        text="jsonl and parquet: the same in named columns; perfetto, chrome and uftrace: calls, traps and events of "
        "the run in time, for these programs.",
    )  # fmt: skip
    output.value("-o", "--output", to="output", form="FILE", kind=Path, text="Write it there.")
    add_help(words)
    return words


def main(words: Sequence[str], _signals: Signals) -> int:
    """Print the lines. Raises ConfigError for words that mean nothing, RecordingError for what cannot be read."""
    request = options().read(words, TraceWords())
    _check(request)
    first, last = _span(request.span)
    needs = ("calls",) if request.form in TIMELINES else _NEEDS.get(request.what, ())
    events = request.what == _EVENTS or request.form in TIMELINES
    with opened_run(request.file, request.symbols, needs=needs, span=(first, last), events=events) as recording:
        if request.span:
            _check_span(recording, request.span, first, last)
        chosen = _chosen(recording, request.functions)
        write = _write_timeline if request.form in TIMELINES else _write_what
        end = lambda: min(last, recording.extent()[1])  # noqa: E731  # asked for where a bar is shown only
        to_file = request.output is not None
        with progress(f"reading {recording.path}", first, end, to_file=to_file) as recording.on_reached:
            write(recording, request, first, last, chosen)
    return 0


def _check(request: TraceWords) -> None:
    """Raises ConfigError for words that mean nothing, or nothing together."""
    form, what = request.form, request.what
    if form not in FORMATS:
        raise ConfigError(f"-format {written(form)}: {did_you_mean(form, FORMATS)}there are {', '.join(FORMATS)}")
    if form in TIMELINES and what:
        raise ConfigError(f"-format {form} has calls, traps and events together: leave out '{what}'")
    known = (*WHAT, _EVENTS)
    request.what = what = what or "instructions"
    if what not in known:
        hint = did_you_mean(what, known)
        raise ConfigError(f"ekernel trace does not show '{what}': {hint}it shows {', '.join(known)}")
    if (form != "text" and what in _LINES) or (form, what) == ("parquet", _EVENTS):
        raise ConfigError(f"{what} have no columns: -format {form} does not go with them")
    if request.output is None and form not in ("text", "jsonl"):
        raise needs_file(form)


def _write_what(
    recording: Recording, request: TraceWords, first: int, last: int, chosen: Callable[[int], bool]
) -> None:
    names = PlaceNames(recording.names)
    if request.what == _EVENTS:
        lines = _events(recording, first, last)
    elif request.form == "text":
        lines = WHAT[request.what](recording, names, first, last, chosen)
    else:
        if request.form == "parquet":
            from emu.report.files.parquet import write_parquet

            assert request.output is not None
            with whole_file(request.output) as stream:
                write_parquet(request.what, recording, names, first, last, chosen, stream)
            return
        from emu.report.files.tables import TABLES, instructions_as_json, json_lines

        table = TABLES[request.what]
        lines = json_lines(table.columns, table.rows(recording, names, first, last, chosen))
        if request.what == "instructions":
            lines = instructions_as_json(recording, names, first, last, chosen)
    with whole_file(request.output) if request.output else nullcontext() as stream:
        for line in lines:
            if stream is None:
                print(line)
            else:
                stream.write(line.encode() + b"\n")
    sys.stdout.flush()


def _events(recording: Recording, first: int, last: int) -> Iterator[str]:
    any_event = False
    for event in recording.events():
        any_event = True
        instret = event.get("instret")
        if isinstance(instret, int) and first <= instret <= last:
            yield json.dumps(event)
    if not any_event:
        from emu.cli.shared.tracing import DEFAULT_TRACE  # with all kinds of events, which nothing else here needs

        some = f" of {DEFAULT_TRACE}" if is_kernel(recording.path) else ""
        text = f"has no events{some}; those of `ekernel run --record FILE --trace KINDS` are recorded"
        print(f"ekernel: {recording.path} {text}", file=sys.stderr)


def _write_timeline(
    recording: Recording, request: TraceWords, first: int, last: int, chosen: Callable[[int], bool]
) -> None:
    """Raises ConfigError for a file that cannot be written, and without the package that writes it."""
    from emu.report.files import chrome, perfetto, uftrace
    from emu.report.files.timeline import Timeline

    assert request.output is not None
    program = recording.program or PurePath(recording.path).name
    timeline = Timeline(recording, PlaceNames(recording.names), first, last, chosen)
    if request.form == "uftrace":
        try:
            uftrace.write_uftrace(timeline, request.output, program)
        except OSError as error:
            raise ConfigError(f"{request.output} cannot be written: {error.strerror}") from None
        return
    with whole_file(request.output) as stream:
        if request.form == "perfetto":
            perfetto.write_perfetto(timeline, stream, program)
            return
        number = chrome.write_chrome(timeline, stream, program)
    if number > chrome.LARGE:
        text = f"{request.output} has {number:,} events, which programs that read JSON are slow to open: "
        print(f"ekernel: {text}-format perfetto is made for so many, -range and -function for fewer", file=sys.stderr)


def _chosen(recording: Recording, patterns: Sequence[str]) -> Callable[[int], bool]:
    if not patterns:
        return lambda _pc: True
    symbols = recording.names.symbols
    wanted = {symbol.address for pattern in patterns for symbol in symbols.matching(pattern)}

    def chosen(pc: int) -> bool:
        found = symbols.at(pc)
        return found is not None and found[0].address in wanted

    return chosen


def _check_span(recording: Recording, text: str, first: int, last: int) -> None:
    """Raises ConfigError for a part of the run of which the recording has nothing."""
    if next(recording.instructions(first, last), None) is None:
        begin, end, _ = recording.extent()
        if last < begin or first > end:
            raise ConfigError(f"-range {text}: {recording.path} goes from {begin:,} to {counted(end, 'instruction')}")


def _span(text: str) -> tuple[int, int]:
    if not text:
        return EVERYTHING
    first, _, last = text.replace(",", "").partition("-")
    try:
        begin = int(first or "0")
        end = int(last) if last else begin if "-" not in text else EVERYTHING[1]
    except ValueError:
        raise ConfigError(f"-range {text}: give two counts of instructions, as in 1000-2000") from None
    if not 0 <= begin <= end:
        raise ConfigError(f"-range {text}: the first comes after the last")
    return begin, end
