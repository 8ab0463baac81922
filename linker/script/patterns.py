"""File and section patterns, and the orders of SORT (GNU ld manual, "Input Section Wildcard Patterns")."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from linker.layout.inputs import InputFile, InputSection
    from linker.script.syntax import FilePattern

_WILDCARDS = re.compile(r"[*?\[]")
_DEFAULT_PRIORITY = 65536


def is_wild(glob: str) -> bool:
    """Whether the pattern holds a wildcard character."""
    return _WILDCARDS.search(glob) is not None


@lru_cache(maxsize=4096)
def matcher(glob: str) -> Callable[[str], object]:
    """A predicate for a glob: `*` also matches slashes and leading dots.

    >>> bool(matcher(".text.*")(".text.start")), bool(matcher("*crt?.o")("lib/crt0.o"))
    (True, True)
    """
    if not is_wild(glob):
        return lambda name: name == glob
    return re.compile(translate(re.sub(r"\[\^", "[!", glob)), re.DOTALL).match


def file_matches(pattern: FilePattern, file: InputFile) -> bool:
    """Whether a file is one of those that the pattern names."""
    if pattern.archive is not None:
        if pattern.archive == "":
            return file.archive is None and bool(matcher(pattern.glob)(file.name))
        if file.archive is None or not matcher(pattern.archive)(file.archive):
            return False
        return bool(matcher(pattern.glob)(file.member))
    if pattern.glob == "*":
        return True
    name = file.member if file.archive is not None else file.name
    match = matcher(pattern.glob)
    return bool(match(name)) or (not is_wild(pattern.glob) and name.rpartition("/")[2] == pattern.glob)


def is_excluded(exclude: Iterable[FilePattern], file: InputFile) -> bool:
    """Whether EXCLUDE_FILE leaves the file out; a bare pattern may also name the whole archive."""
    for pattern in exclude:
        if file_matches(pattern, file):
            return True
        if pattern.archive is None and file.archive is not None and matcher(pattern.glob)(file.archive):
            return True
    return False


def init_priority(name: str) -> int:
    """The priority in a name such as `.init_array.100`; `.ctors.N` counts downwards.

    >>> init_priority(".init_array.00100"), init_priority(".ctors.65435"), init_priority(".init_array")
    (100, 100, 65536)
    """
    digits = re.search(r"\.([0-9]+)$", name)
    if digits is None:
        return _DEFAULT_PRIORITY
    number = int(digits[1])
    return 65535 - number if name.startswith((".ctors", ".dtors")) else number


def sort_key(orders: tuple[str, ...]) -> Callable[[InputSection], tuple[object, ...]] | None:
    """The key for SORT orders, the first order first; None when they ask for no order."""
    orders = tuple(order for order in orders if order != "none")
    if not orders:
        return None

    def key(section: InputSection) -> tuple[object, ...]:
        parts: list[object] = []
        for order in orders:
            if order == "name":
                parts.append(section.name.encode("utf-8", "surrogateescape"))
            elif order == "alignment":
                parts.append(-section.align)
            else:
                parts += [init_priority(section.name), section.name]
        return tuple(parts)

    return key
