"""Figures in time, reduced to what a screen can show."""

from array import array
from collections.abc import Iterator, Sequence

_MOST = 1 << 18
"""Moments that are kept: some 6 MB. Where more come, half of them go, and those with most frames stay."""


class Curves:
    """Frames in use and bytes of heap in use, at each moment at which one of them changed.

    >>> curves = Curves()
    >>> for moment in range(10): curves.note(moment, frames=moment % 4, heap=64 * moment)
    >>> list(curves.reduced(4))
    [(3, 3, 192), (4, 0, 256), (7, 3, 448), (9, 1, 576)]
    """

    def __init__(self) -> None:
        self._moments, self._frames, self._heap = array("Q"), array("q"), array("q")

    def note(self, moment: int, frames: int, heap: int) -> None:
        """What is in use after an event."""
        self._moments.append(moment)
        self._frames.append(frames)
        self._heap.append(heap)
        if len(self._moments) == _MOST:
            kept = list(self._places(_MOST // 2))
            for column in (self._moments, self._frames, self._heap):
                column[:] = array(column.typecode, map(column.__getitem__, kept))

    def reduced(self, points: int) -> Iterator[tuple[int, int, int]]:
        """About so many of them: of each part of the run the last one, and the one with most frames."""
        for index in self._places(points):
            yield self._moments[index], self._frames[index], self._heap[index]

    def _places(self, points: int) -> Iterator[int]:
        frames = self._frames
        step = max(1, -(-2 * len(frames) // points))
        for first in range(0, len(frames), step):
            last = min(first + step, len(frames)) - 1
            yield from sorted({max(range(first, last + 1), key=frames.__getitem__), last})


def differences(values: Sequence[int]) -> list[int]:
    """Each number less the one before: small numbers, which compress well.

    >>> differences([5, 7, 7])
    [5, 2, 0]
    """
    return [value - before for value, before in zip(values, (0, *values), strict=False)]
