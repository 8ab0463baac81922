"""Under which circumstances a translation holds, by number."""

from emu.buffers import buffer_address
from emu.engine.fills.table import CONTEXT, CONTEXTS, MARK, NUMBERS, PERMISSION_TABLES, PERMISSIONS
from emu.engine.fills.tlb import Translations
from emu.hart.fills import permission_tables


class Contexts:
    """The contexts of the engine's second-level TLB that a hart has used since it last forgot all of them.

    A context is left for ever when all translations are forgotten: nothing has to be cleared, until the numbers are
    used up.
    """

    def __init__(self, table: Translations) -> None:
        tables = {key: buffer_address(granted) for key, granted in permission_tables().items()}
        self._permissions = tables
        self._places = {key: NUMBERS + place for place, key in enumerate(tables)}
        self._table = table
        self._words = table.words
        self._numbers: dict[int, int] = {}
        self._words[PERMISSION_TABLES] = tables[0]
        self._last = 0

    def enter(self, key: int, marks: bool) -> None:
        """Translations are asked for, from now on, under the circumstances that `key` stands for.

        It is one of those of `permission_tables`.
        """
        words = self._words  # two for each trap: a method would take as long again
        words[CONTEXT] = self._numbers.get(key) or self._number(key)
        words[MARK], words[PERMISSIONS] = marks, self._permissions[key]

    def _number(self, key: int) -> int:
        if self._last == CONTEXTS - 1:
            self._start_again()
        self._last += 1
        self._numbers[key] = self._words[self._places[key]] = self._last
        return self._last

    def leave(self) -> None:
        """Every translation is asked for, from now on, and none is kept."""
        self._table.enter(0)

    def forget(self) -> None:
        """No translation that is kept holds any more, in any context; `enter` or `leave` must follow."""
        self._numbers.clear()
        self._table.forget_contexts()

    def _start_again(self) -> None:
        self._table.forget_all()
        self._table.forget_contexts()
        self._numbers.clear()
        self._last = 0
