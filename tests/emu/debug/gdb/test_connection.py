"""Who is let in at a debugger's socket, and when."""

import socket
import threading
from collections.abc import Iterator

import pytest

from emu.debug.gdb.connection import Arrival, Connection
from emu.debug.gdb.packets import Mark, framed


class Busy:
    """A machine that does not listen: whoever interrupts it is held until `frees` is called."""

    def __init__(self) -> None:
        self.is_interrupted, self._is_free = threading.Event(), threading.Event()

    def interrupt(self) -> None:
        self.is_interrupted.set()
        assert self._is_free.wait(60)

    def frees(self) -> None:
        self._is_free.set()


@pytest.fixture
def busy() -> Iterator[Busy]:
    one = Busy()
    yield one
    one.frees()


@pytest.fixture
def connection(busy: Busy) -> Iterator[Connection]:
    one = Connection("tcp:127.0.0.1:0", interrupt=busy.interrupt)
    patience = threading.Timer(60, one.wake)  # a test that waits for what never comes fails
    patience.start()
    yield one
    patience.cancel()
    busy.frees()
    one.close()


def arrive(connection: Connection) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(connection.address.rpartition(":")[2])), timeout=60)


@pytest.mark.parametrize("last_words", [b"", b"+", framed(b"vCont;c"), b"\x03" * 10_000])
def test_a_client_finds_room_when_the_one_before_it_has_gone_however_much_that_one_had_to_say(
    connection: Connection, busy: Busy, last_words: bytes
) -> None:
    first = arrive(connection)
    assert busy.is_interrupted.wait(60)  # nobody reads the socket any more: all that comes now comes at once
    first.sendall(last_words)
    first.close()
    second = arrive(connection)
    second.sendall(framed(b"?"))
    busy.frees()
    with connection.listening():
        arrived = [connection.next()]
        while arrived[-1] not in (Arrival.GONE, Arrival.WOKEN):
            arrived.append(connection.next())
        assert arrived[0] is Arrival.CONNECTED
        assert connection.next() is Arrival.CONNECTED
        assert getattr(connection.next(), "data", None) == b"?"
    connection.send(b"+")
    assert second.recv(1) == b"+"


def test_a_second_client_is_refused_while_the_first_is_there(connection: Connection, busy: Busy) -> None:
    busy.frees()
    with connection.listening():
        first = arrive(connection)
        assert connection.next() is Arrival.CONNECTED
        assert arrive(connection).recv(1) == b""
        first.sendall(b"\x03")
        assert connection.next() is Mark.INTERRUPT
