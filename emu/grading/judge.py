"""The part of grading that runs inside pytest: it writes which tests there are, and what became of each."""

import argparse
import inspect
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

_KIND = re.compile(r"^(?:emu\.[\w.]+|(?:[\w.]+\.)?(?:AssertionError|Failed)): ")
"""Exceptions whose text says all: ekernel's own, and those of tests."""
_MESSAGE, _DETAIL = 4000, 20_000
"""Characters."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the results go."""
    parser.addoption("--grading-results", type=Path, required=False, help=argparse.SUPPRESS)


def pytest_configure(config: pytest.Config) -> None:
    """Begin."""
    path = config.getoption("--grading-results")
    if path is not None:
        config.pluginmanager.register(_Judge(path), "ekernel-judge")


class _Judge:
    """Writes a line for each thing that is known, at once: what is lost when the process ends is the rest."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._failed: dict[str, dict[str, Any]] = {}
        self._seconds: dict[str, float] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Say which tests there are."""
        self._write(
            {"tests": [{"name": item.nodeid, "title": _title(item), "points": _points(item)} for item in session.items]}
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what became of a part of a test, and say it when the test has ended."""
        name = report.nodeid
        self._seconds[name] = self._seconds.get(name, 0.0) + report.duration
        if (report.failed or (report.skipped and report.when == "setup")) and name not in self._failed:
            detail = "\n".join(f"{title}\n{text}" for title, text in report.sections)
            self._failed[name] = {"message": _message(report)[:_MESSAGE], "detail": detail[:_DETAIL]}
        if report.when == "teardown":
            failure = self._failed.pop(name, None)
            self._write({"name": name, "passed": failure is None, "seconds": self._seconds[name], **(failure or {})})

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


def _title(item: pytest.Item) -> str:
    text = inspect.getdoc(getattr(item, "function", None)) or item.name.removeprefix("test_").replace("_", " ")
    return text.splitlines()[0]


def _points(item: pytest.Item) -> float:
    mark = item.get_closest_marker("points")
    if mark is None:
        return 1
    value = mark.args[0] if mark.args else 1
    if not isinstance(value, int | float) or value < 0:
        raise pytest.UsageError(f"{item.nodeid}: points({value!r}): give a number from 0 on")
    return float(value)


def _message(report: pytest.TestReport) -> str:
    if report.skipped and isinstance(report.longrepr, tuple):
        return f"not judged: {report.longrepr[2]}"
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message if crash is not None else report.longrepr or "")
    return _KIND.sub("", text)
