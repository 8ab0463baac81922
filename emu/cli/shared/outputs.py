"""Files that commands write: those of a run that goes on (traces, logs), and those that are whole or not there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from emu.errors import ConfigError
from emu.patience import Patience, Work
from linker.commands.files import WholeFile


class OutputFile:
    """A file that a run writes as it goes on: what has come into it can be read, however the run ends.

    Raises ConfigError, which names the file, when it cannot be written.
    """

    def __init__(self, path: Path, open_for: Callable[[Work], object] = lambda work: work()) -> None:
        """`open_for` does what may wait for a reader so that a signal can end it."""
        self._path = path
        try:
            self._stream: BinaryIO = path.open("wb")
        except OSError as error:
            raise self._failed(error) from error
        self._is_broken = False
        self._patience = Patience(self._stream, open_for)
        self.hurry = self._patience.hurry
        """See `Patience`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if self._patience.is_short:
                self.flush()
            self._stream.close()
        except OSError as failure:
            if not self._is_broken:  # else it was told
                raise self._failed(failure) from failure

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        self._do(lambda: self._stream.write(data))

    def flush(self) -> None:
        """Hand over what was written, for whoever reads along."""
        self._do(self._stream.flush)

    def _do(self, write: Work) -> None:
        try:
            self._patience.do(write)
        except OSError as error:
            self._is_broken = True
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> ConfigError:
        return ConfigError(f"cannot write {self._path}: {error.strerror}; name another file")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A stream into a file that gets its name when all went well. Raises ConfigError when it cannot be written."""
    try:
        with WholeFile(path) as file:
            yield file.stream
    except BrokenPipeError:  # whoever read it has gone
        raise
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def needs_file(form: str) -> ConfigError:
    """The error of a format that is no text for a terminal, where no file is named."""
    return ConfigError(f"-format {form} writes a file: name it with -o FILE")
