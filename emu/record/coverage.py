"""Which functions, lines and branches of an image a run has executed, and which never."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import NamedTuple
from weakref import WeakKeyDictionary

from emu.firmware.names import Names
from emu.record.branches import Ways, branches_of


class FunctionCoverage(NamedTuple):
    """A function of the image."""

    name: str
    address: int
    """0 where a tracefile says of it."""
    line: int
    """Where it begins in its file; 0 where the image does not say."""
    calls: int
    """How often its first instruction was executed."""
    executed: bool
    """Whether any of it was."""


class BranchCoverage(NamedTuple):
    """A conditional branch instruction of the image: how often it was taken, and how often not."""

    taken: int
    passed: int

    @property
    def ways(self) -> int:
        """How many of its two ways were gone."""
        return (self.taken > 0) + (self.passed > 0)


class FileCoverage:
    """A source file, or what belongs to none (`path` is empty)."""

    def __init__(self, path: str) -> None:
        self.path = path
        """As the image has it."""
        self.lines: dict[int, int] = {}
        """How often each line that code was made of was executed; of several instructions the most frequent counts."""
        self.functions: list[FunctionCoverage] = []
        self.branches: dict[int, list[BranchCoverage]] = {}
        """By line, in the order of their addresses; of line 0 where the image does not say."""

    @property
    def lines_executed(self) -> int:
        """How many lines were executed at least once."""
        return sum(1 for hits in self.lines.values() if hits)

    @property
    def ways(self) -> tuple[int, int]:
        """How many ways of its branches were gone, and how many there are."""
        branches = [branch for line in self.branches.values() for branch in line]
        return sum(branch.ways for branch in branches), 2 * len(branches)

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

    def one_way(self) -> list[tuple[int, str]]:
        """The lines with branches that have gone one way only: "always taken" or "never taken"."""
        found = [
            (line, "always taken" if branch.taken else "never taken")
            for line, branches in sorted(self.branches.items())
            for branch in branches
            if branch.ways == 1
        ]
        return list(dict.fromkeys(found))

    def add(self, other: "FileCoverage") -> None:
        """Count what another run of the same code has executed, too."""
        for line, times in other.lines.items():
            self.lines[line] = self.lines.get(line, 0) + times
        known = {function.name: place for place, function in enumerate(self.functions)}
        for function in other.functions:
            if (place := known.get(function.name)) is None:
                self.functions.append(function)
                continue
            mine = self.functions[place]
            self.functions[place] = mine._replace(
                calls=mine.calls + function.calls, executed=mine.executed or function.executed
            )
        nothing = BranchCoverage(0, 0)
        for line, branches in other.branches.items():
            pairs = zip_longest(self.branches.get(line, ()), branches, fillvalue=nothing)
            self.branches[line] = [BranchCoverage(a.taken + b.taken, a.passed + b.passed) for a, b in pairs]


def coverage(names: Names, hits: Counter[int], ways: Ways | None = None) -> list[FileCoverage]:
    """What was executed of each file of an image, by how often each address was; files with code only, by path.

    With `ways`, which way each branch has gone, the branches, too.
    """
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
    if ways is not None:
        _add_branches(files, names, ways)
    return [files[path] for path in sorted(files)]


def merged_files(runs: Iterable[Iterable[FileCoverage]]) -> list[FileCoverage]:
    """What several runs have executed of each file together, by path."""
    files: dict[str, FileCoverage] = {}
    for run in runs:
        for file in run:
            files.setdefault(file.path, FileCoverage(file.path)).add(file)
    return [files[path] for path in sorted(files)]


def _add_branches(files: dict[str, FileCoverage], names: Names, ways: Ways) -> None:
    linked: Ways = Counter()
    for (pc, taken), times in ways.items():
        linked[names.linked(pc), taken] += times
    for pc in _known_branches(names):
        line = names.lines.at(pc)
        path, number = (line.file, line.line) if line else ("", 0)
        branch = BranchCoverage(linked[pc, True], linked[pc, False])
        files.setdefault(path, FileCoverage(path)).branches.setdefault(number, []).append(branch)


_BRANCHES: "WeakKeyDictionary[Names, tuple[int, list[int]]]" = WeakKeyDictionary()
"""With how many files there were."""


def _known_branches(names: Names) -> list[int]:
    number = len(names.files)
    if (known := _BRANCHES.get(names)) is None or known[0] != number:
        known = _BRANCHES[names] = number, list(branches_of(names))
    return known[1]


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
