"""MemoryAccessed events for ranges of memory, by number or by symbol."""

import re

from emu.errors import ConfigError
from emu.events import MemoryAccessed
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.observe.source import Source
from emu.subscriptions import Subscription

_RANGE = re.compile(r"(?P<place>[^+]+?)(?:\+(?P<length>\w+)|-(?P<last>0x[0-9a-fA-F]+))?")
_WORD = 8


@dataclass(frozen=True, slots=True)
class WatchedRange:
    """Bytes whose accesses are told.

    >>> machine = Machine()
    >>> WatchedRange.parse(machine, "0x80200000-0x80200fff").length, WatchedRange.parse(machine, "0x80200000").length
    (4096, 8)
    """

    address: int
    length: int
    reads: bool = True
    writes: bool = True

    @classmethod
    def parse(cls, machine: Machine, text: str, *, reads: bool = True, writes: bool = True) -> "WatchedRange":
        """A symbol or an address, alone or as in `place+bytes` and `first-last`.

        A symbol alone stands for what it names, an address alone for 8 bytes. Raises ConfigError or SymbolError.
        """
        named = machine.symbols.named(text)
        found = _RANGE.fullmatch(text)
        if named or found is None:
            return cls(machine.address_of(text), _size(machine, text), reads, writes)
        place, length, last = found["place"], found["length"], found["last"]
        try:
            address = int(place, 0) if place[0].isdigit() else machine.address_of(place)
            if last is not None:
                count = int(last, 0) - address + 1
            elif length is not None:
                count = int(length, 0)
            else:
                count = _WORD if place[0].isdigit() else _size(machine, place)
        except ValueError:
            count = 0
        if count < 1:
            raise ConfigError(f"'{text}' is no range of memory: write SYMBOL, ADDRESS, PLACE+BYTES or FIRST-LAST")
        return cls(address, count, reads, writes)


def _size(machine: Machine, name: str) -> int:
    return machine.symbols.lookup(name).size or _WORD


class MemoryObserver(Source[WatchedRange]):
    """Makes one event of each access to any of the ranges, however many it touches.

    `close()` detaches it. Raises ConfigError for a range that cannot be watched, once somebody listens.
    """

    def __init__(self, machine: Machine, ranges: tuple[WatchedRange, ...]) -> None:
        self._watches: dict[WatchedRange, Subscription] = {}
        self._last: MemoryAccessed | None = None
        super().__init__(machine, (MemoryAccessed,), ranges)

    def follow(self, item: WatchedRange) -> None:
        """Watch a range."""
        self._watches[item] = self._machine.watch_memory(
            item.address, self._accessed, length=item.length, reads=item.reads, writes=item.writes
        )

    def unfollow(self, item: WatchedRange) -> None:
        """Watch it no more."""
        self._watches.pop(item).cancel()

    def _accessed(self, event: MemoryAccessed) -> None:
        if event is not self._last:
            self._last = event
            self._machine.events.emit(event)
