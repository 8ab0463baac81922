"""Where a campaign keeps what it finds: in folders, or in memory for somebody else to keep."""

import hashlib
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import NamedTuple, Protocol

from emu.errors import ConfigError
from linker.commands.files import write_whole

FIRST = (b"", bytes(16), b"0123456789abcdef")
"""Inputs to begin with where there are none."""


class Crash(NamedTuple):
    """An input that fails."""

    key: Hashable
    """The same for what is the same mistake."""
    name: str
    """For a file."""
    data: bytes
    text: str
    """What is to be told of it, but for the line that executes it again."""


class Keeper(Protocol):
    """Gets inputs as soon as they are known."""

    def add(self, data: bytes) -> None:
        """One that has led to something new."""

    def fail(self, crash: Crash) -> tuple[str, str]:
        """One that fails; where it was put, and the whole report."""


class Folders:
    """A corpus and its crashes, in files."""

    def __init__(self, corpus: Path, crashes: Path, replay: Callable[[Path], str]) -> None:
        """`corpus` holds inputs, and gets those that are found; `crashes` gets those that fail, with their reports.

        `replay` says what executes an input in a file again.
        """
        self._corpus, self._crashes, self._replay = corpus, crashes, replay

    def read(self, longest: int) -> list[bytes]:
        """The inputs to begin with. Raises ConfigError for a folder that cannot be used."""
        try:
            self._corpus.mkdir(parents=True, exist_ok=True)
            files = sorted(path for path in self._corpus.iterdir() if path.is_file() and not path.name.startswith("."))
            return [path.read_bytes()[:longest] for path in files] or list(FIRST)
        except OSError as error:
            raise ConfigError(f"--corpus {self._corpus}: {error.strerror}") from None

    def add(self, data: bytes) -> None:
        """Write it, all or nothing. Raises ConfigError."""
        path = self._corpus / hashlib.sha256(data).hexdigest()[:16]
        try:
            write_whole(path, data)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from None

    def fail(self, crash: Crash) -> tuple[str, str]:
        """Write it and its report beside it. Raises ConfigError."""
        path, number = self._crashes / crash.name, 2
        try:
            while path.exists() and path.read_bytes() != crash.data:  # of another stack, or of another campaign
                path, number = self._crashes / f"{crash.name}-{number}", number + 1
            whole = f"{crash.text}replay: {self._replay(path)}\n"
            self._crashes.mkdir(parents=True, exist_ok=True)
            write_whole(path, crash.data)
            write_whole(path.with_name(path.name + ".txt"), whole.encode())
        except OSError as error:
            raise ConfigError(f"{self._crashes}: {error.strerror}") from None
        return str(path), whole


class Gathered:
    """Holds what was found, in its order."""

    def __init__(self) -> None:
        self.inputs: list[bytes] = []
        self.crashes: list[Crash] = []

    def add(self, data: bytes) -> None:
        """See `Keeper`."""
        self.inputs.append(data)

    def fail(self, crash: Crash) -> tuple[str, str]:
        """See `Keeper`."""
        self.crashes.append(crash)
        return "", crash.text
