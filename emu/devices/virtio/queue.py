"""The split virtqueue: buffers that the driver offers, and their way back (virtio 1.2, section 2.7).

All of it lies in memory that the guest writes, so every index, address and length is checked before it is followed.
"""

import struct
from collections.abc import Sequence

from emu.counted import counted
from emu.devices.device import GuestMemory
from emu.lateclass import dataclass

LARGEST_QUEUE = 1024
"""Entries; what QueueNumMax says, as on QEMU."""
LARGEST_CHAIN = 16 << 20
"""Bytes of one chain of buffers; the largest request of Linux is a tenth of it."""
LARGEST_SERVICE = 64 << 20
"""Bytes that a device moves before it lets the hart go on: a request may offer the next one by what it writes."""
_COST_OF_BUFFER = 4096
"""The bytes that a buffer counts for, beside its own."""

_DESCRIPTOR = struct.Struct("<QIHH")
_NEXT, _WRITE, _INDIRECT = 1, 2, 4
_U16 = struct.Struct("<H")
_USED_ELEMENT = struct.Struct("<II")
_AVAIL_NO_INTERRUPT = 1
_INDEX_MASK = 0xFFFF


class QueueError(Exception):
    """The driver broke the rules of the queue; the device stops until it is reset (section 2.1.2)."""


Buffer = tuple[int, int]
"""Physical address and length of a part of a chain; inside RAM."""


@dataclass(frozen=True, slots=True)
class Chain:
    """One request: the buffers of a descriptor chain, those to read first (section 2.7.4.2)."""

    head: int
    readable: Sequence[Buffer]
    writable: Sequence[Buffer]
    memory: GuestMemory

    @property
    def readable_size(self) -> int:
        """Bytes that the driver sends."""
        return sum(length for _, length in self.readable)

    @property
    def writable_size(self) -> int:
        """Bytes that the device may fill."""
        return sum(length for _, length in self.writable)

    def read(self) -> bytes:
        """All that the driver sends."""
        return b"".join(self.memory.read(address, length) for address, length in self.readable)

    def write(self, data: bytes, offset: int = 0) -> None:
        """Fill the writable buffers from `offset` on, as far as they reach."""
        rest = memoryview(data)
        for address, length in self.writable:
            if offset < length and rest:
                part = rest[: length - offset]
                self.memory.transfer(address + offset, part)
                rest = rest[len(part) :]
                offset = length
            offset -= length


@dataclass(slots=True)
class QueueState:
    """What the driver configured, and how far both sides are."""

    size: int = LARGEST_QUEUE
    descriptors: int = 0
    driver: int = 0
    """Address of the available ring."""
    device: int = 0
    """Address of the used ring."""
    ready: bool = False
    align: int = 4096
    """Of the used ring, in the legacy layout."""
    next_available: int = 0
    next_used: int = 0


