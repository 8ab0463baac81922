"""A command at a pseudo-terminal, as a user has it."""

import os
import pty
import select
import sys
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("ekernel"))


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, *arguments: object) -> None:
        self.seen = ""
        """What `status` has read at the end."""
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execv(COMMAND, [COMMAND, *map(str, arguments)])  # noqa: S606  # no shell is wanted

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
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
