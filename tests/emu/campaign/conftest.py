"""A scheduler of dask.distributed with workers, each a process of its own that a test may kill."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

DASK = str(Path(sys.executable).parent / "dask")


def _started(words: list[str], said: str, folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A process, when it has said something on its standard error, and what that was."""
    process = subprocess.Popen(
        [DASK, *words], cwd=folder, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(said, line):
            return process, found[1]
    raise AssertionError(f"{words} has ended")


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], str]]:
    """Starts a scheduler with so many workers, which work for it already; its address."""
    folder, running = tmp_path_factory.mktemp("cluster"), []

    def start(workers: int) -> str:
        scheduler, address = _started(
            ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"], r"Scheduler at: +(tcp:\S+)", folder
        )
        running.append(scheduler)
        for _ in range(workers):
            words = ["worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard"]
            worker, _ = _started(words, r"(Registered) to:", folder)
            running.append(worker)
        return address

    yield start
    for process in reversed(running):
        process.kill()
    for process in running:
        process.communicate()
