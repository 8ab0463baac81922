"""What a guest opens through semihosting: the console, and files of the host below one folder that the user named."""

import errno
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from emu.errors import ConfigError
from emu.machine.console import Keyboard

LARGEST_TRANSFER = 1 << 26
"""Bytes that one call moves at most."""
LONGEST_TEXT = 1 << 24
"""Bytes of a text up to its zero byte."""
LONGEST_NAME = 4096
"""Bytes of a file's name."""
_LARGEST_OFFSET = (1 << 63) - 1
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ORDINARY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Flags of every file: no link out of the folder is followed, and nothing that would wait is waited for."""
_PERMISSIONS = 0o644
_NO_FILE = -1


class InputMissing(Exception):
    """The guest reads what was not typed yet: it has to ask again."""


class Stream(Protocol):
    """Something that a guest has opened. Every method may raise OSError."""

    is_terminal: bool

    def read(self, length: int) -> bytes:
        """The next bytes, at most so many; none at the end. Raises InputMissing where they are still to come."""

    def write(self, data: bytes) -> int:
        """Write; returns how many bytes were taken."""

    def seek(self, position: int) -> None:
        """Go to a position counted from the start."""

    @property
    def length(self) -> int:
        """Bytes from the start to the end."""

    @property
    def position(self) -> int:
        """Where the next byte is read or written, to return to with `seek`."""


class ConsoleStream:
    """The console, which the guest opens as `:tt`."""

    is_terminal = True
    length = position = 0

    def __init__(self, write: Callable[[bytes], None], keyboard: Keyboard) -> None:
        self._write, self._keyboard = write, keyboard

    def read(self, length: int) -> bytes:
        """What was typed, at most so many bytes."""
        found = bytearray()
        while len(found) < length and (byte := self._keyboard.take()) >= 0:
            found.append(byte)
        if not found and length and not self._keyboard.ended:
            raise InputMissing
        return bytes(found)

    def write(self, data: bytes) -> int:
        """Show bytes on the console."""
        self._write(data)
        return len(data)

    def seek(self, position: int) -> None:  # noqa: ARG002  # the same for all streams
        """Raise OSError: a console has no positions."""
        raise OSError(errno.ESPIPE, os.strerror(errno.ESPIPE))


class FixedStream:
    """Bytes that can only be read."""

    is_terminal = False

    def __init__(self, content: bytes) -> None:
        self._content, self.position = content, 0

    @property
    def length(self) -> int:
        """Bytes in all."""
        return len(self._content)

    def read(self, length: int) -> bytes:
        """The next bytes, at most so many."""
        found = self._content[self.position : self.position + length]
        self.position += len(found)
        return found

    def write(self, data: bytes) -> int:  # noqa: ARG002  # the same for all streams
        """Raise OSError."""
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def seek(self, position: int) -> None:
        """Go to a position counted from the start."""
        self.position = position


class FileStream:
    """An ordinary file of the host; closed when nobody holds it any more."""

    is_terminal = False

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)

    @property
    def length(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._descriptor).st_size

    @property
    def position(self) -> int:
        """Where the next byte is read or written."""
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def read(self, length: int) -> bytes:
        """The next bytes, at most so many."""
        return os.read(self._descriptor, min(length, max(0, self.length - self.position)))

    def write(self, data: bytes) -> int:
        """Write at the position; returns how many bytes were taken."""
        return os.write(self._descriptor, data)

    def seek(self, position: int) -> None:
        """Go to a position counted from the start."""
        if position > _LARGEST_OFFSET:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        os.lseek(self._descriptor, position, os.SEEK_SET)


class HostFolder:
    """The only part of the host's files that a guest reaches; without a folder every name is refused.

    Names are relative to the folder. Absolute ones, `..` and symbolic links are refused, and so is whatever is not an
    ordinary file: each part of a name is opened from the folder before it, so nothing can be exchanged meanwhile.
    """

    def __init__(self, path: str | Path | None) -> None:
        """Raises ConfigError for what is not a folder."""
        self._root = _NO_FILE
        if path is None:
            return
        try:
            self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ConfigError(
                f"semihosting files in {path}: {os.strerror(error.errno or 0)}; name a folder that exists"
            ) from None
        weakref.finalize(self, os.close, self._root)

    @property
    def exists(self) -> bool:
        """Whether the user has named a folder."""
        return self._root != _NO_FILE

    def open(self, name: bytes, flags: int) -> FileStream:
        """Open an ordinary file with flags of `os.open`."""
        parent, last = self._parent(name)
        try:
            descriptor = os.open(last, flags | _ORDINARY, _PERMISSIONS, dir_fd=parent)
        finally:
            os.close(parent)
        if not S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return FileStream(descriptor)

    def remove(self, name: bytes) -> None:
        """Remove a file."""
        parent, last = self._parent(name)
        try:
            os.unlink(last, dir_fd=parent)
        finally:
            os.close(parent)

    def rename(self, old: bytes, new: bytes) -> None:
        """Rename a file."""
        old_parent, old_last = self._parent(old)
        try:
            new_parent, new_last = self._parent(new)
            try:
                os.rename(old_last, new_last, src_dir_fd=old_parent, dst_dir_fd=new_parent)
            finally:
                os.close(new_parent)
        finally:
            os.close(old_parent)

    def _parent(self, name: bytes) -> tuple[int, bytes]:
        """The folder of a name, opened, and the last part of the name."""
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if not self.exists or name.startswith(b"/") or b".." in parts or b"\0" in name:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        if not parts:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        folder = os.dup(self._root)
        for part in parts[:-1]:
            try:
                inner = os.open(part, _DIRECTORY, dir_fd=folder)
            finally:
                os.close(folder)
            folder = inner
        return folder, parts[-1]
