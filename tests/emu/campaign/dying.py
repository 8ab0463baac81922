"""A target whose process is killed in the middle of a batch, once: workers import this."""

import os
import signal
from pathlib import Path
from typing import NoReturn

from emu.machine import Machine
from emu.testing.fuzzing.target import Failure, Inputs, Target

EXECUTIONS = 900


def opened(path: Path, marker: Path | None) -> Target:
    target = Target(Machine.open(path), "parse", Inputs.parse("a0=buffer,a1=length"))
    run, left = target.run, EXECUTIONS

    def counted(data: bytes) -> Failure | None:
        nonlocal left
        left -= 1
        if not left and marker is not None and not marker.exists():
            die(marker)
        return run(data)

    target.run = counted  # type: ignore[method-assign]
    return target


def die(marker: Path) -> NoReturn:
    marker.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a process lives on")
