"""Reading inputs and writing outputs of commands: an output is complete, or is not there."""

import os
import sys
import tempfile
from pathlib import Path

from linker.errors import Diagnostic, Location, ObjectFileError, ToolchainError

_MAX_INPUT = 1 << 30
"""Bytes that an input may have; a device such as /dev/zero has no end."""


def read_input(path: str | Path) -> bytes:
    """The bytes of a file. Raises ObjectFileError when it cannot be read."""
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(_MAX_INPUT + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ObjectFileError([Diagnostic(f"cannot read the file: {reason}", Location(str(path)))]) from None
    if len(content) > _MAX_INPUT:
        raise ObjectFileError([Diagnostic(f"the file does not end within {_MAX_INPUT >> 20} MiB", Location(str(path)))])
    return content


def write_whole(path: str | Path, data: bytes, *, executable: bool = False) -> None:
    """Write a file under another name and rename it: nobody ever sees half of it. Raises OSError or ValueError."""
    target = Path(path)
    if target.exists() and not target.is_file():  # a device such as /dev/null
        target.write_bytes(data)
        return
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".ekernel-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod((0o777 if executable else 0o666) & ~mask)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_output(path: str | Path, data: bytes, *, executable: bool = False) -> None:
    """As `write_whole`, for a command's output. Raises ObjectFileError."""
    try:
        write_whole(path, data, executable=executable)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ObjectFileError([Diagnostic(f"cannot write the file: {reason}", Location(str(path)))]) from None


def show(error: ToolchainError | Diagnostic) -> None:
    """Print an error or a warning on stderr, as compilers do."""
    print(error, file=sys.stderr)
