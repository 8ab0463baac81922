"""A bit for each byte of memory."""

import mmap

from emu.buffers import buffer_address

_HELD = tuple(bytes((0xFF << held & 0xFF,)) if held else b"" for held in range(8))
"""A cell of which so many bytes may be accessed."""
_MOST_PARTS = 1024
"""Changed parts of a table that are remembered; after more it is returned to a state as a whole."""


class Bits:
    """A bit for each byte of virtual memory, in a table that addresses share modulo RAM's size."""

    def __init__(self, mask: int) -> None:
        self._mask = mask
        self._memory = mmap.mmap(-1, mask + 2, flags=mmap.MAP_PRIVATE)
        """A byte behind the last repeats the first: two are read at once."""
        self.table = memoryview(self._memory)
        self.address = buffer_address(self._memory)
        """Where the host has the table."""
        self._low, self._high = mask + 1, 0
        """Where bits have been changed."""
        self._state: tuple[int, bytes] | None = None
        self._since: list[tuple[int, int]] = []
        """The state that was saved or returned to last, and the parts that were changed since."""

    def change(self, address: int, length: int, *, poisoned: bool) -> None:
        """Set or clear the bits of a range of addresses."""
        end = address + length
        first, behind = address + 7 >> 3, end >> 3
        if not (address | length) & 7:
            start, cells = first & self._mask, behind - first
            if start + cells <= self._mask:
                self.table[start : start + cells] = (b"\xff" if poisoned else b"\0") * cells
                self._changed(start, start + cells)
                return
        if first > behind:  # within 8 bytes
            self._part(behind, (1 << length) - 1 << (address & 7), poisoned=poisoned)
            return
        self._part(first - 1, 0xFF << (address & 7) & 0xFF if address & 7 else 0, poisoned=poisoned)
        self._part(behind, (1 << (end & 7)) - 1, poisoned=poisoned)
        for start, count in self.places(first, behind - first):
            self.table[start : start + count] = (b"\xff" if poisoned else b"\0") * count
            self._changed(start, start + count)

    def hold(self, address: int, length: int) -> None:
        """Clear the bits of a range of addresses, and set those behind it up to a multiple of 8."""
        start, cells = address >> 3 & self._mask, length >> 3
        if address & 7 or start + cells >= self._mask:
            self.change(address, length, poisoned=False)
            self.change(address + length, -(address + length) & 7, poisoned=True)
            return
        held = bytes(cells) + _HELD[length & 7]
        self.table[start : start + len(held)] = held
        self._changed(start, start + len(held))

    def noted(self, address: int, length: int) -> None:
        """Native code has changed the bits of a range that does not go over the end of the table."""
        start = address >> 3 & self._mask
        self._changed(start, start + (length + 7 >> 3))

    def places(self, cell: int, cells: int) -> list[tuple[int, int]]:
        """Where in the table so many cells stand from one on: starts and lengths."""
        size = self._mask + 1
        start, cells = cell & self._mask, min(cells, size)
        parts = [(start, min(cells, size - start)), (0, cells - min(cells, size - start))]
        return [(start, count) for start, count in parts if count]

    def at(self, address: int, size: int) -> int:
        """The bits of at most 8 bytes."""
        cell = address >> 3
        both = self.table[cell & self._mask] | self.table[cell + 1 & self._mask] << 8
        return both >> (address & 7) & (1 << size) - 1

    def cells(self, address: int, length: int) -> list[tuple[int, int]]:
        """Where in the table all bits of a range of addresses stand, with those beside them in the same cells."""
        first = address >> 3
        return self.places(first, (address + length + 7 >> 3) - first)

    def are_set(self, address: int, length: int) -> bool:
        """Whether any bit of a range is set."""
        first, behind = address + 7 >> 3, address + length >> 3
        if first > behind:
            return bool(self.at(address, length))
        if address & 7 and self.at(address, 8 - (address & 7)):
            return True
        parts = self.places(first, behind - first)
        if any(bytes(self.table[start : start + count]).count(0) < count for start, count in parts):
            return True
        rest = address + length & 7
        return bool(rest and self.at(behind << 3, rest))

    def changed_elsewhere(self) -> None:
        """Native code has changed any bits: to return to a state is to return to all of it."""
        self._state = None

    def save(self) -> tuple[int, bytes]:
        """The part that has ever been changed."""
        self._state, self._since = (self._low, bytes(self.table[self._low : self._high])), []
        return self._state

    def restore(self, saved: tuple[int, bytes] | None) -> list[tuple[int, int]]:
        """Return to what `save` gave; None clears all. The parts of the table that may have changed."""
        low, part = saved or (self._low, b"")
        if saved is None or saved is not self._state or len(self._since) >= _MOST_PARTS:
            parts = [(self._low, max(self._high, low + len(part)))]
        else:
            parts = self._since
        end = low + len(part)
        for start, stop in parts:
            inside = range(max(start, low), min(stop, end))
            self.table[start:stop] = bytes(stop - start)
            if inside:
                self.table[inside.start : inside.stop] = part[inside.start - low : inside.stop - low]
        self.table[self._mask + 1] = self.table[0]
        self._state, self._since = saved, []
        return parts

    def move(self, distance: int) -> None:
        """Move all bits so many cells on, fewer than there are; what goes over the end comes to the beginning."""
        size, memory = self._mask + 1, self._memory
        if distance <= size >> 1:
            over = memory[size - distance : size]
            memory.move(distance, 0, size - distance)
            memory[:distance] = over
        else:
            over = memory[: size - distance]
            memory.move(0, size - distance, distance)
            memory[distance:size] = over
        self._changed(0, size)

    def _part(self, cell: int, bits: int, *, poisoned: bool) -> None:
        if bits:
            place = cell & self._mask
            self.table[place] = self.table[place] | bits if poisoned else self.table[place] & ~bits
            self._changed(place, place + 1)

    def _changed(self, start: int, end: int) -> None:
        if start < self._low:
            self._low = start
        if end > self._high:
            self._high = end
        if len(self._since) < _MOST_PARTS:
            self._since.append((start, end))
        if start == 0:
            self.table[self._mask + 1] = self.table[0]