class Virtqueue:
    """A queue of a device; `pop` takes the next request, `push` gives it back."""

    def __init__(self, memory: GuestMemory, state: QueueState) -> None:
        self._memory = memory
        self.state = state
        self.interrupt_wanted = False
        """Something was pushed whose completion the driver wants to hear of; cleared by the transport."""
        self._left = LARGEST_SERVICE

    def begin_service(self) -> None:
        """The device may move LARGEST_SERVICE bytes from here on."""
        self._left = LARGEST_SERVICE

    @property
    def is_spent(self) -> bool:
        """Whether the device has moved as much as it may at once; what still waits, waits until later."""
        return self._left <= 0

    @property
    def waiting(self) -> int:
        """How many requests wait. Raises QueueError for rings that cannot be."""
        state = self.state
        if not state.ready:
            return 0
        self._check_rings()
        available = (self._u16(state.driver + 2) - state.next_available) & _INDEX_MASK
        if available > state.size:
            raise QueueError(f"the available index is {available} ahead in a queue of {state.size}")
        return available

    def pop(self) -> Chain | None:
        """The next request, or None, also when the device `is_spent`. Raises QueueError for a malformed one."""
        state = self.state
        if self.is_spent or not self.waiting:
            return None
        head = self._u16(state.driver + 4 + 2 * (state.next_available % state.size))
        chain = self._follow(head)
        state.next_available = (state.next_available + 1) & _INDEX_MASK
        buffers = len(chain.readable) + len(chain.writable)
        self._left -= chain.readable_size + chain.writable_size + buffers * _COST_OF_BUFFER
        return chain

    def push(self, chain: Chain, written: int) -> None:
        """Give a request back, with the number of bytes that were written into it (section 2.7.8)."""
        state = self.state
        slot = state.device + 4 + 8 * (state.next_used % state.size)
        self._memory.transfer(slot, _USED_ELEMENT.pack(chain.head, written))
        state.next_used = (state.next_used + 1) & _INDEX_MASK
        self._memory.transfer(state.device + 2, _U16.pack(state.next_used))
        if not self._u16(state.driver) & _AVAIL_NO_INTERRUPT:
            self.interrupt_wanted = True

    def place_legacy(self, address: int) -> None:
        """Lay the three parts out behind one address (section 2.7.2)."""
        state = self.state
        state.descriptors = address
        state.driver = address + _DESCRIPTOR.size * state.size
        end = state.driver + 6 + 2 * state.size
        state.device = -(-end // state.align) * state.align

    def _check_rings(self) -> None:
        state, contains = self.state, self._memory.contains
        parts = (
            ("descriptor table", state.descriptors, _DESCRIPTOR.size * state.size),
            ("available ring", state.driver, 4 + 2 * state.size),
            ("used ring", state.device, 4 + 8 * state.size),
        )
        for what, address, length in parts:
            if not contains(address, length):
                raise QueueError(f"the {what} at {address:#x} ({counted(length, 'byte')}) is not in RAM")

    def _u16(self, address: int) -> int:
        return int.from_bytes(self._memory.read(address, 2), "little")

    def _follow(self, head: int) -> Chain:
        table, entries = self.state.descriptors, self.state.size
        readable: list[Buffer] = []
        writable: list[Buffer] = []
        index, total, indirect = head, 0, False
        for _ in range(LARGEST_QUEUE + 1):
            if index >= entries:
                raise QueueError(f"descriptor {index} is named in a table of {entries}")
            address, length, flags, following = _DESCRIPTOR.unpack(
                self._memory.read(table + _DESCRIPTOR.size * index, _DESCRIPTOR.size)
            )
            if flags & _INDIRECT:
                if indirect or flags & _NEXT:
                    raise QueueError(f"descriptor {index} is indirect where it must not be")
                table, entries, index, indirect = address, self._indirect_entries(address, length), 0, True
                continue
            total += length
            self._check_buffer(index, address, length, total)
            if flags & _WRITE:
                writable.append((address, length))
            elif writable:
                raise QueueError(f"descriptor {index} is to be read, behind one to be written")
            else:
                readable.append((address, length))
            if not flags & _NEXT:
                return Chain(head, readable, writable, self._memory)
            index = following
        raise QueueError(f"the chain from descriptor {head} does not end after {LARGEST_QUEUE} buffers")

    def _indirect_entries(self, address: int, length: int) -> int:
        if not length or length % _DESCRIPTOR.size or not self._memory.contains(address, length):
            raise QueueError(f"the indirect table at {address:#x} ({counted(length, 'byte')}) is no table in RAM")
        return length // _DESCRIPTOR.size

    def _check_buffer(self, index: int, address: int, length: int, total: int) -> None:
        if not length or not self._memory.contains(address, length):
            raise QueueError(
                f"the buffer of descriptor {index}, {counted(length, 'byte')} at {address:#x}, is not in RAM"
            )
        if total > LARGEST_CHAIN:
            raise QueueError(f"the chain with descriptor {index} is longer than {LARGEST_CHAIN} bytes")
