"""The state of a virtio transport: all that its driver has told it."""

from emu.devices.virtio.queue import QueueState
from emu.lateclass import dataclass, field, replace


@dataclass(slots=True)
class TransportState:
    """Registers, queues and what is to be done later."""

    status: int = 0
    device_features_sel: int = 0
    driver_features_sel: int = 0
    driver_features: int = 0
    page_size: int = 1
    """Of a legacy driver; one that does not say it gives addresses, as on QEMU."""
    queue_sel: int = 0
    interrupts: int = 0
    broken: bool = False
    """The driver broke a queue's rules; nothing is serviced until reset."""
    unfinished: tuple[int, ...] = ()
    """Queues that are worked off further when their time has come."""
    due: int = 0
    """That time."""
    queues: list[QueueState] = field(default_factory=list)

    def copy(self) -> "TransportState":
        """A state of its own."""
        return replace(self, queues=[replace(queue) for queue in self.queues])
