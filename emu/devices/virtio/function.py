"""What a kind of virtio device is to the transport in front of it."""

from collections.abc import Callable

from emu.devices.virtio.queue import Virtqueue
from emu.hints import Protocol


class Function(Protocol):
    """A kind of virtio device behind the transport."""

    device_id: int
    """Chapter 5."""
    features: int
    """What it offers beside the transport's own."""
    queues: int
    """How many queues it has."""

    def connect(self, service: Callable[[int], None]) -> None:
        """Learn how to have a queue serviced when the outside world, not the driver, has news."""

    def config(self) -> bytes:
        """Its configuration space; what lies behind reads 0."""

    def handle(self, index: int, queue: Virtqueue) -> None:
        """Work off queue `index`. May raise QueueError; must not raise anything else for what a driver does."""

    def reset(self) -> None:
        """Forget what the driver knows of."""

    def save(self) -> object:
        """A copy of its state."""

    def restore(self, state: object) -> None:
        """Return to a saved state."""

    def close(self) -> None:
        """Give back what the host lent."""
