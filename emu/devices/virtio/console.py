"""Virtio console: one port that sends and receives bytes (virtio 1.2, section 5.3)."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import cast

from emu.devices.virtio.queue import Virtqueue

RECEIVE, TRANSMIT = 0, 1
"""The queues of port 0 (5.3.2)."""


class Console:
    """A console behind a transport. `output` gets what the guest sends; `receive` is given what was typed."""

    device_id = 3
    features = 0
    queues = 2

    def __init__(self, output: Callable[[bytes], None]) -> None:
        self._output = output
        self._typed: deque[int] = deque()
        self._service: Callable[[int], None] = lambda _index: None

    def connect(self, service: Callable[[int], None]) -> None:
        """Learn how to fill buffers when something was typed."""
        self._service = service

    def receive(self, data: Iterable[int]) -> None:
        """Give the guest bytes that were typed; they wait here until it offers a buffer."""
        self._typed.extend(data)
        self._service(RECEIVE)

    def config(self) -> bytes:
        """No size is known (VIRTIO_CONSOLE_F_SIZE is not offered)."""
        return b""

    def handle(self, index: int, queue: Virtqueue) -> None:
        """Send what the driver offers; fill its buffers with what was typed."""
        if index == TRANSMIT:
            while (chain := queue.pop()) is not None:
                self._output(chain.read())
                queue.push(chain, 0)
            return
        while self._typed and (chain := queue.pop()) is not None:
            count = min(len(self._typed), chain.writable_size)
            chain.write(bytes(self._typed.popleft() for _ in range(count)))
            queue.push(chain, count)

    def reset(self) -> None:
        """What was typed still waits."""

    def save(self) -> object:
        """What was typed and not received."""
        return tuple(self._typed)

    def restore(self, state: object) -> None:
        """Return to a saved state."""
        self._typed = deque(cast("tuple[int, ...]", state))
