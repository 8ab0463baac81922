"""The order of the sections that an input statement gets (GNU ld, wild_sort)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from linker.script.patterns import comes_before, init_priority, sort_key, sort_orders

if TYPE_CHECKING:
    from linker.parts.inputs import InputSection
    from linker.script.syntax import SectionPattern

Match: TypeAlias = "tuple[InputSection, SectionPattern | None]"
"""A section and the pattern that named it."""


def in_order(found: list[Match]) -> list[Match]:
    """In the order of SORT; sections of patterns without one stand behind the sorted ones before them."""
    patterns = {id(pattern): pattern for _, pattern in found}
    orders = [sort_orders(pattern.sort) if pattern is not None else () for pattern in patterns.values()]
    if not any(orders):
        return found
    if len(patterns) > 1 or "init_priority" in orders[0]:
        priorities = (init_priority(section.name) is None for section, _ in found)
        if len(patterns) > 1 or any(priorities):
            return _through_a_tree(found)
        ordered = sorted(found, key=lambda match: (init_priority(match[0].name) or 0, match[0].name))
    else:
        key = sort_key(orders[0])
        ordered = sorted(found, key=lambda match: key(match[0]))
    pattern = next(iter(patterns.values()))
    return ordered[::-1] if pattern is not None and pattern.reverse else ordered


def _through_a_tree(found: list[Match]) -> list[Match]:
    """Each section is compared by its own pattern's order, on its way through a search tree: that decides."""
    left: dict[int, int] = {}
    right: dict[int, int] = {}
    last = 0
    for index, (section, pattern) in enumerate(found[1:], 1):
        orders = sort_orders(pattern.sort) if pattern is not None else ()
        if not orders:
            while (following := right.get(last)) is not None:
                last = following
            right[last] = index
            continue
        node, side = 0, right
        while True:
            side = left if comes_before(orders, section, found[node][0]) else right
            if node not in side:
                side[node] = index
                break
            node = side[node]
    return [found[index] for index in _row(left, right)]


def _row(left: dict[int, int], right: dict[int, int]) -> list[int]:
    """The nodes of a tree from left to right."""
    result: list[int] = []
    stack: list[int] = []
    node: int | None = 0
    while stack or node is not None:
        while node is not None:
            stack.append(node)
            node = left.get(node)
        node = stack.pop()
        result.append(node)
        node = right.get(node)
    return result
