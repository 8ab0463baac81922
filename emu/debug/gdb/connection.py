"""The socket of a debugger: a thread takes what a client sends, also while the guest runs."""

import queue
import re
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

from emu.debug.gdb.packets import Mark, Packet, PacketReader
from emu.errors import ConfigError

_MOST_WAITING = 64
"""Packets that are kept while the guest runs; a client that sends more has to wait."""
_PATIENCE = 10.0
"""Seconds that a client may take to read an answer."""
_AGAIN = 0.02
"""Seconds after which a machine that has not listened is interrupted again."""
_CHUNK = 4096


class Arrival(Enum):
    """What happens to a connection beside packets."""

    CONNECTED = "a client has come"
    GONE = "the client has gone"
    WOKEN = "the host wants something else"
    CLOSED = "nobody listens any more"


class Connection:
    """Listens at `tcp:[HOST]:PORT` or `unix:PATH`, for one client at a time; without a host, on the loopback interface.

    `interrupt` is called until somebody listens, when something arrives while nobody does.
    """

    def __init__(self, address: str, *, interrupt: Callable[[], None]) -> None:
        self._interrupt = interrupt
        self._socket, self.address, self._path = _listening_socket(address)
        self._client: socket.socket | None = None
        self._arrived: queue.Queue[Packet | Mark | Arrival] = queue.Queue(_MOST_WAITING)
        self._heard = threading.Event()
        self._closed = threading.Event()
        self._bell, self._ring = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While it is entered, `interrupt` is not called: somebody reads what arrives."""
        self._heard.set()
        try:
            yield
        finally:
            self._heard.clear()

    @property
    def has_news(self) -> bool:
        """Whether something has arrived that nobody has read."""
        return not self._arrived.empty()

    def take_interrupt(self) -> bool:
        """Read what has arrived next, if that is Ctrl-C; whether it was."""
        with self._arrived.mutex:
            is_next = bool(self._arrived.queue) and self._arrived.queue[0] is Mark.INTERRUPT
            if is_next:
                self._arrived.queue.popleft()
                self._arrived.not_full.notify()
        return is_next

    def next(self) -> Packet | Mark | Arrival:
        """Wait for what arrives next."""
        return self._arrived.get()

    def wake(self) -> None:
        """Let `next` return WOKEN; from another thread."""
        with suppress(queue.Full):  # then it returns anyway
            self._arrived.put_nowait(Arrival.WOKEN)

    def send(self, data: bytes) -> None:
        """Send to the client; one that does not read in time is hung up on."""
        client = self._client
        if client is None:
            return
        try:
            client.sendall(data)
        except OSError:  # gone, or too slow: its end arrives by the thread
            self.hang_up()

    def hang_up(self) -> None:
        """Let the client go."""
        client = self._client
        if client is not None:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let the client go and listen no more; whoever waits gets CLOSED."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._ring.send(b"\0")
        self._drain()
        self._thread.join()
        self._drain()
        self._arrived.put(Arrival.CLOSED)
        for one in (self._client, self._socket, self._bell, self._ring):
            if one is not None:
                one.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _drain(self) -> None:
        """Make room for a thread that waits to hand something over."""
        with suppress(queue.Empty):
            while True:
                self._arrived.get_nowait()

    # The thread.

    def _listen(self) -> None:
        reader = PacketReader()
        while not self._closed.is_set():
            watched = [self._socket, self._bell, *([self._client] if self._client else [])]
            ready = select.select(watched, [], [])[0]
            if self._closed.is_set():
                return
            if self._client is not None and self._client in ready:  # another waits until all that it said is read
                self._receive(self._client, reader)
            elif self._socket in ready:
                reader = self._accept() or reader

    def _accept(self) -> PacketReader | None:
        """Take a client, when there is none; returns what reads its packets."""
        try:
            client, _ = self._socket.accept()
        except OSError:
            return None
        if self._client is not None:
            client.close()
            return None
        client.settimeout(_PATIENCE)
        if client.family == socket.AF_INET:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client
        self._hand_over(Arrival.CONNECTED)
        return PacketReader()

    def _receive(self, client: socket.socket, reader: PacketReader) -> None:
        try:
            data = client.recv(_CHUNK)
        except OSError:
            data = b""
        if not data:
            self._client = None
            client.close()
            self._hand_over(Arrival.GONE)
            return
        for item in reader.feed(data):
            if item is not Mark.ACKNOWLEDGED:
                self._hand_over(item)

    def _hand_over(self, item: Packet | Mark | Arrival) -> None:
        """Put something into the queue, and interrupt the machine until it is read."""
        while not self._closed.is_set():
            try:
                self._arrived.put(item, timeout=_AGAIN)
                break
            except queue.Full:
                self._interrupt()
        while not self._closed.is_set() and self.has_news and not self._heard.wait(_AGAIN):
            self._interrupt()


def _listening_socket(address: str) -> tuple[socket.socket, str, Path | None]:
    tcp = re.fullmatch(r"tcp:(?P<host>[^:]*|\[[^\]]*\]):(?P<port>\d{1,5})(?:,.*)?", address)
    unix = re.fullmatch(r"unix:(?P<path>[^,]+)(?:,.*)?", address)
    try:
        if tcp and int(tcp["port"]) < 1 << 16:
            host = tcp["host"].strip("[]") or "127.0.0.1"
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host, int(tcp["port"])), family=family, backlog=1)
            return listener, f"tcp:{host}:{listener.getsockname()[1]}", None
        if unix:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(unix["path"])
            listener.listen(1)
            return listener, f"unix:{unix['path']}", Path(unix["path"])
    except OSError as error:
        raise ConfigError(f"cannot listen for gdb at {address}: {error.strerror or error}; choose another") from error
    raise ConfigError(f"'{address}' is no address for gdb: write tcp::1234, tcp:HOST:PORT or unix:PATH")
