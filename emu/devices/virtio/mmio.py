"""Virtio over MMIO, version 1 (legacy) and 2 (modern): registers, queues, interrupt (virtio 1.2, section 4.2)."""

from collections.abc import Callable
from functools import cache

from emu.devices.device import GuestMemory, InterruptLine
from emu.devices.node import PLIC, Node, wide
from emu.devices.virtio.queue import LARGEST_QUEUE, QueueError, QueueState, Virtqueue
from emu.devices.virtio.state import TransportState
from emu.hints import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from emu.devices.virtio.function import Function

# Registers (table 4.1; those of the legacy interface: table 4.2)
MAGIC_VALUE = 0x000
VERSION = 0x004
DEVICE_ID = 0x008
VENDOR_ID = 0x00C
DEVICE_FEATURES = 0x010
DEVICE_FEATURES_SEL = 0x014
DRIVER_FEATURES = 0x020
DRIVER_FEATURES_SEL = 0x024
GUEST_PAGE_SIZE = 0x028
QUEUE_SEL = 0x030
QUEUE_NUM_MAX = 0x034
QUEUE_NUM = 0x038
QUEUE_ALIGN = 0x03C
QUEUE_PFN = 0x040
QUEUE_READY = 0x044
QUEUE_NOTIFY = 0x050
INTERRUPT_STATUS = 0x060
INTERRUPT_ACK = 0x064
STATUS = 0x070
QUEUE_DESC_LOW, QUEUE_DESC_HIGH = 0x080, 0x084
QUEUE_DRIVER_LOW, QUEUE_DRIVER_HIGH = 0x090, 0x094
QUEUE_DEVICE_LOW, QUEUE_DEVICE_HIGH = 0x0A0, 0x0A4
SHM_LEN_LOW, SHM_LEN_HIGH = 0x0B0, 0x0B4
CONFIG_GENERATION = 0x0FC
CONFIG = 0x100

MAGIC = 0x7472_6976
"""The letters `virt`."""
VENDOR = 0x554D_4551
"""QEMU's letters, which drivers of its machine may ask for."""

# Device status (section 2.1)
FEATURES_OK = 8
NEEDS_RESET = 64

# InterruptStatus
USED_BUFFER = 1
CONFIG_CHANGE = 2

# Feature bits of the transport (chapter 6)
F_ANY_LAYOUT = 1 << 27
F_INDIRECT_DESC = 1 << 28
F_VERSION_1 = 1 << 32

FIRST_BASE, SLOT_SIZE, SLOTS = 0x1000_1000, 0x1000, 8
"""The slots of `virt`: slot n at FIRST_BASE + n * SLOT_SIZE with interrupt n + 1."""

_LATER = 640_000
"""Ticks of 10 MHz in which a device moves LARGEST_SERVICE bytes, at 1 GB a second: it goes on after so many."""


