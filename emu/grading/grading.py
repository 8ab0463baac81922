"""Runs a teacher's tests against kernels, several at once, each in a process that ends when its time is up."""

import json
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from pathlib import Path

from emu.campaign.engine import Cluster, Engine, result
from emu.errors import ConfigError
from emu.grading.nursery import nursery
from emu.grading.results import Grade, Judged, with_all_tests
from emu.lateclass import dataclass

_SHOWN = 2000


@dataclass(frozen=True)
class Limits:
    """What one kernel may use."""

    instructions: int = 1_000_000_000
    """Executed in one test, and in one boot."""
    console: int = 1 << 20
    """Bytes written in one test."""
    seconds: float = 120.0
    """For all tests."""
    memory: int = 4 << 30
    """Bytes of address space of its process: the guest's memory and all else."""


def grade(
    tests: Path,
    kernels: Sequence[Path],
    limits: Limits,
    engine: Engine,
    done: Callable[[Grade], None] = lambda _grade: None,
) -> list[Grade]:
    """Judge kernels, in the order in which they were given; `done` is told of each when it is judged.

    Each is judged in a process of its own, wherever the engine has that started; a cluster is given the files.
    Raises ConfigError for files that are not there, and for an engine that fails.
    """
    for path, what in [(tests, "tests"), *((kernel, "kernel") for kernel in kernels)]:
        if not path.exists():
            raise ConfigError(f"{what} {path}: there is no such file")
    grades: list[Grade | None] = [None] * len(kernels)
    name = ""
    if isinstance(engine, Cluster):
        shared, name = engine.share(_files(tests)), engine.name
        waiting = {
            engine.submit(_judge_elsewhere, shared, tests.name, str(kernel), _read_whole(kernel), limits): number
            for number, kernel in enumerate(kernels)
        }
    else:
        waiting = {engine.submit(_judge, tests, kernel, limits): number for number, kernel in enumerate(kernels)}
    for each in as_completed(waiting):
        made = grades[waiting[each]] = result(each, name)
        done(made)
    found = [each for each in grades if each is not None]
    with_all_tests(found)
    return found


def _files(tests: Path) -> dict[str, bytes]:
    """What the tests need beside a kernel: themselves, the Python files beside them, and golden traces."""
    top, folder = tests.parent, tests if tests.is_dir() else tests.parent
    found = [*folder.rglob("*.py")] if tests.is_dir() else [tests, *folder.glob("*.py")]
    found += [path for golden in folder.rglob("__golden__") for path in golden.rglob("*.txt")]
    return {str(path.relative_to(top)): _read_whole(path) for path in found}


def _read_whole(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def _judge_elsewhere(files: dict[str, bytes], tests: str, kernel: str, image: bytes, limits: Limits) -> Grade:
    """One kernel, on a worker that has none of the files."""
    with tempfile.TemporaryDirectory(prefix="ekernel-grade-") as folder:
        for name, data in files.items():
            path = Path(folder, "tests", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        student = Path(folder, Path(kernel).name)
        student.write_bytes(image)
        made = _judge(Path(folder, "tests", tests), student, limits)
        made.kernel = kernel
        return made


def _judge(tests: Path, kernel: Path, limits: Limits) -> Grade:
    """One kernel, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="ekernel-grade-") as folder:
        results, output = Path(folder, "results"), Path(folder, "output")
        own = {
            "RLIMIT_AS": limits.memory, "RLIMIT_CPU": int(limits.seconds) + 1, "RLIMIT_FSIZE": limits.memory,
            "RLIMIT_CORE": 0,
        }  # fmt: skip
        words = [
            str(tests.resolve()), "-q", "-p", "no:cacheprovider", "-p", "emu.testing.plugin",
            f"--rootdir={tests.resolve().parent}", f"--kernel={kernel.resolve()}",
            f"--guest-instructions={limits.instructions}", f"--guest-console={limits.console}",
            f"--grading-results={results}", "--tb=short",
        ]  # fmt: skip
        own_world = {"NO_COLOR": "1", "TMPDIR": folder, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        ended = nursery().judge(
            words=words, folder=folder, output=str(output), environment=own_world, limits=own, seconds=limits.seconds
        )
        made = Grade(str(kernel), list(_read(results)))
        made.error = _error(ended, made, output, limits)
        for test in made.tests:
            if not test.passed and not test.message:
                test.message = f"not judged: {made.error or 'the tests ended before it'}"
        return made


def _read(path: Path) -> Iterator[Judged]:
    """What the worker has written."""
    tests: dict[str, Judged] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        said = json.loads(line)
        if "tests" in said:
            tests = {each["name"]: Judged(each["name"], each["title"], each["points"]) for each in said["tests"]}
        elif said["name"] in tests:
            test = tests[said["name"]]
            test.passed, test.seconds = said["passed"], said["seconds"]
            test.message, test.detail = said.get("message", ""), said.get("detail", "")
    yield from tests.values()


def _error(ended: int | None, made: Grade, output: Path, limits: Limits) -> str:
    if ended is None:
        return f"the time was up after {limits.seconds:g} s"
    if ended < 0:
        name = signal.Signals(-ended).name
        return f"its process was ended by {name}" + (" (the time was up)" if name in ("SIGXCPU", "SIGKILL") else "")
    if ended in (0, 1) and made.tests:
        return ""
    return f"pytest could not run the tests (status {ended}):\n{output.read_text(errors='replace')[-_SHOWN:].strip()}"
