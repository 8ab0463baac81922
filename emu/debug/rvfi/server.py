"""A server of RVFI-DII: any number of clients, each with a machine of its own; none of them can make others wait."""

import selectors
import socket
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from emu.debug.rvfi.injector import Injector
from emu.debug.rvfi.packets import (
    ASKS_FOR_VERSIONS,
    INSTRUCTION,
    VERSIONS,
    Command,
    Execution,
    version_packet,
)
from emu.errors import ConfigError, EmuError

_CHUNK = 1 << 12
_MOST_UNREAD = 1 << 20
"""Bytes that wait for a client to read them; it is not listened to meanwhile."""
_MOST_CLIENTS = 16


class _Client:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.injector = Injector()
        self.arrived, self.waiting = bytearray(), bytearray()
        self.version = 1

    def answer(self) -> None:
        """Execute what has arrived. Raises ConfigError for a packet that means nothing."""
        while len(self.arrived) >= INSTRUCTION.size and len(self.waiting) < _MOST_UNREAD:
            word, _time, command = INSTRUCTION.unpack_from(self.arrived)
            del self.arrived[: INSTRUCTION.size]
            self.waiting += self._answer(word, command)

    def _answer(self, word: int, command: int) -> bytes:
        if command == Command.INSTRUCTION:
            return self.injector.execute(word).packed(self.version)
        if command == Command.END_OF_TRACE:
            if word == ASKS_FOR_VERSIONS:  # no end at all: bit 1 says that there is version 2, in version 1
                return Execution(halt=3).packed()
            self.injector.reset()
            return Execution(halt=1).packed(self.version)
        if command == Command.SET_VERSION:
            if word not in VERSIONS:
                raise ConfigError(f"version {word} was asked for, and there are 1 and 2")
            self.version = word
            return version_packet(word)
        raise ConfigError(f"command {command} is none: 0 ends a trace, 1 is an instruction, 118 sets the version")

    def close(self) -> None:
        """Hang up."""
        self.connection.close()
        self.injector.close()


class RvfiServer:
    """Listens at a port of this computer.

    >>> with RvfiServer(0) as server:
    ...     server.port > 0
    True
    """

    def __init__(self, port: int, tell: Callable[[str], object] = lambda _text: None) -> None:
        """`port` 0 is any that is free; `tell` gets what happens. Raises ConfigError for one that is taken."""
        self._tell = tell
        self._clients: dict[socket.socket, _Client] = {}
        self._selector = selectors.DefaultSelector()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
            self._socket.listen()
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise ConfigError(f"--port {port}: {getattr(error, 'strerror', None) or error}") from None
        self.port = int(self._socket.getsockname()[1])
        self._socket.setblocking(False)
        self._bell, self._ring = socket.socketpair()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._bell, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until `stop` is called."""
        while True:
            for key, events in self._selector.select():
                if key.fileobj is self._bell:
                    return
                if key.fileobj is self._socket:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._talk(self._clients[key.fileobj], events)

    def stop(self) -> None:
        """End `serve`; from any thread."""
        self._ring.send(b"!")

    def _accept(self) -> None:
        connection, _ = self._socket.accept()
        if len(self._clients) >= _MOST_CLIENTS:
            connection.close()
            self._tell(f"a client was turned away: {_MOST_CLIENTS} are connected")
            return
        connection.setblocking(False)
        self._clients[connection] = _Client(connection)
        self._selector.register(connection, selectors.EVENT_READ)

    def _talk(self, client: _Client, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                data = client.connection.recv(_CHUNK)
                if not data:
                    self._end(client)
                    return
                client.arrived += data
            client.answer()
            if client.waiting:
                with suppress(BlockingIOError):
                    del client.waiting[: client.connection.send(client.waiting)]
            has_more = client.waiting or len(client.arrived) >= INSTRUCTION.size
            wanted = selectors.EVENT_READ if len(client.waiting) < _MOST_UNREAD else 0
            self._selector.modify(client.connection, wanted | (selectors.EVENT_WRITE if has_more else 0))
        except OSError:
            self._end(client)
        except EmuError as error:
            self._tell(f"a client was hung up on: {error}")
            self._end(client)

    def _end(self, client: _Client) -> None:
        self._selector.unregister(client.connection)
        del self._clients[client.connection]
        client.close()

    def close(self) -> None:
        """Hang up on all, and listen no more."""
        for client in list(self._clients.values()):
            self._end(client)
        self._selector.close()
        for each in (self._socket, self._bell, self._ring):
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
