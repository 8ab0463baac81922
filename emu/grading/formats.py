"""Grades for people and programs: xv6's text, JSON, JUnit, Gradescope's results.json, one HTML page."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.resources import files
from xml.etree import ElementTree as ET

from emu.counted import counted
from emu.errors import ConfigError
from emu.grading.results import Grade, number


def text_lines(grade: Grade, *, several: bool) -> Iterator[str]:
    """A grade as xv6's graders print it."""
    if several:
        yield f"{grade.kernel}"
    for test in grade.tests:
        yield f"== Test {test.title} == {test.title}: {'OK' if test.passed else 'FAIL'} ({test.seconds:.1f}s)"
        if not test.passed:
            yield from (f"    {line}" for line in _harmless(test.message).split("\n"))
    if grade.error:
        yield f"{grade.kernel}: {_harmless(grade.error)}"
    yield f"Score: {number(grade.score)}/{number(grade.points)}"


def as_json(grades: Sequence[Grade]) -> bytes:
    """All that is known."""
    plain = [
        {"kernel": grade.kernel, "score": grade.score, "points": grade.points, "error": grade.error,
         "tests": [asdict(test) | {"score": test.score} for test in grade.tests]}
        for grade in grades
    ]  # fmt: skip
    return json.dumps({"grades": plain}, indent=1).encode() + b"\n"


def as_gradescope(grades: Sequence[Grade]) -> bytes:
    """Gradescope's results.json (Autograder Specifications, "Output format"). Raises ConfigError for several."""
    if len(grades) != 1:
        raise ConfigError(
            f"--gradescope has the results of one submission, and {counted(len(grades), 'kernel')} were given"
        )
    grade = grades[0]
    tests = [
        {"name": test.title, "score": test.score, "max_score": test.points,
         "status": "passed" if test.passed else "failed", "output": test.message, "visibility": "visible"}
        for test in grade.tests
    ]  # fmt: skip
    made: dict[str, object] = {"score": grade.score, "output": grade.error, "visibility": "visible", "tests": tests}
    return json.dumps(made, indent=1).encode() + b"\n"


def as_junit(grades: Sequence[Grade]) -> bytes:
    """JUnit's XML, a suite for each kernel."""
    root = ET.Element("testsuites")
    for grade in grades:
        failures = sum(not test.passed for test in grade.tests)
        suite = ET.SubElement(root, "testsuite", name=grade.kernel, tests=str(len(grade.tests)), failures=str(failures))
        for test in grade.tests:
            case = ET.SubElement(suite, "testcase", classname=grade.kernel, name=test.title, time=f"{test.seconds:.3f}")
            if not test.passed:
                failure = ET.SubElement(case, "failure", message=_printable(test.message.partition("\n")[0]))
                failure.text = _printable(f"{test.message}\n{test.detail}")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root) + b"\n"


def as_page(grades: Sequence[Grade], title: str) -> bytes:
    """One HTML page for a class: a row for each kernel, a column for each test, and why each failed."""
    from jinja2 import Environment  # who wants no page does not load it

    tests = max((grade.tests for grade in grades), key=len, default=[])
    template = Environment(autoescape=True).from_string(files(__package__).joinpath("page.html").read_text("utf-8"))
    return template.render(title=title, tests=tests, grades=grades, number=number).encode("utf-8", "replace")


def _harmless(text: str) -> str:
    """What moves no terminal's cursor: a guest's console and its names can have anything."""
    return "".join(
        each if each.isprintable() or each in "\t\n" else repr(each)[1:-1] for each in text.replace("\r\n", "\n")
    )


def _printable(text: str) -> str:
    """What XML 1.0 can hold: a guest's console can have anything."""
    return "".join(
        each if each in "\t\n\r" or 32 <= ord(each) < 0xD800 or 0xE000 <= ord(each) < 0xFFFE else "?" for each in text
    )
