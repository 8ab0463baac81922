"""Finds included files and reads source text."""

import errno
from collections.abc import Iterable
from pathlib import Path

MAX_SOURCE = 1 << 28
"""Bytes that a source or an included file may have."""


def find(name: str, beside: Path, directories: Iterable[Path]) -> Path | None:
    """The file of a name, looked for as it is, beside the including file, and in the directories; None if nowhere."""
    for candidate in (Path(name), beside / name, *(directory / name for directory in directories)):
        try:
            if candidate.is_file():
                return candidate
        except (OSError, ValueError):
            continue  # a name that no file can have
    return None


def read_source(path: Path) -> str:
    """The text of a source file; bytes that are not UTF-8 survive unchanged.

    Raises:
        OSError: it cannot be read, or does not end within a sensible size, as `/dev/zero` does not.

    """
    return read_whole(path).decode("utf-8", "surrogateescape")


def read_whole(path: Path) -> bytes:
    """The bytes of a file. Raises OSError as `read_source` does."""
    with path.open("rb") as stream:
        content = stream.read(MAX_SOURCE + 1)
    if len(content) > MAX_SOURCE:
        raise OSError(errno.EFBIG, f"it has more than {MAX_SOURCE >> 20} MiB")
    return content
