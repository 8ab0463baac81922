"""Where a run's instructions went, as a tree of calls that is small enough for a page."""

from functools import lru_cache
from typing import Any

from emu.address import VirtAddr
from emu.engine.slots import Slot
from emu.engine.translated.features.calls import Calls
from emu.machine import Machine
from emu.observe.calls.tree import CallTree, Node
from emu.record.recorder import Following
from emu.report.places import Places

_SMALLEST = 1000
"""A path with less than one part in so many of all instructions is left out, unless its callees have more."""


class Calling:
    """Follows the calls of a machine from now on, until `close`."""

    def __init__(self, machine: Machine, places: Places) -> None:
        self._machine = machine
        function = lru_cache(maxsize=65536)(lambda address: places.function(VirtAddr(address)))
        self._tree = CallTree(function, machine.instret)
        self._following = Following(machine, [Calls(self._tree.apply_all)], None)
        self._following.start()

    def close(self) -> None:
        """Follow no more."""
        self._following.close()
        self._tree.until(self._machine.instret, self._machine.core.slots[Slot.BLOCK_PC])

    def tree(self) -> list[Any]:
        """The tree as nested lists: name, instructions with those of callees, calls, callees."""
        sums: dict[int, int] = {}
        for node in reversed(list(self._tree.root.walk())):
            sums[id(node)] = node.instructions + sum(sums[id(child)] for child in node.children.values())
        smallest = sums[id(self._tree.root)] / _SMALLEST
        made: dict[int, list[Any]] = {}
        for node in self._tree.root.walk():
            if node.parent is None or (sums[id(node)] >= smallest and id(node.parent) in made):
                made[id(node)] = _plain(node, sums[id(node)])
                if node.parent is not None:
                    made[id(node.parent)][3].append(made[id(node)])
        return made[id(self._tree.root)]


def _plain(node: Node, instructions: int) -> list[Any]:
    return [node.function, instructions, node.calls, []]
