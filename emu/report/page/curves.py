"""Figures in time, reduced to what a screen can show."""

from array import array
from collections.abc import Iterator, Sequence


class Curves:
    """Frames in use and bytes of heap in use, at each moment at which one of them changed.

    >>> curves = Curves()
    >>> for moment in range(10): curves.note(moment, frames=moment % 4, heap=64 * moment)
    >>> list(curves.reduced(4))
    [(3, 3, 192), (4, 0, 256), (7, 3, 448), (9, 1, 576)]
    """

    def __init__(self) -> None:
        self._columns = array("Q"), array("q"), array("q")

    def note(self, moment: int, frames: int, heap: int) -> None:
        """What is in use after an event."""
        for column, value in zip(self._columns, (moment, frames, heap), strict=True):
            column.append(value)

    def reduced(self, points: int) -> Iterator[tuple[int, int, int]]:
        """About so many of them: of each part of the run the last one, and the one with most frames."""
        moments, frames, heap = self._columns
        step = max(1, -(-2 * len(moments) // points))
        for first in range(0, len(moments), step):
            last = min(first + step, len(moments)) - 1
            peak = max(range(first, last + 1), key=frames.__getitem__)
            for index in sorted({peak, last}):
                yield moments[index], frames[index], heap[index]


def differences(values: Sequence[int]) -> list[int]:
    """Each number less the one before: small numbers, which compress well.

    >>> differences([5, 7, 7])
    [5, 2, 0]
    """
    return [value - before for value, before in zip(values, (0, *values), strict=False)]
