"""Which functions and lines of kernels the tests of a session have executed, under xdist too."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from emu.firmware.names import Names
from emu.machine import Machine
from emu.record.branches import Ways
from emu.record.coverage import FileCoverage, coverage
from emu.record.hits import HitCounter
from emu.report.coverage.lcov import lcov
from emu.report.coverage.lines import coverage_lines
from emu.report.coverage.page import coverage_page


class Counts(NamedTuple):
    """How often each address was executed, and each way of a branch gone."""

    hits: Counter[int]
    ways: Ways


def _sum(counts: Iterable[Counts]) -> Counts:
    whole = Counts(Counter(), Counter())
    for each in counts:
        whole.hits.update(each.hits)
        whole.ways.update(each.ways)
    return whole


class Covered:
    """What was executed, by kernel and test."""

    def __init__(self) -> None:
        self._hits: dict[str, dict[str, Counts]] = {}
        self._names: dict[str, Names] = {}

    def follow(self, machine: Machine, kernel: str, test: str) -> "Following":
        """Count what a machine executes, until it is closed."""
        self._names[kernel] = machine.platform.names
        return Following(self, machine, kernel, test)

    def note(self, kernel: str, test: str, counts: Counts) -> None:
        """Add what a test has executed."""
        tests = self._hits.setdefault(kernel, {})
        tests[test] = _sum((tests[test], counts) if test in tests else (counts,))

    def plain(self) -> dict[str, Any]:
        """The counts as JSON has them, for the process that started this one."""
        return {
            kernel: {
                test: [list(counts.hits.items()), [[*way, times] for way, times in counts.ways.items()]]
                for test, counts in tests.items()
            }
            for kernel, tests in self._hits.items()
        }

    def add(self, plain: dict[str, Any]) -> None:
        """Add the counts of another process."""
        for kernel, tests in plain.items():
            for test, (hits, ways) in tests.items():
                counted = Counter({(pc, taken): times for pc, taken, times in ways})
                self.note(kernel, test, Counts(Counter(dict(hits)), counted))

    def lines(self) -> Iterator[str]:
        """The report for a terminal: a line for each file, and what was never executed."""
        for kernel, tests in sorted(self._hits.items()):
            yield f"{kernel}, by {len(tests):,} tests"
            names = self._names_of(kernel)
            whole = coverage(names, *_sum(tests.values()))
            yield from (f"  {line}" for line in coverage_lines(whole, never=True))

    def tracefile(self) -> Iterator[str]:
        """The same for lcov: a test name for each test, so that it can be told which one covers a line."""
        for kernel, tests in sorted(self._hits.items()):
            names = self._names_of(kernel)
            for test, counts in sorted(tests.items()):
                word = "".join(each if each.isalnum() else "_" for each in test.rpartition("::")[2])
                yield from lcov(coverage(names, *counts), word)

    def pages(self) -> str:
        """The same as one page of HTML, with the source and the tests of each line."""
        kernels = sorted(self._hits.items())
        whole, tests = list[FileCoverage](), dict[str, dict[int, list[str]]]()
        for kernel, found in kernels:
            names = self._names_of(kernel)
            whole += coverage(names, *_sum(found.values()))
            for test, counts in sorted(found.items()):
                for file in coverage(names, counts.hits):
                    for line, times in file.lines.items():
                        if times:
                            tests.setdefault(file.path, {}).setdefault(line, []).append(test.rpartition("::")[2])
        title = f"What tests have executed of {', '.join(Path(kernel).name for kernel, _ in kernels) or 'no kernel'}"
        return coverage_page(title, whole, tests)

    def _names_of(self, kernel: str) -> Names:
        """The names of a kernel; of one that only other processes have run, by its file."""
        if kernel not in self._names:
            from emu.firmware.image import Image

            self._names[kernel] = Names()
            if Path(kernel).is_file():
                self._names[kernel].add(Image.open(kernel))
        return self._names[kernel]


class Following:
    """Counts for one test."""

    def __init__(self, covered: Covered, machine: Machine, kernel: str, test: str) -> None:
        self._covered, self._kernel, self._test = covered, kernel, test
        self._machine, self._counter = machine, HitCounter(machine)

    def close(self) -> None:
        """Add what was counted."""
        if not self._machine.is_closed:  # not closed by the test
            self._counter.close()
        hits = self._counter.hits
        self._covered.note(self._kernel, self._test, Counts(hits.by_address(), hits.branches()))
