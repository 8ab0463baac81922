"""A heap's free pieces behind each call, for a page: as what came and what went, and as curves."""

from collections.abc import Callable
from typing import Any

from emu.observe.allocations.gaps import Piece
from emu.observe.allocations.space import HeapSpace, Sample
from emu.report.page.addresses import Regions
from emu.report.page.curves import differences

_MOST_PIECES = 200_000
"""That came or went: later samples are in the curves only."""


class Heap:
    """Keeps what a `HeapSpace` sees, by the row of the page's events behind which it was seen."""

    def __init__(self, space: HeapSpace, regions: Regions, row: Callable[[], int], most_rows: int) -> None:
        self._space, self._regions, self._row, self._most_rows = space, regions, row, most_rows
        self._pieces: frozenset[Piece] = frozenset()
        self._told = 0
        self._changes: list[tuple[int, list[int], list[int]]] = []
        """Row, what came and what went: list, address and size of each piece."""
        space.on_sample = self._sampled

    def plain(self) -> dict[str, Any]:
        """Everything, as plain data."""
        self._space.close()
        samples = self._space.samples
        figures = [
            (one.instret, one.free, one.largest, one.requested, one.granted, one.splits, one.joins) for one in samples
        ]
        return {
            "lists": bool(self._space.lists),
            "by_order": self._space.lists.by_order,
            "every": self._space.every,
            "changes": self._changes,
            "curves": [differences(column) for column in zip(*figures, strict=True)],
        }

    def _sampled(self, _sample: Sample) -> None:
        row, pieces = self._row(), self._space.pieces
        if row >= self._most_rows or self._told >= _MOST_PIECES:
            return
        came, went = pieces - self._pieces, self._pieces - pieces
        if came or went:
            self._told += len(came) + len(went)
            self._changes.append((row - 1, self._flat(came), self._flat(went)))
            self._pieces = pieces

    def _flat(self, pieces: frozenset[Piece]) -> list[int]:
        short = self._regions.short
        return [number for list_, address, size in sorted(pieces) for number in (list_, short(address), size)]
