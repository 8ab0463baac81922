"""What is told later of recorded calls, in the order in which it came."""

from emu.engine.translated.features.callrecords import CallRecords
from emu.hints import Any, Protocol, TypeVar

C = TypeVar("C", contravariant=True)


class Again(Protocol[C]):
    """Who can tell what a record says when it is told again."""

    def tell_again(self, about: C, /) -> None:
        """Tell of it; its record is the one that is being told."""


class Later:
    """Waiting things, each with the record that was being told when it came."""

    def __init__(self, records: CallRecords) -> None:
        self._records = records
        self._waiting: list[Any] = []
        """Four for each: the record and its place, what tells it, and what about; None where it is called alone. One
        list of simple things is little work for a garbage collector."""

    def add(self, tell: Any, about: object) -> int:
        """Have one wait: something to be called, or an `Again` with what it is to tell about. How many wait."""
        self._waiting += (*self._records.telling, tell, about)
        return len(self._waiting) >> 2

    def tell(self) -> None:
        """Tell all that waits."""
        waiting, self._waiting = self._waiting, []
        records, each = self._records, iter(waiting)
        told = records.telling
        for data, at, tell, about in zip(each, each, each, each, strict=True):
            records.telling = data, at
            if about is None:
                tell()
            else:
                tell.tell_again(about)
        records.telling = told
