from hypothesis import given
from hypothesis import strategies as st

from emu.devices.virtio.console import RECEIVE, TRANSMIT, Console
from emu.devices.virtio.entropy import Entropy
from tests.emu.devices.virtio.conftest import Driver


def test_what_the_guest_sends_is_put_out(drive):
    sent = bytearray()
    driver = drive(Console(sent.extend))
    driver.request(TRANSMIT, b"hello ", b"world\n")
    assert sent == b"hello world\n"
    assert driver.used(TRANSMIT) == [(0, 0)]
    assert driver.line.level


def test_what_was_typed_waits_for_a_buffer(drive):
    console = Console(lambda _: None)
    driver = drive(console)
    console.receive(b"early")
    assert not driver.line.level
    (room,) = driver.request(RECEIVE, 64)
    assert driver.used(RECEIVE) == [(0, 5)]
    assert driver.memory.read(*room)[:5] == b"early"


def test_a_waiting_buffer_is_filled_when_something_is_typed(drive):
    console = Console(lambda _: None)
    driver = drive(console)
    (room,) = driver.request(RECEIVE, 3)
    assert driver.used(RECEIVE) == []
    console.receive(b"abcdef")
    assert driver.used(RECEIVE) == [(0, 3)]
    assert driver.memory.read(*room) == b"abc"
    assert driver.line.level
    driver.request(RECEIVE, 64)
    assert driver.used(RECEIVE)[1:] == [(0, 3)]


def test_typing_before_the_driver_is_there_is_kept():
    console = Console(lambda _: None)
    driver = Driver(console, legacy=False)
    console.receive(b"x")
    driver.start()
    driver.request(RECEIVE, 8)
    assert driver.used(RECEIVE) == [(0, 1)]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(drive):
    def draw(seed):
        driver = drive(Entropy(seed))
        (room,) = driver.request(0, 100)
        return driver.memory.read(*room)

    assert draw(b"a") == draw(b"a")
    assert draw(b"a") != draw(b"b")
    assert len(set(draw(b"a"))) > 50


@given(st.lists(st.integers(1, 100), min_size=1, max_size=10))
def test_the_stream_does_not_depend_on_how_it_is_drawn(sizes):
    whole = Entropy(b"s")._next(sum(sizes))
    source = Entropy(b"s")
    assert b"".join(source._next(size) for size in sizes) == whole


def test_a_huge_request_is_given_less(drive):
    driver = drive(Entropy())
    driver.request(0, 0x8000)
    assert driver.used(0) == [(0, 4096)]
