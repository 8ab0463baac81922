import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.virtio import mmio as reg
from emu.devices.virtio.block import Block
from emu.devices.virtio.console import Console
from emu.devices.virtio.entropy import Entropy
from emu.devices.virtio.mmio import VirtioMmio
from emu.devices.virtio.queue import LARGEST_QUEUE
from emu.memory import RAM_BASE, PhysicalMemory, Ram
from tests.emu.devices.conftest import Line, accesses_to
from tests.emu.devices.virtio.conftest import INDIRECT, NEXT, WRITE, Driver


class MemoryDisk:
    """Eight sectors in memory."""

    capacity = 8
    read_only = False

    def __init__(self):
        self.data = bytearray(range(256)) * 16

    def read(self, offset, length):
        assert 0 <= offset <= offset + length <= len(self.data)
        return bytes(self.data[offset : offset + length])

    def write(self, offset, data):
        assert 0 <= offset <= offset + len(data) <= len(self.data)
        self.data[offset : offset + len(data)] = data

    def flush(self):
        pass

    def save(self):
        return bytes(self.data)

    def restore(self, state):
        self.data[:] = state

    def close(self):
        pass


def test_the_slot_says_what_is_in_it(legacy):
    driver = Driver(Entropy(), legacy=legacy)
    assert driver.get(reg.MAGIC_VALUE).to_bytes(4, "little") == b"virt"
    assert driver.get(reg.VERSION) == (1 if legacy else 2)
    assert driver.get(reg.DEVICE_ID) == 4
    assert driver.get(reg.VENDOR_ID).to_bytes(4, "little") == b"QEMU"


def test_an_empty_slot_has_device_id_0_and_takes_nothing():
    slot = VirtioMmio(3, PhysicalMemory(Ram(1 << 20)), Line())
    assert (slot.base, slot.irq_number) == (0x1000_4000, 4)
    assert [slot.read(offset, 4) for offset in (0, 8, reg.STATUS, 0x100)] == [0x74726976, 0, 0, 0]
    slot.write(reg.STATUS, 4, 1)
    slot.write(reg.QUEUE_NOTIFY, 4, 0)
    assert slot.read(reg.STATUS, 4) == 0


def test_a_modern_device_offers_version_1_and_a_legacy_one_does_not(legacy):
    driver = Driver(Entropy(), legacy=legacy)
    driver.put(reg.DEVICE_FEATURES_SEL, 1)
    assert driver.get(reg.DEVICE_FEATURES) == (0 if legacy else 1)
    driver.put(reg.DEVICE_FEATURES_SEL, 0)
    assert driver.get(reg.DEVICE_FEATURES) & reg.F_INDIRECT_DESC
    driver.put(reg.DEVICE_FEATURES_SEL, 2)
    assert driver.get(reg.DEVICE_FEATURES) == 0


def test_accepting_what_was_not_offered_does_not_become_features_ok():
    driver = Driver(Entropy(), legacy=False)
    driver.put(reg.DRIVER_FEATURES, 1 << 5)
    driver.put(reg.STATUS, 11)
    assert driver.get(reg.STATUS) == 3


def test_queues_end_where_queue_num_max_is_0(legacy):
    driver = Driver(Console(lambda _: None, lambda: -1), legacy=legacy)
    found = []
    for index in range(4):
        driver.put(reg.QUEUE_SEL, index)
        found.append(driver.get(reg.QUEUE_NUM_MAX))
    assert found == [LARGEST_QUEUE, LARGEST_QUEUE, 0, 0]


def test_a_used_buffer_raises_the_interrupt_until_it_is_acknowledged(drive):
    driver = drive(Entropy())
    driver.request(0, 16)
    assert driver.line.level
    assert driver.get(reg.INTERRUPT_STATUS) == reg.USED_BUFFER
    driver.put(reg.INTERRUPT_ACK, 1)
    assert not driver.line.level
    assert driver.get(reg.INTERRUPT_STATUS) == 0


def test_a_driver_that_polls_gets_no_interrupt(drive):
    driver = drive(Entropy())
    driver.memory.write(driver.rings(0)[1], b"\1\0")
    driver.request(0, 16)
    assert driver.used(0) == [(0, 16)]
    assert not driver.line.level


