"""A queue that never empties: the device does so much at once, and goes on later."""

import pytest

from emu.devices.virtio.block import T_FLUSH, Block
from emu.devices.virtio.console import RECEIVE, TRANSMIT, Console
from emu.devices.virtio.entropy import Entropy
from emu.devices.virtio.mmio import VirtioMmio
from emu.devices.virtio.queue import LARGEST_SERVICE
from tests.emu.devices.virtio.conftest import NEXT, WRITE, Driver
from tests.emu.devices.virtio.test_mmio import MemoryDisk


class Endless(Driver):
    """A driver whose available ring gets one entry more with each that is used: a request that offers the next one."""

    def __init__(self, function, index: int, *, legacy: bool) -> None:
        super().__init__(function, legacy=legacy)
        self.now, self.changes, self.index, self.done = 0, 0, index, 0
        self.slot = VirtioMmio(
            0, self.memory, self.line, function, legacy=legacy, now=lambda: self.now, changed=self._changed
        )
        self.start()
        self.memory.written = self._written

    def _changed(self) -> None:
        self.changes += 1

    def _written(self, address: int, _length: int) -> None:
        _, available, used = self.rings(self.index)
        if address == used + 2:
            self.done += 1
            offered = self.memory.read_int(available + 2, 2)
            self.memory.view(available + 2, 2)[:] = (offered + 1 & 0xFFFF).to_bytes(2, "little")


KINDS = {
    "disk": (lambda: Block(MemoryDisk()), 0, (T_FLUSH.to_bytes(16, "little"), 1)),
    "entropy": (Entropy, 0, (8,)),
    "console that sends": (lambda: Console(lambda _: None, lambda: -1), TRANSMIT, (b"x",)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_notification_ends_however_much_its_requests_offer(kind, legacy):
    function, index, parts = KINDS[kind]
    driver = Endless(function(), index, legacy=legacy)
    driver.request(index, *parts)
    assert 0 < driver.done <= LARGEST_SERVICE // 4096
    assert driver.changes
    before, due = driver.done, driver.slot.next_deadline
    driver.slot.update()
    assert driver.done == before, "it is not yet the time to go on"
    driver.now = due
    driver.slot.update()
    assert driver.done > before
    assert driver.slot.next_deadline > due


def test_typing_without_end_fills_so_many_buffers_at_once(legacy):
    driver = Endless(Console(lambda _: None, lambda: 65), RECEIVE, legacy=legacy)
    driver.request(TRANSMIT, b"x")
    driver.request(RECEIVE, 1)
    assert 0 < driver.done <= LARGEST_SERVICE // 4096
    assert driver.slot.next_deadline


def test_what_is_unfinished_is_part_of_a_saved_state_and_forgotten_by_a_reset(legacy):
    function, index, parts = KINDS["disk"]
    driver = Endless(function(), index, legacy=legacy)
    driver.request(index, *parts)
    state, due = driver.slot.save(), driver.slot.next_deadline
    driver.slot.reset()
    assert driver.slot.next_deadline is None
    driver.slot.restore(state)
    assert driver.slot.next_deadline == due


def test_requests_of_an_ordinary_driver_are_all_done_at_once(drive):
    driver = drive(Block(MemoryDisk()))
    for _ in range(driver.size - 1):
        driver.request(0, T_FLUSH.to_bytes(16, "little"), 1, notify=False)
    driver.request(0, T_FLUSH.to_bytes(16, "little"), 1)
    assert len(driver.used(0)) == driver.size
    assert driver.slot.next_deadline is None


def test_data_goes_into_many_small_buffers_in_order(drive):
    driver = drive(Entropy())
    sizes = (1, 5, 2, 7)
    rooms = []
    for number, size in enumerate(sizes):
        address, length = driver.buffer(bytes(size))
        rooms.append((address, length))
        driver.descriptor(0, number, address, length, WRITE | (0 if number == len(sizes) - 1 else NEXT), number + 1)
    driver.offer(0, 0)
    whole = drive(Entropy())
    ((address, length),) = whole.request(0, sum(sizes))
    pieces = b"".join(driver.memory.read(*room) for room in rooms)
    assert pieces == whole.memory.read(address, length) != bytes(length)
