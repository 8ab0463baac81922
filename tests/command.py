"""The `ekernel` command in processes that are forked from one which has its modules loaded: a third of the time.

Each run is a process of its own with its descriptors, folder, environment, signals and exit status; it begins at
`ekernel.__main__.main`. What only the interpreter's start can show is tested with COMMAND itself.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

COMMAND = str(Path(sys.executable).with_name("ekernel"))
QEMU_COMMAND = str(Path(sys.executable).with_name("ekernel-qemu"))
ROOT = Path(__file__).parents[1]
LONGEST = 120
"""Seconds that a run may take."""
MOST_TYPED = 1 << 16
"""Bytes that a pipe of Linux takes before anybody reads."""


@cache
def _server() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = [sys.executable, str(ROOT / "tests" / "forkserver.py"), str(theirs.fileno())]
    with theirs:
        server = subprocess.Popen(words, pass_fds=[theirs.fileno()], start_new_session=True)

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


class Process:
    """A run of the command, with the part of `subprocess.Popen` that its tests need."""

    def __init__(
        self, words: Sequence[object], descriptors: Sequence[int], folder: Path, *, terminal: bool = False,
        program: str = COMMAND,
    ) -> None:  # fmt: skip
        request = {
            "words": [program, *map(str, words)], "folder": str(folder), "environment": dict(os.environ),
            "terminal": terminal,
        }  # fmt: skip
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(_server(), [json.dumps(request).encode()], [*descriptors, theirs.fileno()])
        ours.settimeout(LONGEST)
        self._report = ours.makefile("r")
        ours.close()
        self.pid = int(self._report.readline())
        self.returncode: int | None = None

    def wait(self) -> int:
        """The exit status when the process has ended: minus the number of a signal that has ended it."""
        if self.returncode is None:
            with self._report:
                self.returncode = int(self._report.readline())
        return self.returncode

    def kill(self) -> None:
        """End the process, if it has not ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait()


@contextmanager
def running(
    words: Sequence[object], folder: Path, typed: bytes | None = None, *, program: str = COMMAND
) -> Iterator[tuple[Process, BinaryIO, BinaryIO, BinaryIO]]:
    """A process that dies with the block, and the other ends of the pipes that are its streams.

    `typed` is all that it can ever read, and is there before it starts: a guest that runs up to a limit meets it
    however late the host lets this process go on.
    """
    (stdin, to_it), (from_it, stdout), (told, stderr) = (os.pipe() for _ in range(3))
    typing = open(to_it, "wb")  # noqa: PTH123, SIM115  # a descriptor; closed below
    with open(from_it, "rb") as output, open(told, "rb") as errors:  # noqa: PTH123  # descriptors
        try:
            if typed is not None:
                assert len(typed) <= MOST_TYPED
                typing.write(typed)
                typing.close()
            process = Process(words, (stdin, stdout, stderr), folder, program=program)
            for theirs in (stdin, stdout, stderr):
                os.close(theirs)
            try:
                yield process, typing, output, errors
            finally:
                process.kill()
        finally:
            with suppress(BrokenPipeError):  # nobody has read what still waits to be written
                typing.close()


def run_bytes(
    words: Sequence[object], folder: Path, typed: bytes = b"", *, program: str = COMMAND
) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end with pipes as its streams, as `subprocess.run` does."""
    with (
        ThreadPoolExecutor() as pool,
        running(words, folder, typed, program=program) as (process, _, stdout, stderr),
    ):
        output, errors = pool.submit(stdout.read), pool.submit(stderr.read)
        shown = output.result(LONGEST), errors.result(LONGEST)
        return subprocess.CompletedProcess([program, *map(str, words)], process.wait(), *shown)


def run(
    words: Sequence[object], folder: Path, typed: str = "", *, program: str = COMMAND
) -> subprocess.CompletedProcess[str]:
    """The same in text."""
    done = run_bytes(words, folder, typed.encode(), program=program)
    shown = (text.decode().replace("\r\n", "\n").replace("\r", "\n") for text in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, *shown)
