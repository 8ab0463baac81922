"""What the hart asks of the machine around it."""

from typing import Protocol

from emu.engine import Store


class Platform(Protocol):
    """What the hart asks of the machine around it."""

    device_ranges: tuple[tuple[int, int], ...]
    """First physical address and size of what `device_read` and `device_write` are for."""

    def time_at(self, instret: int) -> int:
        """`mtime` when so many instructions have retired."""

    def cycles_at(self, instret: int) -> int:
        """What `cycle` counts, when so many instructions have retired."""

    def supervisor_call(self) -> bool:
        """`ecall` from S mode: True when the built-in firmware has answered it in the registers."""

    def breakpoint(self) -> bool:
        """`ebreak` at pc: True when the host has answered it (see `HartCore.retire_breakpoint`) or will."""

    def waiting(self) -> None:
        """`wfi` with nothing pending: pass the time until something is, or stop the machine."""

    def timer_written(self) -> None:
        """A comparator of the hart changed."""

    def device_read(self, address: int, size: int) -> int | None:
        """A load from a device; None refuses it."""

    def device_write(self, address: int, size: int, value: int) -> Store:
        """A store to a device."""

    def locate(self, address: int) -> str:
        """An address as a person reads it: with symbol and offset where the image has them."""
