"""File and section patterns, and the orders of SORT (GNU ld manual, "Input Section Wildcard Patterns")."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from linker.script.syntax import FilePattern


class NamedFile(Protocol):
    """What patterns ask of an input file."""

    archive: str | None
    """The archive that it came from."""
    member: str
    """Its name in the archive."""

    @property
    def name(self) -> str:
        """Its name on the command line."""
        ...


class NamedSection(Protocol):
    """What the orders of SORT ask of an input section."""

    name: str
    align: int


_WILDCARDS = re.compile(r"[*?\[]")


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


def file_matches(pattern: FilePattern, file: NamedFile) -> bool:
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


def is_excluded(exclude: Iterable[FilePattern], file: NamedFile) -> bool:
    """Whether EXCLUDE_FILE leaves the file out; a bare pattern may also name the whole archive."""
    for pattern in exclude:
        if file_matches(pattern, file):
            return True
        if pattern.archive is None and file.archive is not None and matcher(pattern.glob)(file.archive):
            return True
    return False


def init_priority(name: str) -> int | None:
    """The priority in a name such as `.init_array.100`; `.ctors.N` counts downwards.

    >>> init_priority(".init_array.00100"), init_priority(".ctors.65435"), init_priority(".init_array")
    (100, 100, None)
    """
    digits = re.search(r"\.([0-9]+)$", name)
    if digits is None:
        return None
    number = int(digits[1])
    return 65535 - number if re.fullmatch(r"\.[cd]tors\.[0-9]+", name) else number


def comes_before(orders: tuple[str, ...], left: NamedSection, right: NamedSection) -> bool:
    """Whether SORT puts the left section before the right one; by priority only when both names have one."""
    names = _text(left.name), _text(right.name)
    if orders[0] == "init_priority":
        priorities = init_priority(left.name), init_priority(right.name)
        if priorities[0] is not None and priorities[1] is not None and priorities[0] != priorities[1]:
            return priorities[0] < priorities[1]
        return names[0] < names[1]
    for order in orders:
        if order == "name" and names[0] != names[1]:
            return names[0] < names[1]
        if order == "alignment" and left.align != right.align:
            return left.align > right.align
    return False


def sort_key(orders: tuple[str, ...]) -> Callable[[NamedSection], tuple[object, ...]]:
    """The key of an order by names and alignments."""

    def key(section: NamedSection) -> tuple[object, ...]:
        return tuple(-section.align if order == "alignment" else _text(section.name) for order in orders)

    return key


def sort_orders(orders: tuple[str, ...]) -> tuple[str, ...]:
    """The orders that count; none when they ask for no order."""
    return tuple(order for order in orders if order != "none")


def _text(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
