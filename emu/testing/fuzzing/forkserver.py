"""AFL++'s forkserver protocol: `afl-fuzz` makes the inputs, counts edges by its map, and keeps what crashes.

It forks nothing here: the machine is put back instead (AFL++'s docs, "The forkserver protocol"; include/config.h).
"""

import ctypes
import os
import signal
import stat
import struct
import subprocess
from collections.abc import Mapping
from typing import Self

from emu.engine.translated.features.fuzzed import MAP_BITS
from emu.errors import ConfigError
from emu.isa.causes import FAULTED_ACCESS, ExceptionCause
from emu.testing.calls.crash import GuestCrash
from emu.testing.fuzzing.target import Failure, SanitizerReport, Target

_CONTROL, _STATUS = 198, 199
"""FORKSRV_FD and the one behind it."""
_SHM = "__AFL_SHM_ID"
_WORD = struct.Struct("<I")
_HELLO = 0
"""No options: inputs at standard input, a map of the usual size."""
_SIGNALS = {
    int(ExceptionCause.ILLEGAL_INSTRUCTION): signal.SIGILL, int(ExceptionCause.BREAKPOINT): signal.SIGTRAP,
}  # fmt: skip


def serve(target: Target, environment: Mapping[str, str]) -> int:
    """Execute what afl-fuzz asks for, until it goes away; how many executions. Raises ConfigError without afl-fuzz."""
    number = environment.get(_SHM, "")
    if not number.isdigit() or not _is_open(_CONTROL) or not _is_open(_STATUS):
        raise ConfigError(
            "--afl is for afl-fuzz to start: AFL_SKIP_BIN_CHECK=1 afl-fuzz -i DIR -o DIR -- ekernel fuzz ... --afl"
        )
    target.edges.count_into(_attached(int(number)))
    count = 0
    with _Stand() as stand:
        os.write(_STATUS, _WORD.pack(_HELLO))
        while len(os.read(_CONTROL, 4)) == 4:
            os.write(_STATUS, _WORD.pack(stand.pid))
            failure = target.run(_input(target.longest))
            count += 1
            os.write(_STATUS, _WORD.pack(_status(failure, stand)))
    return count


class _Stand:
    """A process in the place of the one that is forked otherwise: for afl-fuzz to kill when its time is over."""

    def __enter__(self) -> Self:
        self._process: subprocess.Popen[bytes] | None = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()  # it ends with its input

    @property
    def pid(self) -> int:
        """Of one that lives."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        return self._process.pid

    def wait(self) -> int:
        """Until it is killed; the signal."""
        assert self._process is not None
        return abs(self._process.wait())


def _status(failure: Failure | None, stand: _Stand) -> int:
    """What `waitpid` would say of the process."""
    if failure is None:
        return 0
    if failure.name == "hang":  # afl-fuzz measures time, and calls that a hang which it has ended itself
        return stand.wait()
    error = failure.error
    if isinstance(error, GuestCrash) and error.trap.cause not in FAULTED_ACCESS:
        return int(_SIGNALS.get(error.trap.cause, signal.SIGABRT))
    return int(signal.SIGSEGV if isinstance(error, GuestCrash | SanitizerReport) else signal.SIGABRT)


def _input(longest: int) -> bytes:
    if stat.S_ISREG(os.fstat(0).st_mode):
        return os.pread(0, longest, 0)
    return os.read(0, longest)


def _is_open(file: int) -> bool:
    try:
        os.fstat(file)
    except OSError:
        return False
    return True


def _attached(number: int) -> int:
    """The address of shared memory of System V."""
    attach = ctypes.CDLL(None, use_errno=True).shmat
    attach.restype, attach.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
    address = attach(number, None, 0)
    if address in (None, (1 << 64) - 1):
        raise ConfigError(f"{_SHM}={number}: {os.strerror(ctypes.get_errno())}; it is to hold {1 << MAP_BITS:,} bytes")
    return int(address)
