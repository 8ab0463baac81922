"""Which functions and lines of kernels the tests of a session have executed, under xdist too."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emu.firmware.names import Names
from emu.machine import Machine
from emu.record.coverage import FileCoverage, coverage
from emu.record.hits import HitCounter
from emu.report.coverage import coverage_lines, lcov
from emu.report.coveragepage import coverage_page


class Covered:
    """What was executed, by kernel and test."""

    def __init__(self) -> None:
        self._hits: dict[str, dict[str, Counter[int]]] = {}
        self._names: dict[str, Names] = {}

    def follow(self, machine: Machine, kernel: str, test: str) -> "Following":
        """Count what a machine executes, until it is closed."""
        self._names[kernel] = machine.platform.names
        return Following(self, machine, kernel, test)

    def note(self, kernel: str, test: str, hits: Counter[int]) -> None:
        """Add what a test has executed."""
        self._hits.setdefault(kernel, {}).setdefault(test, Counter()).update(hits)

    def plain(self) -> dict[str, Any]:
        """The counts as JSON has them, for the process that started this one."""
        return {
            kernel: {test: [list(pair) for pair in hits.items()] for test, hits in tests.items()}
            for kernel, tests in self._hits.items()
        }

    def add(self, plain: dict[str, Any]) -> None:
        """Add the counts of another process."""
        for kernel, tests in plain.items():
            for test, pairs in tests.items():
                self.note(kernel, test, Counter(dict(pairs)))

    def lines(self) -> Iterator[str]:
        """The report for a terminal: a line for each file, and what was never executed."""
        for kernel, tests in sorted(self._hits.items()):
            yield f"{kernel}, by {len(tests):,} tests"
            names = self._names_of(kernel)
            total = sum(tests.values(), Counter[int]())
            yield from (f"  {line}" for line in coverage_lines(coverage(names, total), never=True))

    def tracefile(self) -> Iterator[str]:
        """The same for lcov: a test name for each test, so that it can be told which one covers a line."""
        for kernel, tests in sorted(self._hits.items()):
            names = self._names_of(kernel)
            for test, hits in sorted(tests.items()):
                word = "".join(each if each.isalnum() else "_" for each in test.rpartition("::")[2])
                yield from lcov(coverage(names, hits), word)

    def pages(self) -> str:
        """The same as one page of HTML, with the source and the tests of each line."""
        kernels = sorted(self._hits.items())
        whole, tests = list[FileCoverage](), dict[str, dict[int, list[str]]]()
        for kernel, found in kernels:
            names = self._names_of(kernel)
            whole += coverage(names, sum(found.values(), Counter[int]()))
            for test, hits in sorted(found.items()):
                for file in coverage(names, hits):
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
        self._covered.note(self._kernel, self._test, self._counter.hits.by_address())
