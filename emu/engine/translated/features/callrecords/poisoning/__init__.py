"""Poisons memory where calls of allocators are recorded, so that the records may be read later.

What a call means is a plan: how its registers say which frames or which block, as steps. Who holds which block is in
tables that native code and Python both keep. What is not plain is left to Python, which reads the record at once: a
free of what nobody holds, or with another size, an address outside of the linear map, a function that has no plan.
"""

import ctypes
import mmap
import re
from collections.abc import Iterator, Sequence
from itertools import chain

from emu.address import PAGE_BITS
from emu.buffers import buffer_address
from emu.engine.translated.features.callrecords.poisoning import layout
from emu.engine.translated.features.callrecords.poisoning.layout import Effect, Step, Table
from emu.engine.translated.features.shadow import Layer
from emu.hints import NamedTuple, cast

Steps = Sequence[tuple[Step, int]]
"""Each with its operand."""
_CELL_BITS = 3
_END = (Step.END, 0)
_MOST_HELD = (1 << 32) - 1
_PART = 4 * layout.PAGE_WORDS
_NOTHING = bytes(_PART)
"""What is held in a page without blocks."""
_WITH_BLOCKS = re.compile(b"[%b]" % bytes(octet for octet in range(8) if octet & layout.HAS_BLOCKS))


class _Saved(NamedTuple):
    """All that is known at a moment."""

    pages: bytes
    held: dict[int, bytes]
    """Of pages with blocks."""
    others: dict[int, dict[int, int]]


class Elements(NamedTuple):
    """Where native code finds the elements that a call is given."""

    first: Steps
    """The head of a circular list, or the first word of an array."""
    words: Steps | None
    """How many words an array has; None of a list."""
    node: int
    """How far behind the beginning of each element its node stands, of a list."""


class Plan:
    """What a call does to memory, for native code."""

    def __init__(self, effect: Effect, at: Steps, extent: Steps, elements: Elements | None = None) -> None:
        """With `elements`, `at` is that of each, which is in a0 then."""
        first, words, node = elements or ((), None, 0)
        self._steps = [
            (ctypes.c_uint64 * (2 * len(steps) + 2))(*chain.from_iterable((*steps, _END)))
            for steps in (at, extent, first, words or ())
        ]
        at_, extent_, first_, words_ = map(ctypes.addressof, self._steps)
        self._words = (ctypes.c_uint64 * len(layout.Plan))(
            effect, at_, extent_, first_, 0 if words is None else words_, node
        )
        self.address = ctypes.addressof(self._words)
        """Where the host has it, while this object lives."""


class Tables:
    """What is held where in RAM, and the layer of a shadow in which the rest is poisoned."""

    def __init__(self, layer: Layer, base: int, size: int, heap: int) -> None:
        """`base` and `size` are RAM's; `heap` the marks of calls that make frames a heap's."""
        self._base, self._size = base, size
        self._held_memory = mmap.mmap(-1, size >> 1, flags=mmap.MAP_PRIVATE)
        self._pages_memory = mmap.mmap(-1, max(size >> PAGE_BITS, 1), flags=mmap.MAP_PRIVATE)
        self._held, self._pages = memoryview(self._held_memory), memoryview(self._pages_memory)
        self._sizes = self._held.cast("I")
        self._others: dict[int, dict[int, int]] = {}
        """By page, sizes by their distance from RAM's beginning."""
        self._words = (ctypes.c_uint64 * len(Table))()
        self.address = ctypes.addressof(self._words)
        words = self._words
        words[Table.SHOWN], words[Table.BITS], words[Table.MASK] = layer.shown_address, layer.bits.address, layer.mask
        words[Table.HELD], words[Table.PAGES] = map(buffer_address, (self._held_memory, self._pages_memory))
        words[Table.HEAP] = heap

    def set_offset(self, offset: int, *, is_linear: bool) -> None:
        """Virtual minus physical address, and whether blocks are known to lie there."""
        self._words[Table.OFFSET], self._words[Table.LINEAR] = offset, is_linear

    def allocated(self) -> int:
        """How many blocks native code has entered since this was asked last."""
        count, self._words[Table.ALLOCATED] = self._words[Table.ALLOCATED], 0
        return count

    def was_freed(self, ppn: int) -> bool:
        """Whether a frame has come back to its allocator and is free."""
        page = ppn - (self._base >> PAGE_BITS)
        return 0 <= page < len(self._pages) and bool(self._pages[page] & layout.FREED)

    def size(self, physical: int) -> int:
        """Of the block that begins there and is held; 0 if none is known."""
        place = physical - self._base
        if not 0 <= place < self._size:
            return 0
        return self._others_at(place).get(place, 0) if place & 7 else self._sizes[place >> _CELL_BITS]

    def _others_at(self, place: int) -> dict[int, int]:
        """Blocks of a page that begin at no multiple of eight; native code takes them for gone with their page."""
        page = place >> PAGE_BITS
        return self._others.setdefault(page, {}) if self._pages[page] & layout.HAS_OTHERS else {}

    def frames_changed(self, ppn: int, count: int, *, freed: bool) -> None:
        """Frames were handed out, or have come back; blocks in them are held no more."""
        first = ppn - (self._base >> PAGE_BITS)
        pages, state = self._pages, layout.FREED if freed else 0
        for page in range(max(first, 0), min(first + count, len(pages))):
            if pages[page] & layout.HAS_BLOCKS:
                self._held[page * _PART : (page + 1) * _PART] = _NOTHING
            pages[page] = state

    def frames_governed(self, physical: int, size: int) -> None:
        """Frames are an allocator's, and have not come back to it."""
        pages, first = self._pages, physical - self._base >> PAGE_BITS
        for page in range(max(first, 0), min(first + (size >> PAGE_BITS), len(pages))):
            pages[page] &= ~layout.FREED

    def block_changed(self, physical: int, size: int) -> None:
        """A block that begins there is held, or none with 0."""
        place = physical - self._base
        if not 0 <= place < self._size:
            return
        page = place >> PAGE_BITS
        if place & 7:
            self._others[page] = {**self._others_at(place), place: size}
            self._pages[page] |= layout.HAS_OTHERS
        else:
            self._sizes[place >> _CELL_BITS] = size if size <= _MOST_HELD else 0
            self._pages[page] |= layout.HAS_BLOCKS

    def save(self) -> object:
        """All that is known."""
        pages, held = bytes(self._pages), self._held
        held_in = {page: bytes(held[page * _PART : (page + 1) * _PART]) for page in _with_blocks(pages)}
        return _Saved(pages, held_in, {page: dict(others) for page, others in self._others.items()})

    def restore(self, saved: object | None) -> None:
        """Return to that; to nothing with None."""
        pages, held, others = cast("_Saved", saved or (bytes(len(self._pages)), {}, {}))
        self._others = {page: dict(each) for page, each in others.items()}
        for page in (*_with_blocks(bytes(self._pages)), *held):
            self._held[page * _PART : (page + 1) * _PART] = held.get(page, _NOTHING)
        self._pages[:] = pages


def _with_blocks(pages: bytes) -> Iterator[int]:
    return (found.start() for found in _WITH_BLOCKS.finditer(pages))
