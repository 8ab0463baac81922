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
        """What was shown behind all that was expected, when `status` has been asked for."""
        self._unread = b""
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
        """All that is shown up to this text. What lies behind it is kept, however much the host hands on at once."""
        while (place := self._unread.find(text.encode())) < 0:
            assert select.select([self.descriptor], [], [], 60)[0], self._unread
            try:
                data = os.read(self.descriptor, 4096)
            except OSError:
                data = b""
            assert data, self._unread
            self._unread += data
        end = place + len(text.encode())
        seen, self._unread = self._unread[:end], self._unread[end:]
        return seen.decode()

    def type(self, keys: str) -> None:
        os.write(self.descriptor, keys.encode())

    def status(self) -> int:
        with open(self.descriptor, "rb", buffering=0, closefd=True) as rest:  # noqa: PTH123  # a descriptor
            try:
                while data := rest.read(4096):
                    self._unread += data
            except OSError:  # the other end is gone
                pass
        self.seen = self._unread.decode()
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
