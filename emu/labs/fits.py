"""Which class a cost belongs to: the curve that fits what was measured."""

from collections.abc import Sequence
from math import log2

from emu.lateclass import dataclass

_SAME = 0.05
"""Costs that differ by less than this share of their mean are the same at every size."""
_MOST = 0.5
"""A cost is O(n) when more than this share of the largest one grows with n: less is hard to tell from O(log n),"""
_CLEARLY = 0.1
"""unless a straight line misses the costs by less than this share of what a logarithm misses them by."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A cost as a function of a size n."""

    complexity: str
    """O(1), O(log n) or O(n)."""
    slope: float
    """What it grows by: for O(log n) with each doubling of n, for O(n) with each of n; 0 for O(1)."""
    start: float
    """The mean cost for O(1); for the others where the curve begins, at log n = 0 or n = 0."""

    def text(self, variable: str = "n") -> str:
        """The class and what it grows by.

        >>> Fit("O(log n)", 35.2, 41.0).text(), Fit("O(n)", 4.0, 56).text("k"), Fit("O(1)", 0, 45.04).text()
        ('O(log n) +35.2/doubling', 'O(k) +4.0/k', 'O(1) 45.0')
        """
        if self.complexity == "O(1)":
            return f"O(1) {self.start:,.1f}"
        unit = "doubling" if self.complexity == "O(log n)" else variable
        digits = 1 if self.slope >= 1 else 4
        return f"{self.complexity.replace('n)', f'{variable})')} +{self.slope:,.{digits}f}/{unit}"


def fit(sizes: Sequence[float], costs: Sequence[float]) -> Fit:
    """The class that fits best, by least squares. O(1) when costs are the same at all sizes, or fall.

    >>> fit([1, 2, 4, 8], [45, 46, 45, 46]).complexity
    'O(1)'
    >>> fit([16, 128, 1024, 4096], [100, 160, 220, 260])
    Fit(complexity='O(log n)', slope=20.0, start=20.0)
    >>> fit([16, 128, 1024], [58, 394, 3082]).text()
    'O(n) +3.0/n'
    >>> fit([64, 256, 1024], [364, 382, 423]).complexity
    'O(log n)'
    >>> fit([4, 64, 1024], [98_977, 101_213, 123_737]).complexity
    'O(n)'
    """
    mean = sum(costs) / len(costs)
    same = Fit("O(1)", 0.0, mean)
    if max(costs) - min(costs) <= _SAME * abs(mean):
        return same
    logarithmic = _least_squares("O(log n)", [log2(size) for size in sizes], costs)
    linear = _least_squares("O(n)", list(sizes), costs)
    if linear[1].slope <= 0:
        return same
    share = 1 if linear[1].slope * max(sizes) > _MOST * max(costs) else _CLEARLY
    return linear[1] if linear[0] < share * logarithmic[0] else logarithmic[1]


def _least_squares(complexity: str, xs: Sequence[float], costs: Sequence[float]) -> tuple[float, Fit]:
    """The line through the points, and the sum of the squares of what it misses them by."""
    middle, mean = sum(xs) / len(xs), sum(costs) / len(costs)
    slope = sum((x - middle) * (cost - mean) for x, cost in zip(xs, costs, strict=True))
    slope /= sum((x - middle) ** 2 for x in xs)
    start = mean - slope * middle
    error = sum((start + slope * x - cost) ** 2 for x, cost in zip(xs, costs, strict=True))
    return error, Fit(complexity, round(slope, 9), round(start, 9))