@pytest.mark.slow
def test_the_indexes_run_past_65535(drive):
    driver = drive(Entropy())
    address, length = driver.buffer(bytes(1))
    driver.descriptor(0, 0, address, length, WRITE)
    for _ in range(0x10003):
        driver.offer(0, 0, notify=False)
        if driver._available[0] % driver.size == 0:
            driver.put(reg.QUEUE_NOTIFY, 0)
            driver.put(reg.INTERRUPT_ACK, 1)
    driver.put(reg.QUEUE_NOTIFY, 0)
    assert driver.memory.read_int(driver.rings(0)[2] + 2, 2) == 3
    assert driver.slot.problem is None


def test_an_indirect_table_is_followed(drive):
    driver = drive(Entropy(b"seed"))
    first, second = driver.buffer(bytes(4)), driver.buffer(bytes(6))
    table = struct.pack("<QIHH", *first, WRITE | NEXT, 1) + struct.pack("<QIHH", *second, WRITE, 0)
    driver.descriptor(0, 5, *driver.buffer(table), INDIRECT)
    driver.offer(0, 5)
    assert driver.used(0) == [(5, 10)]
    assert driver.memory.read(*second) != bytes(6)


BAD_CHAINS = {
    "loop": [(0, RAM_BASE, 1, WRITE | NEXT, 0)],
    "long loop": [(0, RAM_BASE, 1, WRITE | NEXT, 1), (1, RAM_BASE, 1, WRITE | NEXT, 0)],
    "next outside the table": [(0, RAM_BASE, 1, WRITE | NEXT, 8)],
    "buffer outside RAM": [(0, 0x1000, 16, WRITE, 0)],
    "buffer over the end of RAM": [(0, RAM_BASE + (1 << 20) - 8, 16, WRITE, 0)],
    "buffer that wraps": [(0, (1 << 64) - 8, 16, WRITE, 0)],
    "empty buffer": [(0, RAM_BASE, 0, WRITE, 0)],
    "reading behind writing": [(0, RAM_BASE, 1, WRITE | NEXT, 1), (1, RAM_BASE, 1, 0, 0)],
    "indirect table of no size": [(0, RAM_BASE, 0, INDIRECT, 0)],
    "indirect table of an odd size": [(0, RAM_BASE, 17, INDIRECT, 0)],
    "indirect table outside RAM": [(0, 0, 16, INDIRECT, 0)],
    "indirect and next": [(0, RAM_BASE + 0xF0000, 16, INDIRECT | NEXT, 1)],
}


@pytest.mark.parametrize("chain", BAD_CHAINS.values(), ids=BAD_CHAINS.keys())
def test_a_malformed_chain_stops_the_device_until_reset(drive, legacy, chain):
    driver = drive(Entropy())
    for number, address, length, flags, following in chain:
        driver.descriptor(0, number, address, length, flags, following)
    driver.offer(0, 0)
    assert driver.used(0) == []
    assert "virtio0, queue 0:" in driver.slot.problem
    assert bool(driver.get(reg.STATUS) & reg.NEEDS_RESET) is not legacy
    assert driver.line.level is not legacy
    driver.request(0, 16)
    assert driver.used(0) == [], "a stopped device serves nothing"
    driver.memory.write(driver.rings(0)[1], bytes(4))
    driver.start()
    driver.request(0, 16)
    assert driver.used(0) == [(0, 16)], "after a reset it does"


def test_an_indirect_table_inside_another_is_refused(drive):
    driver = drive(Entropy())
    address, length = driver.buffer(struct.pack("<QIHH", RAM_BASE, 16, INDIRECT, 0))
    driver.descriptor(0, 0, address, length, INDIRECT)
    driver.offer(0, 0)
    assert "indirect where it must not be" in driver.slot.problem


def test_an_available_index_that_ran_ahead_is_refused(drive):
    driver = drive(Entropy())
    driver.memory.write(driver.rings(0)[1] + 2, struct.pack("<H", 9))
    driver.put(reg.QUEUE_NOTIFY, 0)
    assert "9 ahead in a queue of 8" in driver.slot.problem


def test_a_head_outside_the_table_is_refused(drive):
    driver = drive(Entropy())
    driver.offer(0, 0xFFFF)
    assert "descriptor 65535" in driver.slot.problem


def test_rings_outside_ram_are_refused(legacy):
    driver = Driver(Entropy(), legacy=legacy)
    driver.rings = lambda _: (0x1000, 0x2000, 0x3000)
    driver.start()
    driver.put(reg.QUEUE_NOTIFY, 0)
    assert "descriptor table at 0x1000" in driver.slot.problem


@pytest.mark.parametrize("size", [0, LARGEST_QUEUE + 1, 0xFFFF_FFFF])
def test_an_impossible_queue_size_is_not_taken(drive, size):
    driver = drive(Entropy())
    driver.put(reg.QUEUE_SEL, 0)
    driver.put(reg.QUEUE_NUM, size)
    driver.request(0, 16)
    assert driver.used(0) == [(0, 16)]


