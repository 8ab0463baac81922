"""Records of an instruction each, taken in the order of time: from what was fed, and from a file's chunks."""

import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, Protocol, TypeVar

from emu.buffers import buffer_address

R = TypeVar("R", bound="Timed", covariant=True)
_AT_ONCE = 1 << 10
_TIME = struct.Struct("<Q")


class Timed(Protocol):
    """Something that happened to an instruction."""

    @property
    def instret(self) -> int:
        """Instructions that had retired before it."""


class Queue(Generic[R]):
    """What happened, as objects."""

    def __init__(self) -> None:
        self._items: deque[R] = deque()
        self._more: Iterator[R] = iter(())

    def read(self, items: Iterator[R]) -> None:
        """Take more from there whenever all has been taken."""
        self._more = items

    def clear(self) -> None:
        """Forget what has not been taken."""
        self._items.clear()

    def feed(self, items: Iterable[R]) -> None:
        """Append what has come since."""
        self._items.extend(items)

    @property
    def next(self) -> int | None:
        """`instret` of the first; None where there is none."""
        if not self._items:
            self._items.extend(islice(self._more, _AT_ONCE))
        return self._items[0].instret if self._items else None

    def until(self, instret: int) -> Sequence[R]:
        """What came before the instruction before which so many had retired, and of that itself."""
        found: list[R] = []
        while (upcoming := self.next) is not None and upcoming <= instret:
            found.append(self._items.popleft())
        return found


class Records(Generic[R]):
    """What happened, as records whose last 8 bytes are `instret`."""

    def __init__(self, size: int, decode: Callable[[bytes], Iterable[R]]) -> None:
        """`size` is that of a record in bytes."""
        self._size, self._decode = size, decode
        self._data = bytearray()
        self._place = self._begin = 0
        self._chunks: Iterator[bytes] = iter(())

    def clear(self) -> None:
        """Forget what has not been taken."""
        self._data.clear()
        self._place = self._begin = 0

    def feed(self, records: bytes | memoryview) -> None:
        """Append what has come since; half a record at its end is left out."""
        if self._place:
            del self._data[: self._place]
            self._place = 0
        self._data += records[: len(records) // self._size * self._size]
        self._begin = buffer_address(self._data) if self._data else 0

    def read(self, chunks: Iterator[bytes]) -> None:
        """Take more from there whenever all has been taken."""
        self._chunks = chunks

    def load(self, instret: int) -> None:
        """Read as much as belongs to instructions before that one, if the recorded time never went back."""
        while not self._data or _TIME.unpack_from(self._data, len(self._data) - 8)[0] < instret:
            chunk = next(self._chunks, None)
            if chunk is None:
                return
            self.feed(chunk)

    def until(self, instret: int) -> list[R]:
        """See `Queue.until`."""
        data, size, begin = self._data, self._size, self._place
        end = begin
        while True:
            if end == len(data):
                more = next(self._chunks, None)
                if more is None:
                    break
                end -= self._place
                self.feed(more)
                begin = 0
                continue
            if _TIME.unpack_from(data, end + size - 8)[0] > instret:
                break
            end += size
        self._place = end
        return list(self._decode(bytes(data[begin:end]))) if begin < end else []

    def span(self) -> tuple[int, int]:
        """Where in memory the records that were not taken are: begin and end, until it is fed or asked again."""
        return self._begin + self._place, self._begin + len(self._data)

    def taken_until(self, address: int) -> None:
        """What lies before that address in the last `span` was taken."""
        self._place = address - self._begin
