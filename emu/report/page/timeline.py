"""What was counted by when: sums between moments, so many that a page can hold them."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from emu.report.page.curves import differences

_MOST = 1 << 18
"""Sums that are kept while a run goes on: some 4 MB."""


class Timeline:
    """Sums by key between one moment and the next; where there are very many, some moments are taken together.

    >>> calls = Timeline()
    >>> for moment in range(6): calls.add(moment, key=moment % 2)
    >>> [list(sums) for moment, sums in calls.steps()][:2]
    [[(0, 1)], [(1, 1)]]
    >>> thin = Timeline(most=4)
    >>> for moment in range(6): thin.add(moment, key=7)
    >>> [(moment, list(sums)) for moment, sums in thin.steps()]
    [(1, [(7, 2)]), (3, [(7, 2)]), (4, [(7, 1)]), (5, [(7, 1)])]
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self.every = 1
        """So many moments are one step."""
        self._moments, self._ends = array("Q"), array("Q")
        """Of each step the last moment, and where its sums end."""
        self._keys, self._amounts = array("Q"), array("Q")
        self._open: dict[int, int] = {}
        """The sums of the step that is not over."""
        self._moment, self._noted = -1, 0

    def add(self, moment: int, key: int, amount: int = 1) -> None:
        """Count something, not before what was counted last; what comes before it counts then."""
        if moment > self._moment:
            if self._noted == self.every:
                self._close()
            self._noted += 1
            self._moment = moment
        opened = self._open
        opened[key] = opened.get(key, 0) + amount

    def add_step(self, moment: int, sums: dict[int, int]) -> None:
        """Count all that came since the step before as one step; as many moments as `every` says are to be one."""
        self._close()
        self._append(moment, sums)
        self._bound()

    def steps(self) -> Iterator[tuple[int, Iterator[tuple[int, int]]]]:
        """Each step: the moment by which it was so, and the sums that came to those before it."""
        self._close()
        first = 0
        for moment, end in zip(self._moments, self._ends, strict=True):
            yield moment, zip(self._keys[first:end], self._amounts[first:end], strict=True)
            first = end

    def at(
        self,
        moments: Sequence[int],
        most: int,
        *,
        key: Callable[[int], int | None] = lambda key: key,
        is_stretch: Callable[[int], bool] = lambda _key: False,
    ) -> "Timeline":
        """At most so many sums, in steps that end at some of these moments; with other keys, or without those of none.

        The sums of a stretch grow by one each instruction, from the step before to the end of the step: they are
        divided among the moments in between, unless steps were taken together.
        """
        found, place, divides = Timeline(most), 0, self.every == 1
        for end, sums in self.steps():
            before = place
            while place < len(moments) - 1 and moments[place] < end:
                place += 1
            for counted, amount in sums:
                name, rest = key(counted), amount
                if name is None:
                    continue
                if divides and is_stretch(counted):
                    for moment in moments[before:place]:
                        if rest > end - moment:
                            found.add(moment, name, rest - (end - moment))
                            rest = end - moment
                found.add(moments[place], name, rest)
        return found

    def plain(self) -> dict[str, Any]:
        """Everything, as plain data; moments as differences."""
        self._close()
        return {
            "moments": differences(self._moments),
            "counts": differences(self._ends),
            "keys": list(self._keys),
            "amounts": list(self._amounts),
        }

    def _close(self) -> None:
        """The step is over."""
        if not self._open:
            return
        self._noted = 0
        self._append(self._moment, self._open)
        self._open = {}
        self._bound()

    def _bound(self) -> None:
        """Have fewer steps where there are too many sums."""
        while len(self._keys) > self._most and len(self._moments) > 1:
            self._halve()

    def _append(self, moment: int, sums: dict[int, int]) -> None:
        self._moments.append(moment)
        self._keys.extend(sums)
        self._amounts.extend(sums.values())
        self._ends.append(len(self._keys))

    def _halve(self) -> None:
        """Take each two steps together."""
        self.every *= 2
        moments, ends, keys, amounts = self._moments, self._ends, self._keys, self._amounts
        self._moments, self._ends, self._keys, self._amounts = (array("Q") for _ in range(4))
        first = 0
        for step in range(1, len(moments) + 1, 2):
            last = min(step, len(moments) - 1)
            sums: dict[int, int] = {}
            for place in range(first, ends[last]):
                key = keys[place]
                sums[key] = sums.get(key, 0) + amounts[place]
            self._append(moments[last], sums)
            first = ends[last]
