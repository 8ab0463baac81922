"""The source lines that a page shows: those around each place that it names."""

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

_AROUND = 5
_LARGEST = 4 << 20
"""Bytes of a source file that is read at all."""


def excerpts(lines: Iterable[tuple[str, int]]) -> dict[str, dict[int, str]]:
    """For each file the text of the lines that were named and of a few around them; without files that are not there.

    >>> excerpts([("/nowhere/a.c", 3)])
    {}
    """
    wanted: dict[str, set[int]] = defaultdict(set)
    for file, line in lines:
        wanted[file].update(range(max(1, line - _AROUND), line + _AROUND + 1))
    found: dict[str, dict[int, str]] = {}
    for file, numbers in wanted.items():
        text = _text(file)
        if text:
            found[file] = {number: text[number - 1] for number in sorted(numbers) if number <= len(text)}
    return found


@lru_cache(maxsize=256)
def _text(file: str) -> tuple[str, ...]:
    path = Path(file)
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return ()
        return tuple(path.read_text(encoding="utf-8", errors="replace").splitlines())
    except OSError:
        return ()
