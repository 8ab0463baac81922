"""Saved states of RAM: the memory file holds one of them, every other is kept as its difference to a neighbour.

Guest stores copy pages privately. Returning to the state in the file fills those pages from the file again: they stay
private, so that the next store finds them there, and are dropped once they are written no more. Returning to another
state drops them, and exchanges the differences on the way to it (Baker's rerooting).
"""

import mmap
import os
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from operator import itemgetter
from weakref import WeakSet, WeakValueDictionary

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.hints import TYPE_CHECKING
from emu.memory.ram import Ram, extents

if TYPE_CHECKING:
    from emu.memory.pagescan import Run

_ZEROS = bytes(PAGE_SIZE)
_PAGE = struct.Struct(f"{PAGE_SIZE}s")
_LARGEST_RUN = 1 << 20
"""Bytes that are handed over at once."""
_MOST_PIECES = 512
"""Pages that are written to the file at once (below IOV_MAX)."""
_ROUNDS = 16
"""After so many returns by copying, pages that the guest has not written since the last one are dropped."""


class _Node:
    """A state in the tree of states. Without `toward` it is what the file holds."""

    __slots__ = ("__weakref__", "children", "is_zero", "pages", "toward")

    def __init__(self) -> None:
        self.pages: dict[int, bytes] = {}
        """What differs from the state `toward`, by page index."""
        self.toward: _Node | None = None
        self.children: WeakSet[_Node] = WeakSet()
        """Those that differ from this one."""
        self.is_zero = False
        """Whether no byte is other than 0."""

    def differ(self, pages: dict[int, bytes], toward: "_Node") -> None:
        """Be kept as a difference."""
        self.pages, self.toward = pages, toward
        toward.children.add(self)

    def leave_out(self) -> None:
        """Let those that differ from this one differ from what it differs from."""
        assert self.toward is not None
        self.toward.children.discard(self)
        for child in list(self.children):
            child.differ({**self.pages, **child.pages}, self.toward)
        self.children.clear()


class RamState:
    """One saved state; what it takes is given back when nobody holds it any more."""

    __slots__ = ("__weakref__", "_freed", "node")

    def __init__(self, node: _Node, freed: list[_Node]) -> None:
        self.node, self._freed = node, freed

    def __del__(self) -> None:
        self._freed.append(self.node)

    @property
    def bytes(self) -> int:
        """What it takes of the host's memory."""
        return 0 if self.node.toward is not None and self.node.is_zero else len(self.node.pages) << PAGE_BITS


