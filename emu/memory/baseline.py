"""Saved states of RAM: the memory file holds one of them, every other is kept as its difference to a neighbour.

Guest stores copy pages privately, so returning to the state in the file means dropping those pages. Returning to
another state first exchanges the differences on the way to it (Baker's rerooting).
"""

import mmap
import os
from collections.abc import Collection, Iterable

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.memory.pagescan import written_pages
from emu.memory.ram import Ram


class RamState:
    """One saved state. Without `toward` it is what the file holds."""

    __slots__ = ("pages", "toward")

    def __init__(self) -> None:
        self.pages: dict[int, bytes] = {}
        """What differs from the state `toward`, by page index."""
        self.toward: RamState | None = None


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
        self._current: RamState | None = None
        self._copy: dict[int, bytes] = {}

    def take(self) -> RamState:
        """The state now."""
        changed = self._changed_pages()
        if self._current is not None and not changed:
            return self._current
        state = RamState()
        if self._current is not None:
            self._current.pages = {page: self._saved(page) for page in changed}
            self._current.toward = state
        if self._ram.has_own_file:
            for start, length in _runs(changed):
                self._save_run(start << PAGE_BITS, (start + length) << PAGE_BITS)
        else:
            pages = {page: self._page(page) for page in changed}
            self._ram.own_file()
            self._save(pages)
        self._drop(changed)
        self._current = state
        return state

    def restore(self, state: RamState, code_chunks: Collection[int] = (), chunk_bits: int = 16) -> bool:
        """Return to a state; True when a page in one of the chunks (address >> chunk_bits) has changed."""
        changed = set(self._changed_pages())
        self._drop(sorted(changed))
        path = [state]
        while (following := path[-1].toward) is not None:
            path.append(following)
        for node in reversed(path[:-1]):
            changed.update(node.pages)
            self._exchange(node)
        first = self._ram.base >> PAGE_BITS
        shift = chunk_bits - PAGE_BITS
        return any((first + page) >> shift in code_chunks for page in changed)

    def _exchange(self, node: RamState) -> None:
        """Make `node` the state in the file, and what was there a difference to it."""
        other = node.toward
        if other is None:
            return
        other.pages = {page: self._saved(page) for page in node.pages}
        other.toward = node
        self._ram.own_file()
        self._save(node.pages)
        node.pages, node.toward = {}, None
        self._current = node

    # Where there is a memory file (Linux), it holds the current state; elsewhere a copy does.

    def _changed_pages(self) -> list[int]:
        ram = self._ram
        if ram.file is None:
            return [page for page in range(ram.size >> PAGE_BITS) if self._page(page) != self._saved(page)]
        runs = written_pages(ram.host_address, ram.size)
        return [page for first, count in runs for page in range(first, first + count)]

    def _page(self, page: int) -> bytes:
        return bytes(self._ram.view[page << PAGE_BITS : (page + 1) << PAGE_BITS])

    def _saved(self, page: int) -> bytes:
        if self._ram.file is None:
            return self._copy.get(page, bytes(PAGE_SIZE))
        return os.pread(self._ram.file, PAGE_SIZE, page << PAGE_BITS)

    def _save(self, pages: dict[int, bytes]) -> None:
        if self._ram.file is None:
            self._copy.update(pages)
            return
        for page, data in pages.items():
            os.pwrite(self._ram.file, data, page << PAGE_BITS)

    def _save_run(self, start: int, end: int) -> None:
        """Write a part of RAM to the file, without a copy."""
        assert self._ram.file is not None
        while start < end:
            start += os.pwrite(self._ram.file, self._ram.view[start:end], start)

    def _drop(self, pages: Iterable[int]) -> None:
        """Let the mapping show the file again."""
        if self._ram.file is None:
            for page in pages:
                self._ram.view[page << PAGE_BITS : (page + 1) << PAGE_BITS] = self._saved(page)
            return
        for start, length in _runs(pages):
            self._ram.mapping.madvise(mmap.MADV_DONTNEED, start << PAGE_BITS, length << PAGE_BITS)


def _runs(pages: Iterable[int]) -> list[tuple[int, int]]:
    """Consecutive numbers as (first, count).

    >>> _runs([1, 2, 3, 7])
    [(1, 3), (7, 1)]
    """
    runs: list[tuple[int, int]] = []
    for page in pages:
        if runs and page == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((page, 1))
    return runs
