"""A process that has loaded pytest and what tests of kernels need, and forks for each kernel that is judged."""

import ctypes
import gc
import json
import os
import resource
import signal
import sys
import tempfile
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
"""prctl(2)."""
_LOADED = (
    "pytest", "pdb", "capstone", "elftools.dwarf.dwarfinfo", "emu.grading.judge", "emu.testing.plugin",
    "emu.testing.judging", "emu.testing.machines", "emu.testing.failures", "emu.testing.limits", "emu.testing.console",
    "emu.testing.accounts", "emu.testing.differences", "emu.testing.execute", "emu.machine", "emu.engine.native",
    "emu.testing.calls.function", "emu.testing.golden", "emu.hart.exact.hart", "emu.firmware.debugtypes", "ekernel",
    "faulthandler",
)  # fmt: skip
"""What most tests use. The rest is loaded by who uses it."""


def main() -> int:
    """Read orders, a line of JSON each, and answer each with the status of its process, null when its time was up."""
    _end_with_the_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in _LOADED:
        import_module(name)
    for name in import_module("_pytest.config").default_plugins:
        import_module(f"_pytest.{name}")
    gc.collect()
    gc.freeze()  # what is shared with the processes of kernels stays shared
    for line in sys.stdin:
        answers.write(f"{json.dumps(_judged(json.loads(line)))}\n")
        answers.flush()
    return 0


def _judged(order: dict[str, Any]) -> int | None:
    """The exit status of a process for one kernel. Nothing of its group is left running."""
    seconds, is_late = order.pop("seconds"), False
    process = os.fork()
    if process == 0:
        _judge(**order)

    def end(*_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)

    def time_up(*_: object) -> None:
        nonlocal is_late
        is_late = True
        end()

    signal.signal(signal.SIGALRM, time_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    status = os.waitpid(process, 0)[1]
    signal.setitimer(signal.ITIMER_REAL, 0)
    end()
    return None if is_late else os.waitstatus_to_exitcode(status)


def _judge(words: list[str], folder: str, output: str, environment: dict[str, str], limits: dict[str, int]) -> NoReturn:
    """Become a process of its own, limit it, and run pytest."""
    status = 3
    try:
        os.setsid()
        _end_with_the_parent()
        os.chdir(folder)
        os.environ.update(environment)
        tempfile.tempdir = None  # the environment names another one
        nothing, written = os.open(os.devnull, os.O_RDONLY), os.open(output, os.O_WRONLY | os.O_CREAT, 0o600)
        for source, target in ((nothing, 0), (written, 1), (written, 2)):
            os.dup2(source, target)
        for name, value in limits.items():
            number = getattr(resource, name)
            hard = resource.getrlimit(number)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (value, value))
        sys.dont_write_bytecode = True  # pytest keeps what it rewrote beside the teacher's file, where nobody wants it
        import pytest

        status = int(pytest.main(words, plugins=["emu.grading.judge"]))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _end_with_the_parent() -> None:
    """Who started this may be killed, and would not end it then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
