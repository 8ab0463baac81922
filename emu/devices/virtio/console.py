"""Virtio console: one port that sends and receives bytes (virtio 1.2, section 5.3)."""

from collections.abc import Callable
from itertools import islice

from emu.devices.virtio.queue import Virtqueue
from emu.hints import cast

RECEIVE, TRANSMIT = 0, 1
"""The queues of port 0 (5.3.2)."""


class Console:
    """A console behind a transport. `output` gets what the guest sends; `typed` gives the next byte typed, or -1.

    Nothing is asked of `typed` before the guest has sent something: until then it uses another console.
    """

    device_id = 3
    features = 0
    queues = 2

    def __init__(self, output: Callable[[bytes], None], typed: Callable[[], int]) -> None:
        self._output = output
        self._typed = typed
        self.in_use = False
        """Whether the guest has sent anything since it reset the device."""
        self.is_waiting = False
        """Whether the guest has offered a buffer, and nothing was typed yet."""
        self._service: Callable[[int], None] = lambda _index: None

    def connect(self, service: Callable[[int], None]) -> None:
        """Learn how to fill buffers when something was typed."""
        self._service = service

    def receive(self) -> None:
        """Something was typed: fill the buffers that wait for it."""
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
                if not self.in_use:
                    self.in_use = True
                    self._service(RECEIVE)
            return
        self.is_waiting = False
        if not self.in_use:
            return
        while queue.waiting and not queue.is_spent:
            first = self._typed()
            if first < 0:
                self.is_waiting = True
                return
            chain = queue.pop()
            assert chain is not None  # it waited
            data = bytes((first, *islice(iter(self._typed, -1), max(0, chain.writable_size - 1))))
            chain.write(data)
            queue.push(chain, min(len(data), chain.writable_size))

    def reset(self) -> None:
        """The guest uses another console, until it sends something."""
        self.in_use = self.is_waiting = False

    def save(self) -> object:
        """Whether it is used, and waits."""
        return self.in_use, self.is_waiting

    def restore(self, state: object) -> None:
        """Return to a saved state."""
        self.in_use, self.is_waiting = cast("tuple[bool, bool]", state)

    def close(self) -> None:
        """Nothing was lent."""
