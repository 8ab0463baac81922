"""What one recorded workload would be elsewhere: under other replacement policies, with other allocators."""

import re
from collections.abc import Callable, Sequence
from math import log10

from emu.counted import counted
from emu.errors import ConfigError
from emu.labs.replays import Replay, replay_frames, replay_heaps
from emu.lateclass import dataclass
from emu.observe.allocations.workload import frame_workload, heap_workload
from emu.observe.policies import POLICIES, references
from emu.record.recording import Recording
from emu.report.charts import Charts
from emu.report.memory.drawing import bytes_text
from emu.spelling import did_you_mean

_ALLOCATORS = ("heap", "frames")
_FRAMES = re.compile("0*[1-9][0-9]{0,14}", re.ASCII)
"""Physical addresses of 56 bits have fewer than 10^14 frames."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison as a table and as a picture."""

    lines: list[str]
    picture: Charts


def policies(frames: str) -> Callable[[Recording], Comparison]:
    """What counts the faults of each policy for so many frames. Raises ConfigError for what are no numbers."""
    texts = frames.split(",")
    if not all(_FRAMES.fullmatch(text) for text in texts):
        raise ConfigError(
            f"-replacement {frames}: give numbers of frames from 1 on, of at most 15 digits, as in 4,8,16"
        )
    return lambda recording: _policies(recording, [int(text) for text in texts])


def _policies(recording: Recording, numbers: Sequence[int]) -> Comparison:
    pages = references(recording, 0, (1 << 64) - 1)
    found = {name: [policy(pages, number) for number in numbers] for name, policy in POLICIES.items()}
    lines = [f"{counted(len(pages), 'reference')} to {counted(len(set(pages)), 'page')}"]
    lines.append("".join(f"{head:>12}" for head in ("frames", *POLICIES)))
    for number, *counts in zip(numbers, *found.values(), strict=True):
        lines.append("".join(f"{count:>12,}" for count in (number, *counts)))
    charts = Charts(f"Page faults by policy: {recording.program or 'a recorded run'}")
    curves = {
        name: sorted((number, log10(max(count, 1))) for number, count in zip(numbers, counts, strict=True))
        for name, counts in found.items()
    }
    charts.curves("faults, by powers of ten", "frames", curves, lambda value: f"{10**value:,.0f}")
    return Comparison(lines, charts)


def allocators(which: str) -> Callable[[Recording], Comparison]:
    """What asks each allocator of a kind what a run has asked. Raises ConfigError for another word."""
    if which not in _ALLOCATORS:
        raise ConfigError(f"-allocators {which}: {did_you_mean(which, _ALLOCATORS)}there are heap and frames")
    return lambda recording: _allocators(recording, which)


def _allocators(recording: Recording, which: str) -> Comparison:
    asks = list((heap_workload if which == "heap" else frame_workload)(recording.events()))
    if not asks:
        raise ConfigError(
            f"{recording.path} has no events of {which}: record it with `ekernel run --record FILE --trace {which}`"
        )
    program = recording.program or "a recorded run"
    if which == "heap":
        size, rows = replay_heaps(asks)
        head = f"{len(rows[0].used):,} of {len(asks):,} calls of {program}, in a heap of {bytes_text(size)}"
        return _compared(head, rows, "bytes allocated", bytes_text)
    size, rows = replay_frames(asks)
    head = f"{len(rows[0].used):,} of {len(asks):,} calls of {program}, in {bytes_text(size)} of memory"
    return _compared(head, rows, "frames from the first to the last held", lambda value: f"{value:,}")


def _compared(head: str, rows: Sequence[Replay], used: str, told: Callable[[int], str]) -> Comparison:
    columns = (
        "",
        "alloc",
        "worst",
        "free",
        "worst",
        "refused",
        "peak",
        "internal",
        "external: mean",
        "most",
        "splits",
        "joins",
    )
    cells = [
        (
            row.name, f"{row.alloc.mean:,.1f}", f"{row.alloc.worst:,}", f"{row.free.mean:,.1f}", f"{row.free.worst:,}",
            f"{row.refused:,}", told(row.peak), _share(row.internal) if used.startswith("bytes") else "-",
            _share(sum(row.external) / max(len(row.external), 1)), _share(max(row.external, default=0.0)),
            *("-" if number is None else f"{number:,}" for number in (row.splits, row.joins)),
        )
        for row in rows
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in (columns, *cells)) for column in range(len(columns))]
    lines = [head, "instructions a call; fragmentation internal at the peak, external over the run"]
    lines += [_row(cell, widths) for cell in (columns, *cells)]
    charts = Charts(head)
    charts.curves(
        used, "calls", {row.name: list(enumerate(row.used)) for row in rows}, lambda value: told(round(value))
    )
    charts.curves("external fragmentation", "calls", {row.name: list(enumerate(row.external)) for row in rows}, _share)
    charts.bars(
        "instructions of an allocation, mean", {row.name: row.alloc.mean for row in rows}, lambda value: f"{value:,.1f}"
    )
    charts.bars(
        "instructions of a free, mean", {row.name: row.free.mean for row in rows}, lambda value: f"{value:,.1f}"
    )
    return Comparison(lines, charts)


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    rest = (f"  {text:>{width}}" for text, width in zip(cells[1:], widths[1:], strict=True))
    return f"  {cells[0]:<{widths[0]}}{''.join(rest)}"
