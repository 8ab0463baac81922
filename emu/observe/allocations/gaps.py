"""What lies between a heap's blocks, kept up to date as they come and go."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from emu.observe.allocations.ranges import holes

GAPS = -1
"""Stands for the number of a list where an allocator's lists are not known: what lies between blocks that are held."""
_APART = 1 << 24


class Piece(NamedTuple):
    """A free piece of memory."""

    list: int
    address: int
    size: int
    """Bytes."""


def gaps(held: Mapping[int, int]) -> Iterable[Piece]:
    """What lies between blocks, given by address and size; more than 16 MiB lies between two areas, not in one.

    >>> list(gaps({0x1000: 16, 0x1040: 16}))
    [Piece(list=-1, address=4112, size=48)]
    """
    return (Piece(GAPS, address, size) for address, size in holes(held) if size <= _APART)


class Gaps:
    """The same of blocks that come and go, one piece more or less at a time.

    >>> between = Gaps()
    >>> for address in (0x1000, 0x1020, 0x1040): between.add(address, 16)
    >>> between.remove(0x1020)
    >>> [(hex(piece.address), piece.size) for piece in between.pieces()]
    [('0x1010', 48)]
    """

    def __init__(self) -> None:
        self._held: dict[int, int] = {}
        self._starts: list[int] = []
        self._pieces: set[Piece] | None = set()
        """None: blocks overlap, and the pieces are found anew when they are asked for."""

    def add(self, address: int, size: int) -> None:
        """A block is held that no block held before begins at; one of no bytes takes no place."""
        if not size:
            return
        low, high = self._around(address)
        self._held[address] = size
        insort(self._starts, address)
        end = address + size
        if (low is not None and low > address) or (high is not None and high < end):
            self._pieces = None
        self._replace([(low, high)], [(low, address), (end, high)])

    def remove(self, address: int) -> None:
        """No longer; nothing happens where none was held."""
        size = self._held.pop(address, 0)
        if not size:
            return
        del self._starts[bisect_left(self._starts, address)]
        low, high = self._around(address)
        self._replace([(low, address), (address + size, high)], [(low, high)])

    def pieces(self) -> frozenset[Piece]:
        """All of them now."""
        if self._pieces is not None:
            return frozenset(self._pieces)
        found = frozenset(gaps(self._held))
        starts, held = self._starts, self._held
        if all(start + held[start] <= behind for start, behind in pairwise(starts)):
            self._pieces = set(found)
        return found

    def _around(self, address: int) -> tuple[int | None, int | None]:
        """Where the block below an address ends, and the one above it begins."""
        index = bisect_left(self._starts, address)
        below = self._starts[index - 1] if index else None
        low = None if below is None else below + self._held[below]
        return low, self._starts[index] if index < len(self._starts) else None

    def _replace(
        self, went: Iterable[tuple[int | None, int | None]], came: Iterable[tuple[int | None, int | None]]
    ) -> None:
        if self._pieces is not None:
            self._pieces.difference_update(_pieces(went))
            self._pieces.update(_pieces(came))


def _pieces(ranges: Iterable[tuple[int | None, int | None]]) -> Iterable[Piece]:
    for low, high in ranges:
        if low is not None and high is not None and 0 < high - low <= _APART:
            yield Piece(GAPS, low, high - low)
