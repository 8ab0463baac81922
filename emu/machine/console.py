"""The console: what the guest wrote to it so far, and what was typed for it to read."""

from collections import deque
from collections.abc import Callable

from emu.lateclass import dataclass

_PART = 1 << 16
"""Bytes after which a part of the output is kept as it is."""


def _nothing() -> bytes:
    return b""


def _no_more() -> None:
    """Nothing waits."""


@dataclass(frozen=True, slots=True)
class ConsoleState:
    """What a console has kept, in parts that saved states share."""

    parts: tuple[bytes, ...]
    tail: bytes
    written: int


class Console:
    """Collects output of UART and SBI in one place, and keeps the last `kept` bytes of it.

    >>> console = Console(lambda data: None, kept=4)
    >>> console.write(b"hello"); console.output, console.written
    (b'ello', 5)
    """

    def __init__(self, told: Callable[[bytes], None], *, kept: int) -> None:
        """`told` is called with all that is written."""
        self._told, self._kept = told, kept
        self._parts: deque[bytes] = deque()
        self._size = 0
        """Bytes in all parts."""
        self._tail = bytearray()
        self._written = 0
        self.before: Callable[[], None] = _no_more
        """Called before anybody looks or writes, to have written what waits elsewhere."""

    @property
    def written(self) -> int:
        """Bytes written since power-on, kept or not."""
        self.before()
        return self._written

    @property
    def output(self) -> bytes:
        """The last that was written."""
        self.before()
        output = b"".join((*self._parts, self._tail))
        return output[max(0, len(output) - self._kept) :]

    def write(self, data: bytes) -> None:
        """The guest writes."""
        self.before()
        self._written += len(data)
        self._tail += data
        if len(self._tail) >= _PART:
            self._seal()
        self._told(data)

    def _seal(self) -> None:
        parts = self._parts
        parts.append(bytes(self._tail))
        self._size += len(self._tail)
        self._tail.clear()
        while parts and self._size - len(parts[0]) >= self._kept:
            self._size -= len(parts.popleft())

    def save(self) -> ConsoleState:
        """The state, for `restore`."""
        self.before()
        return ConsoleState(tuple(self._parts), bytes(self._tail), self._written)

    def restore(self, state: ConsoleState) -> None:
        """Return to a saved state."""
        self.before()
        self._parts, self._size = deque(state.parts), sum(map(len, state.parts))
        self._tail, self._written = bytearray(state.tail), state.written


class Keyboard:
    """What is typed, one byte each time the guest asks: it depends on the guest alone when a byte arrives.

    >>> keyboard = Keyboard()
    >>> keyboard.type(b"a"); keyboard.take(), keyboard.take()
    (97, -1)
    """

    def __init__(
        self, note: Callable[..., bool] = lambda *_what, **_how: True, hears: Callable[[], bool] = lambda: True
    ) -> None:
        """`note` is asked before anything arrives (see `Inputs.note`), `hears` before `source` is asked."""
        self._note, self._hears = note, hears
        self._typed: deque[int] = deque()
        self.given = 0
        """Bytes that the guest has got since power-on."""
        self.source: Callable[[], bytes] = _nothing
        """Asked for more when nothing is left; may have nothing."""
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether a guest that would wait for more is told that the input has ended."""
        return self._ended

    @ended.setter
    def ended(self, ended: bool) -> None:
        if ended != self._ended and self._note("input ended", ended):
            self.end(ended)

    def end(self, ended: bool) -> None:
        """Let the input end, or not."""
        self._ended = ended

    def type(self, data: bytes) -> None:
        """Add bytes behind those that wait."""
        if self._note("typed", bytes(data)):
            self.put(data)

    def put(self, data: bytes) -> None:
        """The same, as a part of the machine."""
        self._typed.extend(data)

    def take(self) -> int:
        """The next byte, or -1."""
        if not self._typed and self._hears() and (data := self.source()) and self._note("typed", data, before=True):
            self._typed.extend(data)
        if not self._typed:
            return -1
        self.given += 1
        return self._typed.popleft()

    def save(self) -> tuple[int, ...]:
        """The state, for `restore`."""
        return (self.given, self._ended, *self._typed)

    def restore(self, state: tuple[int, ...]) -> None:
        """Return to a saved state."""
        self.given, ended, *typed = state
        self._ended, self._typed = bool(ended), deque(typed)
