"""Finds included files and reads source text."""

from collections.abc import Iterable
from pathlib import Path


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
    """The text of a source file; bytes that are not UTF-8 survive unchanged. Raises OSError."""
    return path.read_bytes().decode("utf-8", "surrogateescape")