class RamHistory:
    """Takes and restores states of one RAM.

    >>> ram = Ram(1 << 20)
    >>> history = RamHistory(ram)
    >>> empty = history.take()
    >>> ram.view[5000] = 7
    >>> full = history.take()
    >>> _ = history.restore(empty); ram.view[5000]
    0
    >>> _ = history.restore(full); ram.view[5000]
    7
    """

    def __init__(self, ram: Ram) -> None:
        self._ram = ram
        self._current: _Node | None = None
        self._states: WeakValueDictionary[int, RamState] = WeakValueDictionary()
        """What users hold, by the identity of the node."""
        self._freed: list[_Node] = []
        """Nodes that nobody holds any more, unless they were asked for again."""
        self._copy: dict[int, bytes] = {}
        self._copies = 0
        """How often pages were filled again."""
        self._filled_again: list[Run] = []
        """Those that are private since, and may be equal to the file's."""

    def take(self) -> RamState:
        """The state now."""
        self._leave_out_freed()
        changed = self._changed()
        if self._current is not None and not changed:
            return self._held(self._current)
        node = _Node()
        if self._current is not None and self._current.is_zero:
            self._current.differ(dict.fromkeys(_pages(changed), _ZEROS), node)
        elif self._current is not None:
            self._current.differ(self._saved_pages(self._needed(self._current, changed)), node)
        if self._ram.has_own_file:
            for first, count in changed:
                self._save_run(first << PAGE_BITS, (first + count) << PAGE_BITS)
            if changed:
                self._ram.show_file()
        else:
            pages = {page: self._page(page) for page in _pages(changed)}
            self._ram.own_file()
            self._save(pages)
        self._drop(changed)
        self._current = node
        return self._held(node)

    def _needed(self, node: _Node, changed: "list[Run]") -> "list[Run]":
        """Of pages that are about to be others in the file, those by which somebody can still return to a state."""
        if id(node) in self._states:
            return changed
        children = list(node.children)
        return _runs(
            sorted(
                {
                    page
                    for child in children
                    for first, count in changed
                    for page in range(first, first + count)
                    if page not in child.pages
                }
            )
        )

    def take_empty(self) -> RamState:
        """The state of a RAM that nobody has written to yet."""
        self._current = _Node()
        self._current.is_zero = True
        return self._held(self._current)

    def _held(self, node: _Node) -> RamState:
        """What users hold of a node."""
        state = self._states.get(id(node))
        if state is None:
            state = self._states[id(node)] = RamState(node, self._freed)
        return state

    def _leave_out_freed(self) -> None:
        """Forget states that nobody holds; the current one has to wait."""
        waiting = []
        while self._freed:
            node = self._freed.pop()
            if node is self._current:
                waiting.append(node)
            elif id(node) not in self._states and node.toward is not None:
                node.leave_out()
        self._freed.extend(waiting)

    def restore(self, state: RamState, code_pages: Collection[int] = ()) -> bool:
        """Return to a state; True when one of some pages (physical address >> PAGE_BITS) has changed."""
        self._leave_out_freed()
        saved = self._ram.saved() if state.node is self._current else None
        if saved is not None:
            return self._fill_again(saved, code_pages)
        runs, self._filled_again = self._written(), []
        self._drop(runs)
        changed = set(_pages(runs))
        path = [state.node]
        while (following := path[-1].toward) is not None:
            path.append(following)
        for node in reversed(path[:-1]):
            changed.update(node.pages)
            self._exchange(node)
        first = self._ram.base >> PAGE_BITS
        return any(first + page in code_pages for page in changed)

    def drop(self, state: RamState) -> None:
        """Return to a state, and let no page stay private: its next store costs more, and returning nothing."""
        if state.node is not self._current:
            self.restore(state)
        else:
            self._drop(self._written())
            self._filled_again = []

    def _fill_again(self, saved: memoryview, code_pages: Collection[int]) -> bool:
        """Return to the state in the file, `saved`, by copying; True when bytes in one of the pages have changed."""
        view, runs = self._ram.view, self._written()
        base = self._ram.base >> PAGE_BITS
        changed = bool(code_pages) and any(
            base + page in code_pages and bytes(view[start:end]) != bytes(saved[start:end])
            for page in _pages(runs)
            for start, end in [(page << PAGE_BITS, page + 1 << PAGE_BITS)]
        )
        if runs:
            self._copies += 1
            if self._copies % _ROUNDS == 0:
                runs = self._drop_equal(runs, saved, set(_pages(runs)))
        for first, count in runs:
            start, end = first << PAGE_BITS, (first + count) << PAGE_BITS
            view[start:end] = saved[start:end]
        self._filled_again = runs
        return changed

    def _drop_equal(self, runs: "list[Run]", saved: memoryview, asked: set[int]) -> "list[Run]":
        """Drop the private pages, of those asked for, that are equal to the file's; what is left of the runs."""
        view = self._ram.view
        equal: list[int] = []
        other: list[int] = []
        for page in _pages(runs):
            start, end = page << PAGE_BITS, page + 1 << PAGE_BITS
            is_equal = page in asked and bytes(view[start:end]) == bytes(saved[start:end])
            (equal if is_equal else other).append(page)
        self._drop(_runs(equal))
        return _runs(other)

    def runs(self, state: RamState) -> Iterator[tuple[int, bytes]]:
        """The pages of a state that are not zero, as runs: the first page and the bytes; RAM stays as it is."""
        differing: dict[int, bytes] = {}
        node = state.node
        while node.toward is not None:
            differing = node.pages | differing
            node = node.toward
        waiting, first = bytearray(), 0
        for page in sorted({*self._filled(), *differing}):
            data = differing.get(page) or self._saved(page)
            if waiting and (page != first + len(waiting) // PAGE_SIZE or len(waiting) >= _LARGEST_RUN):
                yield first, bytes(waiting)
                waiting.clear()
            if data != _ZEROS:
                first = first if waiting else page
                waiting += data
        if waiting:
            yield first, bytes(waiting)

    def add(self, runs: Iterable[tuple[int, bytes | memoryview]]) -> RamState:
        """A state that consists of such pages, all others being zero; RAM stays as it is."""
        now, node = self.take().node, _Node()
        if self._ram.has_own_file and not self._filled():  # nothing that could differ: fill the file itself
            self._ram.show_file()
            for first, data in runs:
                self._write(first << PAGE_BITS, memoryview(data))
            now.differ(dict.fromkeys(self._filled(), _ZEROS), node)
            self._current = node
            return self._held(node)
        pages = dict.fromkeys(self._filled(), _ZEROS)
        for first, data in runs:
            for number in range(len(data) // PAGE_SIZE):
                pages[first + number] = bytes(data[number * PAGE_SIZE : (number + 1) * PAGE_SIZE])
        node.differ(pages, now)
        return self._held(node)

    def _filled(self) -> list[int]:
        """Pages of the current state that may differ from zero."""
        ram = self._ram
        if ram.file is None:
            return list(self._copy)
        return [
            page
            for start, end in extents(ram.file, ram.size)
            for page in range(start >> PAGE_BITS, -(-end >> PAGE_BITS))
        ]

    def _exchange(self, node: _Node) -> None:
        """Make `node` the state in the file, and what was there a difference to it."""
        other = node.toward
        if other is None:
            return
        other.children.discard(node)
        other.differ(self._saved_pages(_runs(sorted(node.pages))), node)
        self._ram.own_file()
        self._ram.show_file()
        self._save(node.pages)
        node.pages, node.toward = {}, None
        self._current = node

    # Where there is a memory file (Linux), it holds the current state; elsewhere a copy does.

    def _written(self) -> "list[Run]":
        """Pages that may differ from the current state."""
        ram = self._ram
        if ram.file is None:
            return _runs(page for page in range(ram.size >> PAGE_BITS) if self._page(page) != self._saved(page))
        from emu.memory.pagescan import written_pages  # a machine that is run once never asks

        return written_pages(ram.host_address, ram.size)

    def _changed(self) -> "list[Run]":
        """The same, without pages that were only filled again."""
        runs = self._written()
        again, self._filled_again = set(_pages(self._filled_again)), []
        saved = self._ram.saved() if again else None
        return runs if saved is None else self._drop_equal(runs, saved, again)

    def _page(self, page: int) -> bytes:
        return bytes(self._ram.view[page << PAGE_BITS : (page + 1) << PAGE_BITS])

    def _saved(self, page: int) -> bytes:
        if self._ram.file is None:
            return self._copy.get(page, bytes(PAGE_SIZE))
        return os.pread(self._ram.file, PAGE_SIZE, page << PAGE_BITS)

    def _saved_pages(self, runs: "list[Run]") -> dict[int, bytes]:
        """Pages of the current state. What is a hole in the file is not read: that would fill it."""
        saved, file = self._ram.saved(), self._ram.file
        if saved is None or file is None:
            return {page: self._saved(page) for page in _pages(runs)}
        pages = dict.fromkeys(_pages(runs), _ZEROS)
        filled = extents(file, self._ram.size) if pages else []
        starts, ends = [start for start, _ in filled], [end for _, end in filled]
        for first, count in runs:
            start, end = first << PAGE_BITS, first + count << PAGE_BITS
            for index in range(bisect_right(ends, start), bisect_left(starts, end)):
                low, high = filled[index]
                low, high = max(low, start) >> PAGE_BITS, min(high, end) + PAGE_SIZE - 1 >> PAGE_BITS
                each = map(itemgetter(0), _PAGE.iter_unpack(saved[low << PAGE_BITS : high << PAGE_BITS]))
                pages.update(zip(range(low, high), each, strict=True))
        return pages

    def _save(self, pages: dict[int, bytes]) -> None:
        file = self._ram.file
        if file is None:
            self._copy.update(pages)
            return
        for first, count in _runs(sorted(pages)):
            for start in range(first, first + count, _MOST_PIECES):
                pieces = [pages[page] for page in range(start, min(start + _MOST_PIECES, first + count))]
                if os.pwritev(file, pieces, start << PAGE_BITS) != len(pieces) << PAGE_BITS:
                    self._write(start << PAGE_BITS, memoryview(b"".join(pieces)))

    def _save_run(self, start: int, end: int) -> None:
        """Write a part of RAM to the file, without a copy; by memory where it is mapped already, which takes half."""
        now = self._ram.view[start:end]
        kept = self._ram.kept(start, end)
        if kept is not None:
            kept[:] = now
        else:
            self._write(start, now)

    def _write(self, start: int, data: memoryview) -> None:
        assert self._ram.file is not None
        while data:
            done = os.pwrite(self._ram.file, data, start)
            start, data = start + done, data[done:]

    def _drop(self, runs: "list[Run]") -> None:
        """Let the mapping show the file again."""
        if self._ram.file is None:
            for page in _pages(runs):
                self._ram.view[page << PAGE_BITS : (page + 1) << PAGE_BITS] = self._saved(page)
            return
        for first, count in runs:
            self._ram.mapping.madvise(mmap.MADV_DONTNEED, first << PAGE_BITS, count << PAGE_BITS)


def _pages(runs: "Iterable[Run]") -> Iterator[int]:
    """All numbers of runs.

    >>> list(_pages([(1, 3), (7, 1)]))
    [1, 2, 3, 7]
    """
    return (page for first, count in runs for page in range(first, first + count))


def _runs(pages: Iterable[int]) -> "list[Run]":
    """Consecutive numbers as (first, count).

    >>> _runs([1, 2, 3, 7])
    [(1, 3), (7, 1)]
    """
    runs: list[Run] = []
    for page in pages:
        if runs and page == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((page, 1))
    return runs
