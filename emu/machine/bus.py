"""The device bus: which device answers a physical address, and the report of each access."""

from collections.abc import Callable, Iterable

from emu.address import PAGE_BITS, PhysAddr
from emu.devices.device import Device
from emu.firmware.devicetree import Described
from emu.hints import Protocol

Report = Callable[[Device, PhysAddr, int, int, bool], None]
"""Is told device, address, size, value and whether it was a write."""


class MachineDevice(Device, Described, Protocol):
    """A device that the machine maps and the device tree describes."""


class DeviceBus:
    """Carries aligned accesses of 1, 2, 4 or 8 bytes to devices.

    `report` is None while nobody listens.
    """

    def __init__(self, devices: Iterable[MachineDevice]) -> None:
        self.devices = tuple(devices)
        self._device_of_page: dict[int, Device] = {}
        """As far as pages have been accessed."""
        self.report: Report | None = None

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """First address and size of what the devices take, together where they touch: the fewer, the faster to map."""
        joined: list[tuple[int, int]] = []
        for base, size in sorted((device.base, device.size) for device in self.devices):
            if joined and sum(joined[-1]) == base:
                base, size = joined[-1][0], joined.pop()[1] + size
            joined.append((base, size))
        return tuple(joined)

    def read(self, address: int, size: int) -> int | None:
        """A load; None where no device takes it."""
        device = self._device_of_page.get(address >> PAGE_BITS) or self._find(address)
        if device is None or address & (size - 1) or not device.takes(address - device.base, size):
            return None
        value = device.read(address - device.base, size) & (1 << 8 * size) - 1
        if self.report is not None:
            self.report(device, PhysAddr(address), size, value, False)
        return value

    def write(self, address: int, size: int, value: int) -> bool:
        """A store; False where no device takes it. It is reported before the device acts on it."""
        device = self._device_of_page.get(address >> PAGE_BITS) or self._find(address)
        if device is None or address & (size - 1) or not device.takes(address - device.base, size):
            return False
        if self.report is not None:
            self.report(device, PhysAddr(address), size, value, True)
        device.write(address - device.base, size, value)
        return True

    def _find(self, address: int) -> Device | None:
        for device in self.devices:
            if device.base <= address < device.base + device.size:
                self._device_of_page[address >> PAGE_BITS] = device
                return device
        return None
