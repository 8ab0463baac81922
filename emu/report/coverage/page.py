"""Coverage as one page of HTML: each file with its source, its branches, and which tests have executed each line."""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path

from emu.record.coverage import FileCoverage

_MOST_TESTS = 8
"""Tests that a line names."""
_MOST_BYTES = 1 << 22
"""Of a source file that is shown."""


def coverage_page(title: str, covered: Iterable[FileCoverage], tests: Mapping[str, Mapping[int, list[str]]]) -> str:
    """The page. `tests` names, for each file and line, the tests that have executed it."""
    from jinja2 import Environment  # who wants no page does not load it

    shown = [_file(file, tests.get(file.path, {})) for file in covered if file.lines]
    source = files(__package__).joinpath("page.html").read_text("utf-8")
    page = Environment(autoescape=True).from_string(source)
    return page.render(title=title, files=shown)


def _file(file: FileCoverage, tests: Mapping[int, list[str]]) -> dict[str, object]:
    source, note = _source(file.path)
    wide = len(str(max(len(source), *file.lines)))
    most = max(len(f"{times:,}") for times in file.lines.values())
    shown = [f"{sum(branch.ways for branch in line)}/{2 * len(line)}" for line in file.branches.values()]
    wide_ways = max(map(len, shown), default=0)
    numbers: Iterable[int] = range(1, len(source) + 1) if source else sorted(file.lines)
    lines = []
    for number in numbers:
        times = file.lines.get(number)
        names = tests.get(number, [])
        branches = file.branches.get(number, [])
        gone, ways = sum(branch.ways for branch in branches), 2 * len(branches)
        lines.append({
            "number": f"{number:>{wide}}", "times": f"{'' if times is None else f'{times:,}':>{most}}",
            "text": source[number - 1] if source else "", "tests": ", ".join(names[:_MOST_TESTS]) + _more(names),
            "ways": f"{f'{gone}/{ways}' if branches else '':>{wide_ways}}",
            "kind": "" if times is None else "never" if not times else "part" if gone < ways else "run",
        })  # fmt: skip
    missed = ", ".join(function.name for function in file.functions if not function.executed)
    gone, ways = file.ways
    percent = f"{100 * file.lines_executed / len(file.lines):.1f} %"
    return {
        "path": file.path or "(no source file)", "run": f"{file.lines_executed:,}", "total": f"{len(file.lines):,}",
        "percent": percent, "ways": f"{gone:,} of {ways:,}" if ways else "", "missed": missed, "lines": lines,
        "note": note, "wide": wide_ways,
    }  # fmt: skip


def _more(names: list[str]) -> str:
    return f" and {len(names) - _MOST_TESTS:,} more" if len(names) > _MOST_TESTS else ""


def _source(path: str) -> tuple[list[str], str]:
    """The lines of a source file, or why there are none."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(_MOST_BYTES).decode(errors="replace").splitlines(), ""
    except (OSError, ValueError) as error:
        return [], f"The source is not shown: {getattr(error, 'strerror', None) or error}."
