from hypothesis import given
from hypothesis import strategies as st

from emu.devices.virtio.console import RECEIVE, TRANSMIT, Console
from emu.devices.virtio.entropy import Entropy
from emu.devices.virtio.mmio import STATUS


def ignore(data: bytes) -> None:
    pass


class Keys:
    """What somebody types."""

    def __init__(self, text: bytes = b"") -> None:
        self.waiting = list(text)

    def take(self) -> int:
        return self.waiting.pop(0) if self.waiting else -1


def test_what_the_guest_sends_is_put_out(drive):
    sent = bytearray()
    driver = drive(Console(sent.extend, Keys().take))
    driver.request(TRANSMIT, b"hello ", b"world\n")
    assert sent == b"hello world\n"
    assert driver.used(TRANSMIT) == [(0, 0)]
    assert driver.line.level


def test_what_was_typed_waits_for_a_buffer(drive):
    driver = drive(Console(ignore, Keys(b"early").take))
    driver.request(TRANSMIT, b"> ")
    (room,) = driver.request(RECEIVE, 64)
    assert driver.used(RECEIVE) == [(0, 5)]
    assert driver.memory.read(*room)[:5] == b"early"


def test_a_waiting_buffer_is_filled_when_something_is_typed(drive):
    keys = Keys()
    console = Console(ignore, keys.take)
    driver = drive(console)
    driver.request(TRANSMIT, b"> ")
    (room,) = driver.request(RECEIVE, 3)
    assert driver.used(RECEIVE) == []
    assert console.is_waiting
    keys.waiting += b"abcdef"
    console.receive()
    assert [length for _, length in driver.used(RECEIVE)] == [3]
    assert driver.memory.read(*room) == b"abc"
    assert driver.line.level
    driver.request(RECEIVE, 64)
    assert [length for _, length in driver.used(RECEIVE)] == [3, 3]


def test_nothing_is_typed_to_a_console_before_the_guest_writes_to_it(drive):
    keys = Keys(b"x")
    console = Console(ignore, keys.take)
    driver = drive(console)
    driver.request(RECEIVE, 8)
    console.receive()
    assert driver.used(RECEIVE) == []
    assert keys.waiting == [ord("x")]
    driver.request(TRANSMIT, b"login: ")
    assert driver.used(RECEIVE) == [(0, 1)]


def test_a_console_that_was_reset_is_not_typed_to(drive):
    console = Console(ignore, Keys(b"x").take)
    driver = drive(console)
    driver.request(TRANSMIT, b"> ")
    assert console.in_use
    driver.put(STATUS, 0)
    assert not console.in_use


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
