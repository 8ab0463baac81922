"""Where the processes come from in which kernels are judged: forked from one that has loaded pytest already."""

import json
import subprocess
import sys
import threading
from typing import Any

from emu.errors import ConfigError

_SHOWN = 2000
"""Characters of what a nursery says before it ends."""


class Nursery:
    """A worker of a thread that waits for it: the first kernel has it started, and it ends with this process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def judge(self, **order: Any) -> int | None:
        """The exit status of a process with an order of `emu.grading.worker`; None when its time was up.

        Raises ConfigError when no process can be had.
        """
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "emu.grading.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        answer = ""
        try:
            process.stdin.write(f"{json.dumps(order)}\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            pass
        if not answer:
            status = process.wait()
            if status < 0:
                return status  # whoever killed it has killed what it waited for
            assert process.stderr is not None
            said = process.stderr.read()[-_SHOWN:].strip()
            raise ConfigError(f"the process that judges kernels has ended (status {status}):\n{said}")
        result: int | None = json.loads(answer)
        return result


def nursery() -> Nursery:
    """The one of this thread."""
    if not hasattr(_OF_THREAD, "nursery"):
        _OF_THREAD.nursery = Nursery()
    made: Nursery = _OF_THREAD.nursery
    return made


_OF_THREAD = threading.local()
