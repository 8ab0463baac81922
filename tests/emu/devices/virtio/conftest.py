"""A driver for virtio-mmio in Python, which does what a kernel's driver does with registers and rings."""

import struct
from collections.abc import Callable

import pytest

from emu.devices.virtio import mmio as reg
from emu.devices.virtio.mmio import VirtioMmio
from emu.memory import RAM_BASE, PhysicalMemory, Ram
from tests.emu.devices.conftest import Line

NEXT, WRITE, INDIRECT = 1, 2, 4
PAGE = 4096


class Driver:
    """Drives slot 0: rings at fixed places in the first pages of RAM, buffers from 64 KiB on."""

    def __init__(self, function, *, legacy: bool) -> None:
        self.memory = PhysicalMemory(Ram(1 << 20))
        self.line = Line()
        self.slot = VirtioMmio(0, self.memory, self.line, function, legacy=legacy)
        self.legacy = legacy
        self.size = 8
        self._available: dict[int, int] = {}
        self._buffers = RAM_BASE + 0x1_0000

    def get(self, offset: int) -> int:
        return self.slot.read(offset, 4)

    def put(self, offset: int, value: int) -> None:
        self.slot.write(offset, 4, value)

    def rings(self, index: int) -> tuple[int, int, int]:
        """Descriptor table, available ring and used ring of a queue, in the legacy layout."""
        base = RAM_BASE + 0x4000 * (index + 1)
        return base, base + 16 * self.size, base + PAGE

    def start(self, features: int = 0) -> None:
        """Reset, negotiate and set all queues up (virtio 1.2, section 3.1.1)."""
        for status in (0, 1, 3):
            self.put(reg.STATUS, status)
        self.put(reg.DRIVER_FEATURES_SEL, 0)
        self.put(reg.DRIVER_FEATURES, features & 0xFFFF_FFFF)
        self.put(reg.DRIVER_FEATURES_SEL, 1)
        self.put(reg.DRIVER_FEATURES, features >> 32)
        if not self.legacy:
            self.put(reg.STATUS, 11)
            assert self.get(reg.STATUS) & reg.FEATURES_OK
        self.put(reg.GUEST_PAGE_SIZE, PAGE)
        index = 0
        while True:
            self.put(reg.QUEUE_SEL, index)
            if not self.get(reg.QUEUE_NUM_MAX):
                break
            self._available[index] = 0
            self._place(index)
            index += 1
        self.put(reg.STATUS, 7 if self.legacy else 15)

    def _place(self, index: int) -> None:
        descriptors, driver, device = self.rings(index)
        self.put(reg.QUEUE_NUM, self.size)
        if self.legacy:
            self.put(reg.QUEUE_ALIGN, PAGE)
            self.put(reg.QUEUE_PFN, descriptors // PAGE)
            return
        for low, address in (
            (reg.QUEUE_DESC_LOW, descriptors), (reg.QUEUE_DRIVER_LOW, driver), (reg.QUEUE_DEVICE_LOW, device),
        ):  # fmt: skip
            self.put(low, address & 0xFFFF_FFFF)
            self.put(low + 4, address >> 32)
        self.put(reg.QUEUE_READY, 1)

    def buffer(self, data: bytes) -> tuple[int, int]:
        """Put bytes into RAM; their address and length."""
        address, self._buffers = self._buffers, self._buffers + len(data)
        self.memory.write(address, data)
        return address, len(data)

    def descriptor(
        self, index: int, number: int, address: int, length: int, flags: int = 0, following: int = 0
    ) -> None:
        self.memory.write(self.rings(index)[0] + 16 * number, struct.pack("<QIHH", address, length, flags, following))

    def offer(self, index: int, head: int, notify: bool = True) -> None:
        """Make a chain available and notify the device."""
        driver = self.rings(index)[1]
        at = self._available[index]
        self.memory.write(driver + 4 + 2 * (at % self.size), struct.pack("<H", head))
        self._available[index] = at + 1
        self.memory.write(driver + 2, struct.pack("<H", at + 1 & 0xFFFF))
        if notify:
            self.put(reg.QUEUE_NOTIFY, index)

    def request(self, index: int, *parts: bytes | int, notify: bool = True) -> list[tuple[int, int]]:
        """Offer a chain from descriptor 0: bytes are sent, an int is room for so many. Where the rooms are."""
        rooms = []
        for number, part in enumerate(parts):
            address, length = self.buffer(part if isinstance(part, bytes) else bytes(part))
            flags = WRITE if isinstance(part, int) else 0
            if isinstance(part, int):
                rooms.append((address, length))
            last = number == len(parts) - 1
            self.descriptor(index, number, address, length, flags | (0 if last else NEXT), number + 1)
        self.offer(index, 0, notify)
        return rooms

    def used(self, index: int) -> list[tuple[int, int]]:
        """All (id, length) that the device gave back and that the ring still shows."""
        device = self.rings(index)[2]
        count = self.memory.read_int(device + 2, 2)
        first = max(0, count - self.size)
        return [
            struct.unpack("<II", self.memory.read(device + 4 + 8 * (number % self.size), 8))
            for number in range(first, count)
        ]


@pytest.fixture(params=[True, False], ids=["legacy", "modern"])
def legacy(request) -> bool:
    return bool(request.param)


@pytest.fixture
def drive(legacy) -> Callable[..., Driver]:
    """Put a device behind a transport of either version and start its driver."""

    def make(function, features: int = 0) -> Driver:
        driver = Driver(function, legacy=legacy)
        driver.start(features)
        return driver

    return make
