"""Rows of the table: what was measured, beside what, and whether the target is met."""

import resource
import subprocess
import time
from collections.abc import Callable, Sequence

from figures.size import size


def row(what: str, *values: str, target: str = "", met: bool | None = None) -> None:
    """Print a row. `target` says what the value is to be at most."""
    verdict = {None: "", True: "met", False: "NOT met"}[met]
    print(f"{what:42}{'  '.join(values):50}{target:24}{verdict}".rstrip(), flush=True)


def title(text: str) -> None:
    """Print the head of a part."""
    print(f"\n{text}", flush=True)


def ratio(what: str, seconds: float, beside: str, reference: float, at_most: float) -> None:
    """Print a time, a reference, and their ratio beside its target."""
    value = seconds / reference
    row(
        what, f"{seconds:.3f} s", f"{beside} {reference:.3f} s", f"{value:.2f} times",
        target=f"at most {at_most:g} times", met=value <= at_most,
    )  # fmt: skip


def microseconds(what: str, exact: float, fast: float, at_most: float | None = None) -> None:
    """Print seconds in both fidelities as microseconds; the larger must meet the target."""
    target = "" if at_most is None else f"at most {at_most:g} us"
    met = None if at_most is None else max(exact, fast) <= at_most / 1e6
    row(what, f"exact {exact * 1e6:7.3f} us", f"fast {fast * 1e6:7.3f} us", target=target, met=met)


def best(measure: Callable[[], float], rounds: int = 3) -> float:
    """The smallest of several measurements."""
    return min(measure() for _ in range(size(rounds)))


def processor_time(command: Sequence[str]) -> float:
    """Seconds of processor time that a command takes, which must succeed; other load does not change them much."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def wall(command: Sequence[str]) -> float:
    """Seconds that a command takes, which must succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return time.perf_counter() - start
