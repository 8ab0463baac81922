"""What is told later of calls, in the order in which it came: records as they are, and what Python was told of."""

from collections.abc import Callable
from itertools import islice
from struct import Struct

from emu.engine.translated.features.callrecords import CallRecords, Record
from emu.engine.translated.features.callrecords.layout import ENDED_BIT, RECORD_SIZE, Field
from emu.hints import NamedTuple
from emu.isa.privilege import Privilege
from emu.observe.calls.awaited import Waiting, Where

_WHERE = Struct("<2Q")
_ENDED = 1 << ENDED_BIT
_KIND = Field.NUMBER + ENDED_BIT // 8
"""Of the octet of a record that is 0 if that is of an entry."""


class _Change(NamedTuple):
    """Who awaits the return of a call has changed."""

    where: Where
    waiting: list[Waiting]
    also: bool
    """Whether those that did already still do."""
    enter: Callable[[], object]


class Later:
    """Records that nobody has looked at, and things that came between them.

    Who awaits a return at the moment can be asked for meanwhile (`awaited`): that is seldom.
    """

    def __init__(self, records: CallRecords, waiting: "Callable[[Record], Waiting | None]") -> None:
        """`waiting` says who awaits the return of a recorded call."""
        self._records, self._waiting = records, waiting
        self._items: list[bytes | _Change | Callable[[], object]] = []
        self.size = 0
        """How many records and things wait."""
        self._looked_at, self._has_user_calls = 0, False

    def add_records(self, data: bytes) -> None:
        """Have all of these wait."""
        self._items.append(data)
        self.size += len(data) // RECORD_SIZE

    def add(self, tell: Callable[[], object]) -> None:
        """Have something wait that is to be called."""
        self._items.append(tell)
        self.size += 1

    def add_change(
        self, where: Where, waiting: list[Waiting], enter: Callable[[], object], *, also: bool = False
    ) -> None:
        """The same of something that changes who awaits a return, which is asked for till then, too."""
        self._items.append(_Change(where, waiting, also, enter))
        self.size += 1

    def awaited(self, where: Where) -> tuple[list[Waiting], bool]:
        """Who awaits a return by what waits here, and whether that is all: else who did so before does, too."""
        pattern, found = _WHERE.pack(*where), list[Waiting]()
        for item in reversed(self._items):
            if isinstance(item, bytes):
                record = self._last(item, pattern)
                if record is not None:
                    waiting = None if record[0] & _ENDED else self._waiting(record)
                    return ([] if waiting is None else [waiting]) + found, True
            elif isinstance(item, _Change) and item.where == where:
                found = item.waiting + found
                if not item.also:
                    return found, True
        return found, False

    def _last(self, data: bytes, pattern: bytes) -> Record | None:
        """The last record of an awaited call, or of its return, at a place."""
        behind = len(data)
        while (at := data.rfind(pattern, 0, behind)) >= 0:
            behind = at + len(pattern) - 1
            start, rest = divmod(at - Field.LINK, RECORD_SIZE)
            if not rest:
                record = self._records.unpacked(data, start * RECORD_SIZE)
                if record[0] & _ENDED or self._waiting(record) is not None:
                    return record
        return None

    def has_user_calls(self) -> bool:
        """Whether calls of user programs are among what waits. Each item is looked at once."""
        for item in islice(self._items, self._looked_at, None):
            if isinstance(item, bytes):
                entries = zip(item[_KIND::RECORD_SIZE], item[Field.MODE :: RECORD_SIZE], strict=True)
                self._has_user_calls |= (0, 0) in entries  # of an entry; returns have no mode
            elif isinstance(item, _Change):
                self._has_user_calls |= any(one.awaited.call.privilege is Privilege.U for one in item.waiting)
        self._looked_at = len(self._items)
        return self._has_user_calls

    def tell(self) -> None:
        """Tell all that waits."""
        items, self._items, self.size = self._items, [], 0
        self._looked_at, self._has_user_calls = 0, False
        telling = self._records.telling
        for item in items:
            if isinstance(item, bytes):
                self._records.tell(item)
            elif isinstance(item, _Change):
                item.enter()
            else:
                item()
        self._records.telling = telling
