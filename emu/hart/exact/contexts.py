"""Under which circumstances a translation holds, by number, and which pages are parts of larger ones."""

from emu.address import PAGE_BITS
from emu.engine.tlb import CONTEXT, CONTEXTS, MARK, Translations


class Contexts:
    """The contexts of the engine's second-level TLB that a hart has used since it last forgot all of them.

    A context is left for ever when all translations are forgotten: nothing has to be cleared, until the numbers are
    used up.
    """

    def __init__(self, table: Translations) -> None:
        self._table = table
        self._words = table.words
        self._numbers: dict[int, int] = {}
        self._last = 0
        self._large: set[tuple[int, int]] = set()

    def enter(self, key: int, marks: bool) -> None:
        """Translations are asked for, from now on, under the circumstances that `key` stands for."""
        words = self._words  # two for each trap: a method would take as long again
        words[CONTEXT] = self._numbers.get(key) or self._number(key)
        words[MARK] = marks

    def _number(self, key: int) -> int:
        if self._last == CONTEXTS - 1:
            self._start_again()
        self._last += 1
        self._numbers[key] = self._last
        return self._last

    def leave(self) -> None:
        """Every translation is asked for, from now on, and none is kept."""
        self._table.enter(0)

    def forget(self) -> None:
        """No translation that is kept holds any more, in any context; `enter` or `leave` must follow."""
        self._numbers.clear()
        self._large.clear()

    def _start_again(self) -> None:
        self._table.forget_all()
        self._numbers.clear()
        self._last = 0

    def note_large(self, address: int, shift: int) -> None:
        """A page of an address was translated by a leaf that maps 2**shift bytes."""
        self._large.add((shift, address >> shift))

    def is_in_large(self, address: int) -> bool:
        """Whether pages around that of an address may be kept that one leaf maps together with it."""
        large = self._large
        return bool(large) and any((shift, address >> shift) in large for shift in _SHIFTS)


_SHIFTS = tuple(PAGE_BITS + 9 * level for level in range(1, 5))
