"""Where a run's instructions went by when, as a tree of calls that is small enough for a page."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from emu.address import VirtAddr
from emu.engine.slots import Slot
from emu.engine.translated.features.calls import RECORD, Calls
from emu.machine import Machine
from emu.observe.calls.tree import CallTree, Node
from emu.record.recorder import Following
from emu.report.page.timeline import Timeline
from emu.report.places import Places

_SMALLEST = 1000
"""A path with less than one part in so many of all instructions is left out, unless its callees have more."""
_FIRST_LOOK = 1024
"""Instructions behind which it is first asked what is small; then whenever there are twice as many."""
_MOST = 200_000
"""Sums of the page's timeline: some 300 KB."""
_INSTRUCTIONS, _CALLS = 0, 1
"""What a sum of the timeline is of: the last bit of its key, behind the number of the path."""


class Calling:
    """Follows the calls of a machine from now on, until `close`."""

    def __init__(self, machine: Machine, places: Places) -> None:
        self._machine = machine
        symbol = lru_cache(maxsize=65536)(lambda address: places.symbol(VirtAddr(address)))
        self._timeline, self._moment = Timeline(), machine.instret
        self._changed: dict[Node, None] = {}
        self._left = 1
        """Transfers that are still to come in this step."""
        self._tree = CallTree(symbol, machine.instret, self._changed)
        self._nodes: list[Node] = []
        self._known: dict[Node, tuple[int, int, int]] = {}
        """The number of each node in that list, its instructions and its calls, at the step before."""
        self._following = Following(machine, [Calls(self._followed)], None)
        self._following.start()

    def close(self) -> None:
        """Follow no more."""
        self._following.close()
        self._tree.until(self._machine.instret, self._machine.core.slots[Slot.BLOCK_PC])
        self._step()

    def plain(self, moments: Sequence[int]) -> dict[str, Any]:
        """The tree as columns, callers first, and what came to each path by which of these moments."""
        kept = self._kept()
        order = [node for node in self._tree.root.walk() if node in kept]
        numbers = {node: number for number, node in enumerate(order)}
        names, places = dict[str, int](), dict[int, tuple[int, bool]]()
        for number, node in enumerate(self._nodes):
            above = node
            while above not in numbers:
                assert above.parent is not None, "the root is kept"
                above = above.parent
            places[number] = numbers[above], above is node

        def key(counted: int) -> int | None:
            place, is_itself = places[counted >> 1]
            return place << 1 | counted & 1 if is_itself or counted & 1 == _INSTRUCTIONS else None

        timeline = self._timeline.at(moments, _MOST, key=key, is_stretch=lambda key: key & 1 == _INSTRUCTIONS)
        return {
            "parents": [numbers[node.parent] if node.parent else -1 for node in order],
            "functions": [names.setdefault(node.function, len(names)) for node in order],
            "names": list(names),
            "timeline": timeline.plain(),
        }

    def _followed(self, records: bytes | memoryview) -> None:
        view, place, size = memoryview(records), 0, RECORD.size
        while place < len(view):
            part = view[place : place + self._left * size]
            self._tree.apply_all(part)
            place += len(part)
            self._left -= len(part) // size
            if not self._left:
                self._step()
                self._left = self._timeline.every

    def _step(self) -> None:
        """What came to each path since the step before."""
        known, sums = self._known, dict[int, int]()
        for node in self._changed:
            before = known.get(node)
            if before is None:
                before = len(self._nodes), 0, 0
                self._nodes.append(node)
            number, instructions, calls = before
            if node.instructions != instructions:
                sums[number << 1 | _INSTRUCTIONS] = node.instructions - instructions
            if node.calls != calls:
                sums[number << 1 | _CALLS] = node.calls - calls
            known[node] = number, node.instructions, node.calls
        self._changed.clear()
        self._moment = max(self._moment, self._tree.instret)
        if sums:
            self._timeline.add_step(self._moment, sums)

    def _kept(self) -> set[Node]:
        """The paths that were worth a look at some time of the run, with those that led to them."""
        nodes, order = self._nodes, list(self._tree.root.walk())
        kept, own, next_look = {self._tree.root}, dict[Node, int](), _FIRST_LOOK
        last = self._moment
        for moment, sums in self._timeline.steps():
            for key, amount in sums:
                if key & 1 == _INSTRUCTIONS:
                    own[nodes[key >> 1]] = own.get(nodes[key >> 1], 0) + amount
            if moment < min(next_look, last):
                continue
            next_look = 2 * moment
            whole = dict(own)
            smallest = sum(own.values()) / _SMALLEST
            for node in reversed(order):
                spent = whole.get(node, 0)
                if spent and node.parent is not None:
                    whole[node.parent] = whole.get(node.parent, 0) + spent
                    if spent >= smallest:
                        kept.add(node)
        return kept
