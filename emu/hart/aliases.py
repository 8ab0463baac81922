"""At which virtual addresses pages of physical memory are written, as far as page tables tell."""

from collections import Counter
from typing import TYPE_CHECKING

from emu.address import PAGE_BITS

if TYPE_CHECKING:
    from emu.engine.translated.shadow import Layer

_LINEAR = 64
"""So many pages at one distance from their frames are a linear map."""
_MOST_PAGES = 1 << 18


class Aliases:
    """Poisons each page of a set in a layer of the shadow wherever a leaf of the known tables maps it.

    All memory is taken for mapped at the distances of linear maps: those of superpages, and of many pages; and at its
    physical addresses. What else a page is mapped at is known from the leaves one by one.
    """

    def __init__(self, layer: "Layer") -> None:
        self._layer = layer
        self._count = layer.span >> PAGE_BITS
        self._pages: set[int] = set()
        """Page numbers, modulo the table's size, as all here."""
        self._linear = {0}
        self._distances = Counter[int]()
        self._single: dict[int, set[int]] = {}
        """Virtual pages by the frame that they map."""

    def add(self, page: int) -> None:
        """Tell of stores to a page of physical memory."""
        number = (page >> PAGE_BITS) % self._count
        self._pages.add(number)
        for place in self._places(number):
            self._layer.poison(place << PAGE_BITS, 1 << PAGE_BITS)

    def remove(self, page: int) -> None:
        """Tell of them no more."""
        number = (page >> PAGE_BITS) % self._count
        self._pages.discard(number)
        for place in self._places(number):
            if not self._is_wanted(place):
                self._layer.clear(place << PAGE_BITS, 1 << PAGE_BITS)

    def mapped(self, virtual: int, physical: int, level: int) -> None:
        """A leaf maps a page, or at a higher level a superpage."""
        first, frame = (virtual >> PAGE_BITS) % self._count, (physical >> PAGE_BITS) % self._count
        distance = (first - frame) % self._count
        if distance in self._linear:
            return
        self._distances[distance] += 1
        if level or self._distances[distance] >= _LINEAR:
            self._linear.add(distance)
            for number in self._pages:
                self._layer.poison((number + distance) % self._count << PAGE_BITS, 1 << PAGE_BITS)
            return
        if len(self._single) >= _MOST_PAGES:
            self._single.clear()
        self._single.setdefault(frame, set()).add(first)
        if frame in self._pages:
            self._layer.poison(first << PAGE_BITS, 1 << PAGE_BITS)

    def _places(self, number: int) -> set[int]:
        linear = {(number + distance) % self._count for distance in self._linear}
        return linear | self._single.get(number, set())

    def _is_wanted(self, place: int) -> bool:
        """Whether another page of the set is, or may be, mapped at what shares the bits of a virtual page."""
        if any((place - distance) % self._count in self._pages for distance in self._linear):
            return True
        return any(place in self._single[number] for number in self._pages if number in self._single)
