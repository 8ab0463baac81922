"""What the calls of the allocators have cost by when."""

from collections.abc import Sequence
from typing import Any

from emu.machine import Machine
from emu.observe.allocations.costs import AllocatorCosts
from emu.report.page.timeline import Timeline

_MOST = 60_000
"""Sums of the page's timeline: some 300 KB."""


class Costs:
    """Counts the calls of the allocators that are followed, from now on, by function and by what they took."""

    def __init__(self, machine: Machine) -> None:
        self._costs = AllocatorCosts(machine)
        self._costs.on_call = self._called
        self._numbers: dict[tuple[str, int], int] = {}
        self._timeline = Timeline()

    def close(self) -> None:
        """Count no more."""
        self._costs.close()

    def plain(self, moments: Sequence[int]) -> dict[str, Any]:
        """The functions, what took most instructions first; what a call took, and how often it was so by when."""
        names = [one.name for one in self._costs.costs()]
        places = {name: place for place, name in enumerate(names)}
        return {
            "functions": names,
            "kinds": [[places[name], cost] for name, cost in self._numbers],
            "timeline": self._timeline.at(moments, _MOST).plain(),
        }

    def _called(self, name: str, left: int, cost: int) -> None:
        self._timeline.add(left, self._numbers.setdefault((name, cost), len(self._numbers)))
