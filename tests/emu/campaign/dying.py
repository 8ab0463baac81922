"""A target whose process is killed in the middle of a batch, once: workers import this."""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from emu.machine import Machine
from emu.testing.fuzzing.target import Failure, Inputs, Target

EXECUTIONS = 900


def opened(path: Path, marker: Path | None) -> Target:
    target = Target(Machine.open(path), "parse", Inputs.parse("a0=buffer,a1=length"))
    run_all, left = target.run_all, EXECUTIONS

    def counted(inputs: Sequence[bytes]) -> tuple[int, Failure | None]:
        nonlocal left
        if left <= 0 and marker is not None:
            die_if_first(marker)
        number, failure = run_all(inputs)
        left -= number
        return number, failure

    target.run_all = counted  # type: ignore[method-assign]
    return target


def die_if_first(marker: Path) -> None:
    """Of several that come here at the same time one makes the file, and dies."""
    with suppress(FileExistsError):
        marker.touch(exist_ok=False)
        os.kill(os.getpid(), signal.SIGKILL)
