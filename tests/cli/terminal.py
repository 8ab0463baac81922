"""A command at a pseudo-terminal, as a user has it."""

import os
import select
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from tests.command import Process


@contextmanager
def process_of(command: list[str | Path], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that dies with the block, also where an assertion fails in it."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


class Terminal:
    """A command at a terminal of its own."""

    started: ClassVar[list[Process]] = []
    """Processes that nobody has waited for."""

    def __init__(self, *arguments: object) -> None:
        self.seen = ""
        """What `status` has read at the end."""
        self.descriptor, theirs = os.openpty()
        self.cooked = termios.tcgetattr(theirs)
        """Its settings before the command changes them."""
        self.process = Process(arguments, [theirs] * 3, Path.cwd(), terminal=True)
        os.close(theirs)
        self.started.append(self.process)

    @property
    def pid(self) -> int:
        """The command's process."""
        return self.process.pid

    def expect(self, text: str) -> str:
        seen = b""
        while text.encode() not in seen:
            assert select.select([self.descriptor], [], [], 60)[0], seen
            try:
                data = os.read(self.descriptor, 4096)
            except OSError:
                data = b""
            assert data, seen
            seen += data
        return seen.decode()

    def type(self, keys: str) -> None:
        os.write(self.descriptor, keys.encode())

    def status(self) -> int:
        with open(self.descriptor, "rb", buffering=0, closefd=True) as rest:  # noqa: PTH123  # a descriptor
            try:
                while data := rest.read(4096):
                    self.seen += data.decode()
            except OSError:  # the other end is gone
                pass
        return self.wait()

    def wait(self) -> int:
        """The exit status, when the command has ended."""
        status = self.process.wait()
        self.started.remove(self.process)
        return status

    @classmethod
    def end_all(cls) -> None:
        """Kill what is still running."""
        for process in cls.started:
            process.kill()
        cls.started.clear()
