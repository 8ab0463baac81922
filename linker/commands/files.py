"""Reading inputs and writing outputs of commands: an output is complete, or is not there."""

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

if TYPE_CHECKING:
    from linker.errors import Diagnostic, ObjectFileError, ToolchainError

_NO_NAME = "which file? The word is empty"
_MAX_INPUT = 1 << 30
"""Bytes that an input may have; a device such as /dev/zero has no end."""


def read_input(path: str | Path) -> bytes:
    """The bytes of a file. Raises ObjectFileError when it cannot be read."""
    if not os.fspath(path):
        raise _error(_NO_NAME, path)
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(_MAX_INPUT + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _error(f"cannot read the file: {reason}", path) from None
    if len(content) > _MAX_INPUT:
        raise _error(f"the file does not end within {_MAX_INPUT >> 20} MiB", path)
    return content


class WholeFile:
    """An output that appears under its name when it is complete, or not at all; meanwhile it has no name.

    Links are followed, and a device or a pipe is written to. Raises OSError or ValueError.
    """

    def __init__(self, path: str | Path, *, executable: bool = False) -> None:
        self._mode = 0o777 if executable else 0o666
        self._temporary: str | None = None
        self._target: str | None = None
        if not os.fspath(path):
            raise ValueError(_NO_NAME)
        if _is_written_to(path):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        else:
            self._target = os.path.realpath(path)
            handle = self._open(os.path.split(self._target)[0])
        self.stream: BinaryIO = os.fdopen(handle, "wb")
        """Takes the contents."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.finish()
        else:
            self.discard()

    def finish(self) -> None:
        """Give the file its name."""
        try:
            self.stream.flush()
            if self._target is not None and self._temporary is None:
                self._name(self._target)
            if self._target is not None and self._temporary is not None:
                Path(self._temporary).replace(self._target)
                self._temporary = None
        finally:
            self.discard()

    def discard(self) -> None:
        """Leave nothing behind of what was not finished."""
        with suppress(OSError):  # what could not be written is not wanted either
            self.stream.close()
        if self._temporary is not None:
            Path(self._temporary).unlink(missing_ok=True)

    def _open(self, folder: str) -> int:
        """A file without a name, which no signal can leave behind; under another name where the host has no such."""
        try:
            return os.open(folder, os.O_WRONLY | os.O_TMPFILE, self._mode)
        except (AttributeError, IsADirectoryError):
            pass
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
        import tempfile  # which needs much that no host with nameless files does

        handle, self._temporary = tempfile.mkstemp(dir=folder, prefix=".ekernel-")
        mask = os.umask(0)
        os.umask(mask)
        Path(self._temporary).chmod(self._mode & ~mask)
        return handle

    def _name(self, target: str) -> None:
        """Link the nameless file to its name, or to another one where that is taken."""
        folder = os.path.split(target)[0]
        source = f"/proc/self/fd/{self.stream.fileno()}"
        directory = os.open(folder, os.O_RDONLY)
        try:
            try:
                os.link(source, target, src_dir_fd=directory)  # with a folder given, Python has the link followed
            except FileExistsError:
                other = os.path.join(folder, f".ekernel-{os.getpid()}-{self.stream.fileno()}")  # noqa: PTH118  # as text
                os.link(source, other, src_dir_fd=directory)
                self._temporary = other
        finally:
            os.close(directory)


def _is_written_to(path: str | Path) -> bool:
    """Whether an output goes into what is there already: a device, a pipe, what a process has open."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  # a path as the user wrote it
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return not stat.S_ISREG(mode) or os.path.abspath(path).startswith(("/dev/", "/proc/"))  # noqa: PTH100  # no links


def _error(text: str, path: str | Path) -> "ObjectFileError":
    from linker.errors import Diagnostic, Location, ObjectFileError  # whose dataclasses cost 20 ms

    return ObjectFileError([Diagnostic(text, Location(str(path) or "''"))])


def write_whole(path: str | Path, data: bytes, *, executable: bool = False) -> None:
    """Write a file so that nobody ever sees half of it. Raises OSError or ValueError."""
    with WholeFile(path, executable=executable) as file:
        file.stream.write(data)


def write_output(path: str | Path, data: bytes, *, executable: bool = False) -> None:
    """As `write_whole`, for a command's output. Raises ObjectFileError."""
    try:
        write_whole(path, data, executable=executable)
    except BrokenPipeError:  # whoever read the output has gone
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _error(f"cannot write the file: {reason}", path) from None


def show(error: "ToolchainError | Diagnostic") -> None:
    """Print an error or a warning on stderr, as compilers do."""
    print(error, file=sys.stderr)
