"""Returns RAM to one saved state again and again: by the list of pages that were written, which stay where they are."""

import os

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.hints import NamedTuple
from emu.memory.baseline import RamHistory, RamState
from emu.memory.pagescan import Question, Run, Scanner
from emu.memory.ram import Ram

_MOST_PAGES = 512
"""Written pages whose bytes are kept; of more the history puts all back."""
_FEW, _ROUNDS = 8, 128
"""With more pages than a few, all are given up after so many rounds: what was written once is not copied for ever."""


class Known(NamedTuple):
    """Pages that were written, while a question to the kernel has the answer that it had."""

    question: Question
    pages: list[tuple[memoryview, memoryview]]
    """In RAM, and what they held."""


class Rewinder:
    """Keeps the bytes of each page that was ever written, and copies them back.

    >>> ram = Ram(1 << 20)
    >>> history = RamHistory(ram)
    >>> rewinder = Rewinder(ram, history, history.take())
    >>> for value in 1, 2:
    ...     ram.view[5000] = value
    ...     _ = rewinder.rewind()
    >>> ram.view[5000], rewinder.pages
    (0, 1)
    """

    def __init__(self, ram: Ram, history: RamHistory, state: RamState) -> None:
        """`state` is the present one."""
        self._ram, self._history, self._state = ram, history, state
        self._scanner = Scanner(ram.host_address, ram.size) if ram.file is not None else None
        self._runs: list[Run] = []
        self._rounds = 0
        self._known: Known | None = None
        self._pages: dict[int, tuple[memoryview, memoryview]] = {}
        self._code: dict[int, set[tuple[int, int]]] = {}
        self._mixed: list[tuple[int, int, bytes]] = []
        """Where code lies in pages that were written, and the bytes that it has in the state."""

    @property
    def pages(self) -> int:
        """How many are copied each time."""
        return len(self._pages)

    def add_code(self, start: int, end: int) -> None:
        """Instructions between two offsets in RAM have been executed."""
        for page in range(start >> PAGE_BITS, (end - 1 >> PAGE_BITS) + 1):
            part = max(start, page << PAGE_BITS), min(end, (page + 1) << PAGE_BITS)
            parts = self._code.setdefault(page, set())
            if part not in parts:
                parts.add(part)
                if page in self._pages:
                    self._mix(page, *part)

    def _mix(self, page: int, start: int, end: int) -> None:
        first = page << PAGE_BITS
        self._mixed.append((start, end, bytes(self._pages[page][1][start - first : end - first])))

    def rewind(self) -> bool:
        """Return to the state; True when instructions have been changed by that."""
        if self._scanner is None:
            return self._history.restore(self._state, self._code_pages())
        self._rounds += 1
        runs = self._scanner.runs()
        if runs is not self._runs and sum(count for _, count in runs) > _MOST_PAGES:
            changed = self._history.restore(self._state, self._code_pages())
            self._give_up_old(_FEW + 1)
            return changed
        if runs is not self._runs:
            self._look(runs)
        view = self._ram.view
        changed = any(view[start:end] != code for start, end, code in self._mixed)
        for piece, saved in self._pages.values():
            piece[:] = saved
        self._give_up_old(len(self._pages))
        return changed

    @property
    def known(self) -> "Known | None":
        """What `rewind` copies, for who does the same natively; the very same while nothing has changed.

        None where that would not be all, or nothing is known yet.
        """
        question = None if self._scanner is None else self._scanner.question
        if question is None or self._mixed or not self._pages:
            return None
        if self._known is None:
            self._known = Known(question, list(self._pages.values()))
        return self._known

    def rewound(self, rounds: int) -> None:
        """So many times the same was done natively. Before `rewind`."""
        self._rounds += rounds

    def _give_up_old(self, pages: int) -> None:
        if self._rounds >= _ROUNDS and pages > _FEW:
            self._history.drop(self._state)
            self.forget()

    def _code_pages(self) -> set[int]:
        """The pages of physical memory that have been executed."""
        first = self._ram.base >> PAGE_BITS
        return {first + page for page in self._code}

    def forget(self) -> None:
        """The state was returned to in another way."""
        self._known = None
        self._runs, self._rounds = [], 0
        self._pages.clear()
        self._mixed.clear()

    def _look(self, runs: list[Run]) -> None:
        self._runs, self._known = runs, None
        file, view = self._ram.file, self._ram.view
        assert file is not None
        for first, count in runs:
            for page in range(first, first + count):
                if page not in self._pages:
                    start = page << PAGE_BITS
                    self._pages[page] = (
                        view[start : start + PAGE_SIZE], memoryview(bytearray(os.pread(file, PAGE_SIZE, start))),
                    )  # fmt: skip
                    for part in self._code.get(page, ()):
                        self._mix(page, *part)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._scanner is not None:
            self._scanner.close()
