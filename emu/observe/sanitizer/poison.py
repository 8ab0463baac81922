"""Which bytes of RAM must not be accessed, and the hart's shadow of them at the kernel's addresses."""

from collections import Counter
from collections.abc import Sequence
from typing import cast

from emu.address import PAGE_SIZE
from emu.engine.translated.shadow import Bits, Layer, Report
from emu.machine import Machine
from emu.observe.sanitizer.inside import Inside

_MOST_OFFSETS = 1000
"""Different distances that are counted: memory behind page tables of its own has any."""


class Poison:
    """Bits by physical address, and a layer of the shadow by the virtual addresses of the kernel's linear map.

    Where that lies is learned from pairs of addresses: until then virtual and physical ones are taken for equal modulo
    RAM's size, and accesses by any address are looked at.
    """

    def __init__(self, machine: Machine, report: Report, inside: Inside) -> None:
        """`inside` says which calls are those of allocators: what they do is not reported."""
        self._ram = machine.memory.ram
        self._shadow = machine.core.shadow
        self._layer: Layer = self._shadow.open(report)
        self._layer.leave_out(inside.calls, inside.marks)
        self.bits = Bits(self._layer.span - 1 >> 3)
        self._places: list[range] = []
        self._offsets = Counter[int]()
        self.offset = 0
        """Virtual minus physical address, modulo 2**64."""

    def close(self) -> None:
        """Report nothing more."""
        self._shadow.close(self._layer)

    def set(self, physical: int, size: int) -> None:
        """These bytes must not be accessed."""
        self.bits.change(physical, size, poisoned=True)
        self._layer.poison(physical + self.offset, size)

    def clear(self, physical: int, size: int) -> None:
        """They may."""
        self.bits.change(physical, size, poisoned=False)
        self._layer.clear(physical + self.offset, size)

    def set_virtual(self, place: range) -> None:
        """The same for a range of virtual addresses, wherever it is mapped."""
        self._places.append(place)
        self._layer.poison(place.start, len(place))
        self._reach()

    def clear_virtual(self, place: range) -> None:
        """They may."""
        self._places = [other for other in self._places if other.stop <= place.start or place.stop <= other.start]
        self._layer.clear(place.start, len(place))
        self._reach()

    def learn(self, virtual: int, physical: int) -> bool:
        """A kernel uses this address for memory of its allocator; whether that is where its linear map has it."""
        offset = virtual - physical & (1 << 64) - 1
        if offset % PAGE_SIZE:
            return False
        offsets = self._offsets
        is_first = not offsets
        if len(offsets) > _MOST_OFFSETS:
            self._offsets = offsets = Counter({self.offset: offsets[self.offset]})
        offsets[offset] += 1
        if is_first or offsets[offset] > offsets[self.offset]:
            self.offset = offset
            self._show()
        return offset == self.offset

    def save(self) -> object:
        """All that is known, for a snapshot."""
        return self.bits.save(), self.offset, Counter(self._offsets)

    def restore(self, saved: object | None) -> None:
        """Return to that; to nothing with None. Ranges of virtual addresses stay."""
        before = self.offset
        if saved is None:
            parts = self.bits.restore(None)
            self.offset, self._offsets = 0, Counter()
        else:
            bits, self.offset, offsets = cast("tuple[tuple[int, bytes], int, Counter[int]]", saved)
            parts = self.bits.restore(bits)
            self._offsets = Counter(offsets)
        self._show(parts if self.offset == before else None)

    def _show(self, parts: Sequence[tuple[int, int]] | None = None) -> None:
        """Show parts of the bits, or all, where the linear map is."""
        table = self.bits.table
        for start, end in [(0, self._layer.span >> 3)] if parts is None else parts:
            self._layer.put(start + (self.offset >> 3), bytes(table[start:end]))
        for place in self._places if parts is None or parts else ():
            self._layer.poison(place.start, len(place))
        self._reach()

    def _reach(self) -> None:
        if not self._offsets:
            self._layer.reach(0, 1 << 64)
            return
        low = self._ram.base + self.offset & (1 << 64) - 1
        starts, ends = [place.start for place in self._places], [place.stop for place in self._places]
        self._layer.reach(min([low, *starts]) - 7, max([low + self._ram.size, *ends]))
