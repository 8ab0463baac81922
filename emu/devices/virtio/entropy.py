"""Virtio entropy device: random bytes that are the same in each run with the same seed (virtio 1.2, section 5.4)."""

from collections.abc import Callable

from emu.devices.virtio.queue import Virtqueue
from emu.hints import cast

_BLOCK = 32
_LARGEST_ANSWER = 4096
"""Bytes of one request; a device may give less than it was asked for (5.4.6.1)."""


class Entropy:
    """A source of bytes behind a transport: SHA-256 of seed and counter, so a run can be repeated exactly."""

    device_id = 4
    features = 0
    queues = 1

    def __init__(self, seed: bytes = b"ekernel") -> None:
        self._seed = seed
        self._given = 0
        """Bytes that were given out since power-on."""

    def connect(self, service: Callable[[int], None]) -> None:
        """It has no news of its own."""

    def config(self) -> bytes:
        """It has none."""
        return b""

    def handle(self, index: int, queue: Virtqueue) -> None:  # noqa: ARG002
        """Fill all buffers of the queue."""
        while (chain := queue.pop()) is not None:
            data = self._next(min(chain.writable_size, _LARGEST_ANSWER))
            chain.write(data)
            queue.push(chain, len(data))

    def reset(self) -> None:
        """The stream goes on."""

    def save(self) -> object:
        """The position in the stream."""
        return self._given

    def restore(self, state: object) -> None:
        """Return to a saved position."""
        self._given = cast("int", state)

    def close(self) -> None:
        """Nothing was lent."""

    def _next(self, count: int) -> bytes:
        import hashlib  # which loads OpenSSL: few guests ask for random bytes

        first, skipped = divmod(self._given, _BLOCK)
        last = (self._given + count) // _BLOCK
        stream = b"".join(
            hashlib.sha256(self._seed + number.to_bytes(8, "little")).digest() for number in range(first, last + 1)
        )
        self._given += count
        return stream[skipped : skipped + count]
