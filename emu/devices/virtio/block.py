"""Virtio block device: requests for the sectors of a disk (virtio 1.2, section 5.2)."""

import struct
from collections.abc import Callable

from emu.devices.virtio.disk import SECTOR, Disk
from emu.devices.virtio.queue import Chain, QueueError, Virtqueue

# Feature bits (5.2.3)
F_SEG_MAX = 1 << 2
F_RO = 1 << 5
F_BLK_SIZE = 1 << 6
F_FLUSH = 1 << 9

# Request types (5.2.6)
T_IN = 0
T_OUT = 1
T_FLUSH = 4
T_GET_ID = 8

# Status of a request (5.2.6)
S_OK = 0
S_IOERR = 1
S_UNSUPP = 2

_HEADER = struct.Struct("<IIQ")
"""type, reserved (legacy: priority), sector."""
_CONFIG = struct.Struct("<QII HBB I")
"""capacity, size_max, seg_max, geometry, blk_size (5.2.4)."""
_SEGMENTS = 126
"""Buffers of a request beside header and status, as QEMU says."""
_ID_SIZE = 20


class Block:
    """A disk behind a transport.

    A request is done when the driver's notification returns, one after the other in the order of the queue, so writes
    reach the image in that order.
    """

    device_id = 2
    queues = 1

    def __init__(self, disk: Disk, *, serial: str = "") -> None:
        self.features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | (F_RO if disk.read_only else 0)
        self._disk = disk
        self._serial = serial.encode()[:_ID_SIZE].ljust(_ID_SIZE, b"\0")

    def connect(self, service: Callable[[int], None]) -> None:
        """A disk has no news of its own."""

    def config(self) -> bytes:
        """Capacity and block size."""
        return _CONFIG.pack(self._disk.capacity, 0, _SEGMENTS, 0, 0, 0, SECTOR)

    def handle(self, index: int, queue: Virtqueue) -> None:  # noqa: ARG002
        """Carry out all requests of the queue."""
        while (chain := queue.pop()) is not None:
            if chain.readable_size < _HEADER.size or not chain.writable_size:
                raise QueueError("a block request without header or without room for its status")
            written = self._carry_out(chain)
            queue.push(chain, written)

    def reset(self) -> None:
        """The disk keeps its content."""

    def save(self) -> object:
        """What the disk says of its content."""
        return self._disk.save()

    def restore(self, state: object) -> None:
        """Return the disk to a saved content."""
        self._disk.restore(state)

    def close(self) -> None:
        """Release the disk's file and its lock."""
        self._disk.close()

    def _carry_out(self, chain: Chain) -> int:
        """Do one request; the bytes written into the chain, the status behind the data among them."""
        room = chain.writable_size - 1
        sent = chain.read()
        kind, _, sector = _HEADER.unpack_from(sent)
        try:
            status, data = self._answer(kind, sector, sent[_HEADER.size :], room)
        except OSError:
            status, data = S_IOERR, b""
        chain.write(data)
        chain.write(bytes((status,)), room)
        return len(data) + 1

    def _answer(self, kind: int, sector: int, sent: bytes, room: int) -> tuple[int, bytes]:
        if kind == T_IN:
            if not self._is_inside(sector, room):
                return S_IOERR, b""
            return S_OK, self._disk.read(sector * SECTOR, room) if room else b""
        if kind == T_OUT:
            if self._disk.read_only or not self._is_inside(sector, len(sent)):
                return S_IOERR, b""
            self._disk.write(sector * SECTOR, sent)
            return S_OK, b""
        if kind == T_FLUSH:
            self._disk.flush()
            return S_OK, b""
        if kind == T_GET_ID:
            return S_OK, self._serial[:room]
        return S_UNSUPP, b""

    def _is_inside(self, sector: int, length: int) -> bool:
        return length % SECTOR == 0 and sector + length // SECTOR <= self._disk.capacity