class VirtioMmio:
    """A slot of the machine, with a device in it or empty. `legacy` chooses version 1, which is QEMU's default.

    The transport's registers are words, the configuration space takes any size. A doubleword is two words, the lower
    first, and what else is no word reads 0, as on QEMU.
    """

    size = SLOT_SIZE

    def __init__(
        self,
        slot: int,
        memory: GuestMemory,
        irq: InterruptLine,
        function: "Function | None" = None,
        *,
        legacy: bool = True,
        now: Callable[[], int] = lambda: 0,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`now` gives ticks of 10 MHz; `changed` is called when `next_deadline` has changed."""
        self.name = f"virtio{slot}"
        self.base = FIRST_BASE + slot * SLOT_SIZE
        self.irq_number = slot + 1
        self.legacy = legacy
        self.problem: str | None = None
        """What the driver did wrong when the device stopped serving it, for a person to read."""
        self._memory = memory
        self._irq = irq
        self._function = function
        self._now, self._changed = now, changed
        if function is None:
            self._offered = 0
        else:
            own = F_ANY_LAYOUT | F_INDIRECT_DESC if legacy else F_VERSION_1 | F_INDIRECT_DESC
            self._offered = function.features | own
            function.connect(self._service)
        self._power_on()

    @property
    def is_used(self) -> bool:
        """Whether a device is in the slot."""
        return self._function is not None

    @property
    def next_deadline(self) -> int | None:
        """The `now` at which a queue is worked off further, or None."""
        return self._state.due if self._state.unfinished else None

    def update(self) -> None:
        """Go on with queues whose time has come."""
        state = self._state
        if state.unfinished and self._now() >= state.due:
            unfinished, state.unfinished = state.unfinished, ()
            for index in unfinished:
                self._service(index)

    def close(self) -> None:
        """Give back what the host lent for it."""
        if self._function is not None:
            self._function.close()

    def takes(self, offset: int, size: int) -> bool:  # noqa: ARG002
        """Anything."""
        return True

    def read(self, offset: int, size: int) -> int:
        """The register at `offset`, or a part of the configuration space."""
        if size == 8:
            return self.read(offset, 4) | self.read(offset + 4, 4) << 32
        if offset >= CONFIG:
            config = self._function.config() if self._function is not None else b""
            return int.from_bytes(config[offset - CONFIG : offset - CONFIG + size], "little")
        if size != 4:
            return 0
        if offset in _CONSTANTS:
            return _CONSTANTS[offset]
        if offset == VERSION:
            return 1 if self.legacy else 2
        if self._function is None:
            return 0
        return self._read_register(offset, self._function)

    def _read_register(self, offset: int, function: "Function") -> int:
        state, queue = self._state, self._selected()
        if offset == DEVICE_ID:
            return function.device_id
        if offset == DEVICE_FEATURES:
            return self._offered >> 32 * state.device_features_sel & 0xFFFF_FFFF if state.device_features_sel < 2 else 0
        if offset == INTERRUPT_STATUS:
            return state.interrupts
        if offset == STATUS:
            return state.status
        if queue is None:
            return 0
        if offset == QUEUE_NUM_MAX:
            return LARGEST_QUEUE
        if offset == QUEUE_READY and not self.legacy:
            return int(queue.state.ready)
        if offset == QUEUE_PFN and self.legacy and queue.state.ready:
            return queue.state.descriptors // state.page_size & 0xFFFF_FFFF
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """Write the register at `offset`; the configuration spaces of these devices are read only."""
        if size == 8:
            self.write(offset, 4, value & 0xFFFF_FFFF)
            self.write(offset + 4, 4, value >> 32)
        if size != 4 or self._function is None:
            return
        writer = _WRITERS.get(offset) or (_LEGACY_WRITERS if self.legacy else _MODERN_WRITERS).get(offset)
        if writer is not None:
            writer(self, value)

    def reset(self) -> None:
        """All registers as at power-on."""
        self._power_on()
        if self._function is not None:
            self._function.reset()
        self._update()

    def save(self) -> object:
        """The transport's registers, the queues' positions, and the device's own state."""
        return None if self._function is None else (self._state.copy(), self._function.save())

    def restore(self, state: object) -> None:
        """Return to a saved state and set the line by it."""
        if self._function is None:
            return  # nothing can be written to an empty slot
        transport, function = cast("tuple[TransportState, object]", state)
        self._adopt(transport.copy())
        self._function.restore(function)
        self._update()
        self._changed()

    def nodes(self) -> tuple[Node, ...]:
        """Node `virtio_mmio`; an empty slot has one too."""
        return _nodes(self.base, self.irq_number)

    def _power_on(self) -> None:
        count = self._function.queues if self._function is not None else 0
        self._adopt(TransportState(queues=[QueueState() for _ in range(count)]))

    def _adopt(self, state: TransportState) -> None:
        self._state = state
        self._queues = [Virtqueue(self._memory, queue) for queue in state.queues]
        self.problem = None

    def _selected(self) -> Virtqueue | None:
        number = self._state.queue_sel
        return self._queues[number] if number < len(self._queues) else None

    def _update(self) -> None:
        self._irq(self._state.interrupts != 0)

    def _service(self, index: int) -> None:
        """Let the device work off a queue; a driver that breaks its rules stops the device (section 2.1.2)."""
        if self._function is None or self._state.broken or index >= len(self._queues):
            return
        queue = self._queues[index]
        queue.begin_service()
        try:
            self._function.handle(index, queue)
            if queue.is_spent and queue.waiting:
                self._go_on_later(index)
        except QueueError as error:
            self._stop(f"{self.name}, queue {index}: {error}")
        if queue.interrupt_wanted:
            queue.interrupt_wanted = False
            self._state.interrupts |= USED_BUFFER
            self._update()

    def _go_on_later(self, index: int) -> None:
        state = self._state
        if not state.unfinished:
            state.due = self._now() + _LATER
        if index not in state.unfinished:
            state.unfinished = (*state.unfinished, index)
        self._changed()

    def _stop(self, problem: str) -> None:
        self.problem = problem
        self._state.broken = True
        if not self.legacy:
            self._state.status |= NEEDS_RESET
            self._state.interrupts |= CONFIG_CHANGE
            self._update()

    # Writes, by register

    def _set_device_features_sel(self, value: int) -> None:
        self._state.device_features_sel = value

    def _set_driver_features_sel(self, value: int) -> None:
        self._state.driver_features_sel = value

    def _set_driver_features(self, value: int) -> None:
        state = self._state
        if state.driver_features_sel < 2 and not (state.status & FEATURES_OK and not self.legacy):
            shift = 32 * state.driver_features_sel
            state.driver_features = state.driver_features & ~(0xFFFF_FFFF << shift) | value << shift

    def _set_queue_sel(self, value: int) -> None:
        self._state.queue_sel = value

    def _set_queue_num(self, value: int) -> None:
        queue = self._selected()
        if queue is not None and 0 < value <= LARGEST_QUEUE:
            queue.state.size = value

    def _notify(self, value: int) -> None:
        self._service(value)

    def _acknowledge(self, value: int) -> None:
        self._state.interrupts &= ~value
        self._update()

    def _set_status(self, value: int) -> None:
        if value == 0:
            self._reset_by_driver()
            return
        status = value & 0xFF | self._state.status & NEEDS_RESET
        if not self.legacy and self._state.driver_features & ~self._offered:
            status &= ~FEATURES_OK  # the driver accepted what was not offered (section 2.2.2)
        self._state.status = status

    def _reset_by_driver(self) -> None:
        """Forget queues, features and interrupts (section 4.2.2.1).

        GuestPageSize and what selects features stay, as on QEMU: U-Boot sets the page size before it resets the device.
        """
        old = self._state
        self.reset()
        self._state.page_size = old.page_size
        self._state.device_features_sel = old.device_features_sel
        self._state.driver_features_sel = old.driver_features_sel

    def _set_page_size(self, value: int) -> None:
        self._state.page_size = value & -value or 1  # QEMU counts the zeros at the end, and takes none for none

    def _set_queue_align(self, value: int) -> None:
        queue = self._selected()
        if queue is not None and value and value & (value - 1) == 0:
            queue.state.align = value

    def _set_queue_pfn(self, value: int) -> None:
        queue = self._selected()
        if queue is None:
            return
        queue.place_legacy(value * self._state.page_size)
        self._set_ready(queue, value != 0)

    def _set_queue_ready(self, value: int) -> None:
        queue = self._selected()
        if queue is not None:
            self._set_ready(queue, bool(value & 1))

    @staticmethod
    def _set_ready(queue: Virtqueue, ready: bool) -> None:
        queue.state.ready = ready
        if not ready:
            queue.state.next_available = queue.state.next_used = 0

    def _set_queue_address(self, name: str, shift: int, value: int) -> None:
        queue = self._selected()
        if queue is not None:
            old = getattr(queue.state, name)
            setattr(queue.state, name, old & ~(0xFFFF_FFFF << shift) | value << shift)


@cache
def _nodes(base: int, irq_number: int) -> tuple[Node, ...]:
    return (
        Node(
            f"virtio_mmio@{base:x}",
            {
                "interrupts": (irq_number,),
                "interrupt-parent": (PLIC,),
                "reg": wide(base, SLOT_SIZE),
                "compatible": "virtio,mmio",
            },
        ),
    )


_CONSTANTS = {
    MAGIC_VALUE: MAGIC,
    VENDOR_ID: VENDOR,
    CONFIG_GENERATION: 0,
    SHM_LEN_LOW: 0xFFFF_FFFF,  # no shared memory region (section 4.2.2, SHMLen)
    SHM_LEN_HIGH: 0xFFFF_FFFF,
}

_Writer = Callable[[VirtioMmio, int], None]


def _address_writer(name: str, shift: int) -> _Writer:
    return lambda slot, value: slot._set_queue_address(name, shift, value)


_WRITERS: dict[int, _Writer] = {
    DEVICE_FEATURES_SEL: VirtioMmio._set_device_features_sel,
    DRIVER_FEATURES_SEL: VirtioMmio._set_driver_features_sel,
    DRIVER_FEATURES: VirtioMmio._set_driver_features,
    QUEUE_SEL: VirtioMmio._set_queue_sel,
    QUEUE_NUM: VirtioMmio._set_queue_num,
    QUEUE_NOTIFY: VirtioMmio._notify,
    INTERRUPT_ACK: VirtioMmio._acknowledge,
    STATUS: VirtioMmio._set_status,
}
_LEGACY_WRITERS: dict[int, _Writer] = {
    GUEST_PAGE_SIZE: VirtioMmio._set_page_size,
    QUEUE_ALIGN: VirtioMmio._set_queue_align,
    QUEUE_PFN: VirtioMmio._set_queue_pfn,
}
_MODERN_WRITERS: dict[int, _Writer] = {
    QUEUE_READY: VirtioMmio._set_queue_ready,
    QUEUE_DESC_LOW: _address_writer("descriptors", 0),
    QUEUE_DESC_HIGH: _address_writer("descriptors", 32),
    QUEUE_DRIVER_LOW: _address_writer("driver", 0),
    QUEUE_DRIVER_HIGH: _address_writer("driver", 32),
    QUEUE_DEVICE_LOW: _address_writer("device", 0),
    QUEUE_DEVICE_HIGH: _address_writer("device", 32),
}
