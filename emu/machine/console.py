"""The console: what the guest wrote to it so far, and what was typed for it to read."""

from collections import deque
from collections.abc import Callable


def _nothing() -> bytes:
    return b""


class Console:
    """Collects output of UART and SBI in one place.

    >>> console = Console(lambda data: None)
    >>> console.write(b"hello"); console.output
    b'hello'
    """

    def __init__(self, written: Callable[[bytes], None]) -> None:
        self._written = written
        self._output = bytearray()

    @property
    def output(self) -> bytes:
        """Everything that was written since power-on."""
        return bytes(self._output)

    def write(self, data: bytes) -> None:
        """The guest writes."""
        self._output += data
        self._written(data)

    def save(self) -> bytes:
        """The state, for `restore`."""
        return bytes(self._output)

    def restore(self, state: bytes) -> None:
        """Return to a saved state."""
        self._output = bytearray(state)


class Keyboard:
    """What is typed, one byte each time the guest asks: it depends on the guest alone when a byte arrives.

    >>> keyboard = Keyboard()
    >>> keyboard.type(b"a"); keyboard.take(), keyboard.take()
    (97, -1)
    """

    def __init__(self) -> None:
        self._typed: deque[int] = deque()
        self.source: Callable[[], bytes] = _nothing
        """Asked for more when nothing is left; may have nothing."""
        self.ended = False
        """Whether a guest that would wait for more is told that the input has ended."""

    def type(self, data: bytes) -> None:
        """Add bytes behind those that wait."""
        self._typed.extend(data)

    def take(self) -> int:
        """The next byte, or -1."""
        if not self._typed:
            self._typed.extend(self.source())
        return self._typed.popleft() if self._typed else -1

    def save(self) -> tuple[int, ...]:
        """The state, for `restore`."""
        return tuple(self._typed)

    def restore(self, state: tuple[int, ...]) -> None:
        """Return to a saved state."""
        self._typed = deque(state)
