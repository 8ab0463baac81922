"""What a device is to the machine: a range of registers, and a state that can be saved."""

from collections.abc import Callable

from emu.devices.node import Node
from emu.hints import Protocol

InterruptLine = Callable[[bool], None]
"""Tells the level of an interrupt line. A device calls it each time it works its level out, changed or not: the
PLIC of QEMU's `virt` takes each such call with a high level as a new request."""


class Device(Protocol):
    """A memory-mapped device.

    The machine asks `takes` with an offset inside the range and a size of 1, 2, 4 or 8 bytes, the offset a multiple of
    it, whatever the guest does. It calls `read` and `write` only with what the device takes; there a device answers 0
    and ignores what its datasheet does not define, and never raises for it.
    """

    name: str
    """As in the device tree, for example `uart`."""
    base: int
    """Its first physical address."""
    size: int
    """Bytes of its register range, a multiple of a page."""

    def takes(self, offset: int, size: int) -> bool:
        """Whether an access of `size` bytes at `offset` is one for this device; if not, it is an access fault."""

    def read(self, offset: int, size: int) -> int:
        """The value of the register at `offset`, unsigned."""

    def write(self, offset: int, size: int, value: int) -> None:
        """Write an unsigned value of `size` bytes to the register at `offset`."""

    def reset(self) -> None:
        """Return to the state of power-on."""

    def save(self) -> object:
        """A copy of all state that the guest can observe, for `restore`."""

    def restore(self, state: object) -> None:
        """Return to a state that `save` gave."""

    def nodes(self) -> tuple[Node, ...]:
        """How the device tree describes it."""


class GuestMemory(Protocol):
    """RAM as a device sees it: physical addresses that the guest chose, to be checked before they are followed."""

    def contains(self, address: int, length: int = 1) -> bool:
        """Whether a range of physical addresses is RAM."""

    def read(self, address: int, length: int) -> bytes:
        """Bytes of a range that is RAM."""

    def transfer(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Store into a range that is RAM, and make translated code there invalid."""
