"""Entries of DWARF below and around one, as pyelftools reads them (DWARF 5, section 2.3).

Its own iteration follows siblings wherever damaged information says that they are, round and round.
"""

from collections.abc import Iterator

from emu.hints import Any

_SIBLING = "DW_AT_sibling"


def children(entry: Any) -> Iterator[Any]:  # pyelftools has no types
    """The entries that belong to one. Raises ValueError where a sibling lies before its sibling."""
    at = entry.offset + entry.size
    while entry.has_children:
        child = entry.cu.get_DIE_from_refaddr(at)
        if child.is_null():
            return
        yield child
        at = _behind(child)


def around(entry: Any) -> list[Any]:
    """The entries that one belongs to, the innermost first. Raises ValueError as `children` does."""
    path: list[Any] = []
    here = entry.cu.get_top_DIE()
    while here is not None and here.offset != entry.offset:
        path.insert(0, here)
        inner = None
        for child in children(here):
            if child.offset > entry.offset:
                break
            inner = child
        here = inner
    return path


def _behind(entry: Any) -> int:
    """Where the next entry begins that does not belong to this one."""
    at = int(entry.offset + entry.size)
    if not entry.has_children:
        return at
    if _SIBLING in entry.attributes:
        behind = int(entry.get_DIE_from_attribute(_SIBLING).offset)
        if behind < at:
            raise ValueError(f"the sibling of the entry at {entry.offset:#x} lies before it, at {behind:#x}")
        return behind
    depth = 1
    while depth:
        inside = entry.cu.get_DIE_from_refaddr(at)
        at += inside.size
        depth += -1 if inside.is_null() else int(inside.has_children)
    return at
