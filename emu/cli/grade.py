"""`ekernel grade`: a teacher's tests against students' kernels."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from emu.campaign.engine import Engine, cluster, threads
from emu.cli.words.qemu import parse_size
from emu.cli.words.reading import Group, Words, add_help, count, seconds
from emu.errors import ConfigError
from emu.grading.formats import as_gradescope, as_json, as_junit, as_page, text_lines
from emu.grading.grading import Limits, grade
from emu.grading.results import Grade
from emu.terminal.signals import Signals
from linker.commands.files import write_whole


class GradeWords:
    """What was asked for, as it was typed."""

    tests: Path
    kernels: list[Path]
    jobs: int | None
    scheduler: str | None
    instructions: int
    console: int
    timeout: float
    memory: str
    json: Path | None
    junit: Path | None
    gradescope: Path | None
    html: Path | None
    quiet: bool


def options() -> Words:
    """The words of `ekernel grade`."""
    plain = Limits()
    words = Words(
        "ekernel grade",
        "Run the pytest file TESTS against each KERNEL, in a process of its own with limits, and give points. The exit "
        "status is 0 when every kernel has all of them, 1 when not, 125 for bad input.",
        operands=" TESTS KERNEL...",
    )
    words.operand("tests", form="TESTS", kind=Path, text="A file of tests for the fixture `machine`.")
    words.operand("kernels", form="KERNEL", kind=Path, many="+", text="ELF files or other images.")
    group = Group(words, "Limits of each kernel")
    group.value(
        "--max-instructions", to="instructions", form="N", kind=count, default=plain.instructions,
        text=f"Instructions in one test, and in its boot ({plain.instructions:,}): the same on every computer.",
    )  # fmt: skip
    group.value(
        "--max-console", to="console", form="BYTES", kind=count, default=plain.console,
        text=f"Bytes on the console in one test ({plain.console:,}).",
    )  # fmt: skip
    group.value(
        "--timeout", to="timeout", form="SECONDS", kind=seconds, default=plain.seconds,
        text=f"Seconds for all tests of a kernel ({plain.seconds:g}).",
    )  # fmt: skip
    group.value("--max-memory", to="memory", form="SIZE", default="4G", text="Memory of its process (4G).")
    group.value("-j", "--jobs", to="jobs", form="N", kind=count, text="Kernels at once on this computer (its cores).")
    group.value(
        "--scheduler", to="scheduler", form="tcp://HOST:PORT",
        text="Judge on the workers of a scheduler of dask.distributed.",
    )  # fmt: skip
    group = Group(words, "Results")
    group.value("--json", to="json", form="FILE", kind=Path, text="Everything, as JSON.")
    group.value("--junit", to="junit", form="FILE", kind=Path, text="JUnit's XML, a suite for each kernel.")
    group.value(
        "--gradescope", to="gradescope", form="FILE", kind=Path, text="Gradescope's results.json, of one kernel."
    )
    group.value("--html", to="html", form="FILE", kind=Path, text="One page for the class.")
    group.flag("-q", "--quiet", to="quiet", text="Print scores alone.")
    add_help(words)
    return words


def main(words: Sequence[str], _signals: Signals) -> int:
    """Judge, and write what was asked for. Raises ConfigError for what cannot be read or written."""
    request = options().read(words, GradeWords())
    if request.gradescope is not None:
        as_gradescope([Grade("")] * len(request.kernels))  # before the work, not after it
    limits = Limits(request.instructions, request.console, request.timeout, parse_size(request.memory))
    with _engine(request) as engine:
        grades = grade(request.tests, request.kernels, limits, engine, _progress(request))
    for each in grades:
        lines = list(text_lines(each, several=len(grades) > 1))
        shown = [*lines[: len(grades) > 1], lines[-1]] if request.quiet else lines
        print("\n".join(shown), flush=True)
    for path, made in (
        (request.json, as_json), (request.junit, as_junit), (request.gradescope, as_gradescope),
        (request.html, lambda found: as_page(found, request.tests.stem)),
    ):  # fmt: skip
        if path is not None:
            _write(path, made(grades))
    return int(any(each.error or each.score < each.points for each in grades))


def _engine(request: GradeWords) -> AbstractContextManager[Engine]:
    """Here threads that wait for a process each: whoever is killed is a student's process, and that is known."""
    if request.scheduler is None:
        return threads(max(os.cpu_count() or 1 if request.jobs is None else request.jobs, 1))
    if request.jobs is not None:
        raise ConfigError("-j: the workers of --scheduler say how many kernels are judged at once; leave -j out")
    return cluster(request.scheduler, os.cpu_count() or 1, lambda text: print(f"ekernel: {text}", file=sys.stderr))


def _progress(request: GradeWords) -> Callable[[Grade], None]:
    """Says on a terminal who is judged, while others are not yet."""
    if len(request.kernels) < 2 or not sys.stderr.isatty():
        return lambda _grade: None
    left = len(request.kernels)

    def tell(made: Grade) -> None:
        nonlocal left
        left -= 1
        print(f"ekernel: {made.kernel} is judged, {left} left", file=sys.stderr)

    return tell


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
