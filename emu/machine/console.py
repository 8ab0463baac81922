"""The console: what the guest wrote to it so far, and what was typed for it to read."""

from collections import deque
from collections.abc import Callable


class Console:
    """Collects output of UART and SBI in one place.

    >>> console = Console(lambda data: None)
    >>> console.write(b"hello"); console.output
    b'hello'
    """

    def __init__(self, written: Callable[[bytes], None]) -> None:
        self._written = written
        self._output = bytearray()
        self._typed: deque[int] = deque()

    @property
    def output(self) -> bytes:
        """Everything that was written since power-on."""
        return bytes(self._output)

    def write(self, data: bytes) -> None:
        """The guest writes."""
        self._output += data
        self._written(data)

    def type(self, data: bytes) -> None:
        """Give the guest bytes to read through the SBI."""
        self._typed.extend(data)

    def take(self) -> int:
        """The next typed byte, or -1."""
        return self._typed.popleft() if self._typed else -1

    def save(self) -> tuple[bytes, tuple[int, ...]]:
        """The state, for `restore`."""
        return bytes(self._output), tuple(self._typed)

    def restore(self, state: tuple[bytes, tuple[int, ...]]) -> None:
        """Return to a saved state."""
        output, typed = state
        self._output = bytearray(output)
        self._typed = deque(typed)
