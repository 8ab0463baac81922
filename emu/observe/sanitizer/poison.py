"""Which bytes of RAM must not be accessed, as bits of the hart's shadow at the kernel's addresses."""

from collections import Counter
from typing import cast

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.engine.translated.features.callrecords.poisoning import Tables
from emu.engine.translated.features.shadow import Layer, Report
from emu.machine import Machine
from emu.observe.sanitizer.inside import Inside

_ALL = (1 << 64) - 1
_MOST_OFFSETS = 1000
"""Different distances that are counted: memory behind page tables of its own has any."""

_Saved = tuple[tuple[int, bytes] | None, int, Counter[int], object]


class Poison:
    """Bits by physical address, in a layer of the shadow by the virtual addresses of the kernel's linear map.

    Where that lies is learned from pairs of addresses: until then virtual and physical ones are taken for equal modulo
    RAM's size, and accesses by any address are looked at. Ranges of virtual addresses have a layer of their own.
    """

    def __init__(self, machine: Machine, report: Report, inside: Inside) -> None:
        """`inside` says which calls are those of allocators: what they do is not reported."""
        self._ram, self._core = machine.memory.ram, machine.core
        self._report, self._inside = report, inside
        self._shadow = machine.core.shadow
        self._layer = self._open()
        self.tables = Tables(self._layer, self._ram.base, self._ram.size, inside.heap)
        """What is held and freed, for native code that poisons memory itself."""
        inside.settle()
        inside.records.poison(self.tables)
        self._named: Layer | None = None
        self._places: list[range] = []
        self._offsets = Counter[int]()
        self._linear: set[int] = set()
        """Pages of virtual addresses that the linear map has been seen to have."""
        self.offset = 0
        """Virtual minus physical address, modulo 2**64."""

    def _open(self) -> Layer:
        layer = self._shadow.open(self._report)
        layer.leave_out(self._inside.calls, self._inside.marks)
        return layer

    def close(self) -> None:
        """Report nothing more."""
        self._inside.settle()
        self._inside.records.poison(None)
        self._shadow.close(self._layer)
        if self._named is not None:
            self._shadow.close(self._named)

    def at(self, physical: int, size: int) -> int:
        """The bits of at most 8 bytes."""
        return self._layer.bits.at(physical + self.offset, size)

    def set(self, physical: int, size: int) -> None:
        """These bytes must not be accessed."""
        self._layer.poison(physical + self.offset, size)

    def clear(self, physical: int, size: int) -> None:
        """They may."""
        self._layer.clear(physical + self.offset, size)

    def hold(self, physical: int, size: int) -> None:
        """They may, and what lies behind them up to a multiple of 8 must not."""
        self._layer.hold(physical + self.offset, size)

    def set_virtual(self, place: range) -> None:
        """A range of virtual addresses must not be accessed, wherever it is mapped."""
        self._places.append(place)
        if self._named is None:
            self._named = self._open()
        self._named.poison(place.start, len(place))
        places = self._places
        self._named.reach(min(each.start for each in places) - 7, max(each.stop for each in places))

    def clear_virtual(self, place: range) -> None:
        """It may."""
        if self._named is None:
            return
        self._places = [other for other in self._places if other.stop <= place.start or place.stop <= other.start]
        self._named.clear(place.start, len(place))
        if not self._places:
            self._shadow.close(self._named)
            self._named = None

    def learn(self, virtual: int) -> int | None:
        """A kernel uses this address for memory of its allocator: the physical one, if the linear map has it there."""
        if virtual >> PAGE_BITS in self._linear:
            self._offsets[self.offset] += 1
            return virtual - self.offset & _ALL
        physical = self.physical(virtual)
        offset = virtual - (physical or 0) & _ALL
        if physical is None or offset % PAGE_SIZE:
            return None
        self._count_recorded()
        offsets = self._offsets
        is_first = not offsets
        if len(offsets) > _MOST_OFFSETS:
            self._offsets = offsets = Counter({self.offset: offsets[self.offset]})
        offsets[offset] += 1
        if offset != self.offset and (is_first or offsets[offset] > offsets[self.offset]):
            self._move(offset)
        self._reach()
        self._tell_offset()
        if offset != self.offset:
            return None
        self._linear.add(virtual >> PAGE_BITS)
        return physical

    def changed(self, physical: int, size: int) -> None:
        """Native code has changed the bits of a range."""
        self._layer.bits.noted(physical + self.offset, size)

    def place(self, virtual: int) -> int | None:
        """The physical address of one that the linear map has; None for all others."""
        if virtual >> PAGE_BITS in self._linear:
            return virtual - self.offset & _ALL
        physical = self.physical(virtual)
        return None if physical is None or (virtual - physical - self.offset) & _ALL else physical

    def physical(self, virtual: int) -> int | None:
        """The physical address of any one; None outside of RAM."""
        physical = self._core.physical_of(virtual)
        return None if physical is None or not self._ram.contains(physical) else int(physical)

    def save(self) -> object:
        """All that is known, for a snapshot."""
        self._count_recorded()
        return self._layer.bits.save(), self.offset, Counter(self._offsets), self.tables.save()

    def restore(self, saved: object | None) -> None:
        """Return to that; to nothing with None. Ranges of virtual addresses stay."""
        bits, self.offset, offsets, tables = cast("_Saved", saved or (None, 0, {}, None))
        self.tables.allocated()
        self._offsets = Counter(offsets)
        self.tables.restore(tables)
        self._tell_offset()
        self._linear.clear()
        self._layer.restore(bits)
        self._reach()

    def _move(self, offset: int) -> None:
        """The linear map is found to lie elsewhere: the bits go there."""
        distance = (offset - self.offset >> 3) % (self._layer.span >> 3)
        if distance:
            self._layer.move(distance)
        self.offset = offset
        self._linear.clear()

    def _count_recorded(self) -> None:
        if count := self.tables.allocated():
            self._offsets[self.offset] += count

    def _tell_offset(self) -> None:
        self.tables.set_offset(self.offset, is_linear=bool(self._offsets))

    def _reach(self) -> None:
        if not self._offsets:
            self._layer.reach(0, 1 << 64)
            return
        low = self._ram.base + self.offset & _ALL
        self._layer.reach(low - 7, low + self._ram.size)
