"""A machine under a debugger: served in a thread, to a client of the test's own or to a real gdb."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emu.debug.gdb import GdbServer
from emu.debug.gdb.packets import Packet, PacketReader, framed
from emu.machine import Machine, Outcome


class Served:
    """A machine that runs in a thread of its own, under a server at a free port."""

    def __init__(self, machine: Machine, **options: object) -> None:
        self.machine = machine
        self.server = GdbServer(machine, "tcp:127.0.0.1:0", **options)  # type: ignore[arg-type]
        self.port = int(self.server.address.rpartition(":")[2])
        self.outcome: Outcome | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self.outcome = self.server.serve()

    def end(self) -> None:
        """End it, wherever it is."""
        self.server.close()
        while self._thread.is_alive():
            self.machine.interrupt()
            self._thread.join(0.02)

    def ended(self) -> Outcome | None:
        """How the run ended, once it has."""
        self._thread.join(60)
        assert not self._thread.is_alive()
        self.server.close()
        return self.outcome


class Client:
    """Speaks the protocol as gdb does."""

    def __init__(self, port: int | socket.socket) -> None:
        if isinstance(port, socket.socket):
            self.socket = port
        else:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as gdb does
        self._reader = PacketReader()
        self._packets: list[bytes] = []

    def ask(self, packet: str | bytes) -> str:
        """Send a packet and return what it is answered. On a way back how far it is may be told first."""
        self.send(packet)
        answer = self.hear()
        while packet in ("bc", "bs") and answer.startswith("O"):
            answer = self.hear()
        return answer

    def send(self, packet: str | bytes) -> None:
        self.socket.sendall(framed(packet.encode() if isinstance(packet, str) else packet))

    def hear(self) -> str:
        while not self._packets:
            data = self.socket.recv(65536)
            assert data, "the server has hung up"
            self._packets += [item.data for item in self._reader.feed(data) if isinstance(item, Packet)]
            if self._packets:  # a word more to a server that has hung up would take away what it has said
                self.socket.sendall(b"+")
        return self._packets.pop(0).decode()

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """`serve(machine, halted=True)`: a machine under a server."""
    served: list[Served] = []

    def start(machine: Machine, **options: object) -> Served:
        served.append(Served(machine, **options))
        return served[-1]

    yield start
    for one in served:
        one.end()


@pytest.fixture
def gdb(oracle: Callable[[str], str]) -> Callable[..., str]:
    """`gdb(port, elf, *commands)`: what Debian's gdb prints. Instead of a port: what it is to take for a target."""
    program = oracle("gdb-multiarch")

    def run(port: int | str, elf: Path, *commands: str) -> str:
        target = f"127.0.0.1:{port}" if isinstance(port, int) else port
        script = ["set confirm off", "set pagination off", f"target remote {target}", *commands]
        arguments = [part for line in script for part in ("-ex", line)]
        result = subprocess.run(
            [program, "-q", "-nx", "-batch", str(elf), *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return result.stdout + result.stderr

    return run