def test_notifying_a_queue_that_is_not_there_or_not_ready_does_nothing(legacy):
    driver = Driver(Entropy(), legacy=legacy)
    for index in (0, 1, 0xFFFF_FFFF):
        driver.put(reg.QUEUE_NOTIFY, index)
    assert driver.slot.problem is None


def test_a_legacy_page_frame_number_reads_back():
    driver = Driver(Entropy(), legacy=True)
    driver.start()
    driver.put(reg.QUEUE_SEL, 0)
    assert driver.get(reg.QUEUE_PFN) == driver.rings(0)[0] // 4096
    driver.put(reg.QUEUE_PFN, 0)
    assert driver.get(reg.QUEUE_PFN) == 0


def test_a_legacy_page_size_outlives_the_drivers_reset():
    driver = Driver(Entropy(), legacy=True)
    driver.put(reg.GUEST_PAGE_SIZE, 4096)
    driver.put(reg.STATUS, 0)
    driver.put(reg.QUEUE_SEL, 0)
    driver.put(reg.QUEUE_PFN, 0x80004)
    assert driver.slot.save()[0].queues[0].descriptors == 0x8000_4000


def test_a_saved_slot_goes_on_where_it_was(drive):
    driver = drive(Entropy())
    driver.request(0, 16)
    state = driver.slot.save()
    used = driver.memory.read(driver.rings(0)[2], 64)
    (room,) = driver.request(0, 32)
    expected = driver.memory.read(*room)
    driver.slot.reset()
    driver.slot.restore(state)
    driver.memory.write(driver.rings(0)[2], used)
    driver.memory.write(room[0], bytes(room[1]))
    driver.put(reg.QUEUE_NOTIFY, 0)
    assert driver.memory.read(*room) == expected
    assert driver.used(0) == [(0, 16), (0, 32)]


_registers = (
    reg.DEVICE_FEATURES_SEL, reg.DRIVER_FEATURES, reg.DRIVER_FEATURES_SEL, reg.GUEST_PAGE_SIZE, reg.QUEUE_SEL,
    reg.QUEUE_NUM, reg.QUEUE_ALIGN, reg.QUEUE_PFN, reg.QUEUE_READY, reg.QUEUE_NOTIFY, reg.INTERRUPT_ACK, reg.STATUS,
    reg.QUEUE_DESC_LOW, reg.QUEUE_DESC_HIGH, reg.QUEUE_DRIVER_LOW, reg.QUEUE_DEVICE_LOW, 0x100, 0x104, 0x114, 0xFFF,
)  # fmt: skip
_functions = st.sampled_from([lambda: Block(MemoryDisk()), lambda: Console(lambda _: None, lambda: -1), Entropy])


@given(_functions, st.booleans(), accesses_to(*_registers))
@settings(max_examples=300)
def test_any_access_is_answered(exercise, function, legacy, accesses):
    driver = Driver(function(), legacy=legacy)
    exercise(driver.slot, accesses)
    state = driver.slot.save()
    driver.slot.reset()
    driver.slot.restore(state)
    assert driver.slot.save() == state


_word16 = st.one_of(st.integers(0, 12), st.integers(0, 0xFFFF))
_address = st.one_of(
    st.integers(RAM_BASE, RAM_BASE + (1 << 20)), st.integers(0, (1 << 64) - 1), st.sampled_from([RAM_BASE + 0x4000])
)
_length = st.one_of(st.integers(0, 64), st.sampled_from([16, 32, 512, 4096]), st.integers(0, (1 << 32) - 1))
_descriptors = st.lists(
    st.tuples(_address, _length, st.one_of(st.integers(0, 7), _word16), st.integers(0, 8)), max_size=8
)


@given(_functions, st.booleans(), _descriptors, st.lists(_word16, max_size=8), _word16)
@settings(max_examples=400)
def test_no_content_of_the_rings_breaks_the_device(function, legacy, descriptors, heads, index):
    driver = Driver(function(), legacy=legacy)
    driver.start()
    for queue in range(2):
        for number, fields in enumerate(descriptors):
            driver.descriptor(queue, number, *fields)
        ring = driver.rings(queue)[1]
        driver.memory.write(ring, struct.pack(f"<HH{len(heads)}H", 0, index, *heads))
        for _ in range(2):
            driver.put(reg.QUEUE_NOTIFY, queue)
