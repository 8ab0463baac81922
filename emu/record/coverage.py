"""Which functions and lines of an image a run has executed, and which never."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from emu.firmware.names import Names


class FunctionCoverage(NamedTuple):
    """A function of the image."""

    name: str
    address: int
    line: int
    """Where it begins in its file; 0 where the image does not say."""
    calls: int
    """How often its first instruction was executed."""
    executed: bool
    """Whether any of it was."""


class FileCoverage:
    """A source file, or what belongs to none (`path` is empty)."""

    def __init__(self, path: str) -> None:
        self.path = path
        """As the image has it."""
        self.lines: dict[int, int] = {}
        """How often each line that code was made of was executed; of several instructions the most frequent counts."""
        self.functions: list[FunctionCoverage] = []

    @property
    def lines_executed(self) -> int:
        """How many lines were executed at least once."""
        return sum(1 for hits in self.lines.values() if hits)

    def never(self) -> list[tuple[int, int]]:
        """The lines that were never executed, from the first to the last of each run of them."""
        found: list[tuple[int, int]] = []
        for line in sorted(self.lines):
            if self.lines[line]:
                found.append((0, 0))
            elif found and found[-1][0]:
                found[-1] = (found[-1][0], line)
            else:
                found.append((line, line))
        return [span for span in found if span[0]]


def coverage(names: Names, hits: Counter[int]) -> list[FileCoverage]:
    """What was executed of each file of an image, by how often each address was; files with code only, by path."""
    files: dict[str, FileCoverage] = {}
    linked: Counter[int] = Counter()
    for pc, times in hits.items():
        if times:
            linked[names.linked(pc)] += times
    hits, addresses = linked, sorted(linked)
    _add_lines(files, names, addresses, hits)
    for symbol in names.symbols.functions():
        line = names.lines.at(symbol.address)
        path, number = (line.file, line.line) if line else ("", 0)
        calls = hits.get(int(symbol.address), 0)
        end = int(symbol.address) + max(symbol.size, 1)
        executed = bool(calls) or _any_between(addresses, int(symbol.address), end)
        files.setdefault(path, FileCoverage(path)).functions.append(
            FunctionCoverage(symbol.label, int(symbol.address), number, calls, executed)
        )
    return [files[path] for path in sorted(files)]


def _add_lines(files: dict[str, FileCoverage], names: Names, addresses: list[int], hits: Mapping[int, int]) -> None:
    for start, end, row in names.lines.rows():
        if end <= start or names.symbols.at(start) is None:  # no code, or code that the linker threw away
            continue
        lines = files.setdefault(row.file, FileCoverage(row.file)).lines
        place, most = bisect_left(addresses, start), 0
        while place < len(addresses) and addresses[place] < end:
            most = max(most, hits[addresses[place]])
            place += 1
        lines[row.line] = max(lines.get(row.line, 0), most)


def _any_between(addresses: list[int], start: int, end: int) -> bool:
    place = bisect_left(addresses, start)
    return place < len(addresses) and addresses[place] < end
