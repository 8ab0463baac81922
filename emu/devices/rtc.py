"""Goldfish RTC: wall-clock time and one alarm (Android, goldfish/GOLDFISH-VIRTUAL-HARDWARE.TXT, chapter VIII)."""

from collections.abc import Callable
from functools import cache

from emu.devices.device import InterruptLine
from emu.devices.node import PLIC, Node, wide
from emu.hints import cast
from emu.lateclass import dataclass, replace

TIME_LOW = 0x00
"""Nanoseconds since 1970, bits 31..0; reading it latches the upper half for TIME_HIGH."""
TIME_HIGH = 0x04
ALARM_LOW = 0x08
"""Writing it sets the alarm to ALARM_HIGH and this."""
ALARM_HIGH = 0x0C
IRQ_ENABLED = 0x10
CLEAR_ALARM = 0x14
ALARM_STATUS = 0x18
"""1 while an alarm is set and has not gone off."""
CLEAR_INTERRUPT = 0x1C
_END = 0x24
"""QEMU's range of registers ends here."""

_MASK64 = (1 << 64) - 1


@dataclass(slots=True)
class _State:
    offset: int = 0
    """What the guest added to the clock by writing it."""
    latched_high: int = 0
    alarm: int = 0
    alarm_set: bool = False
    irq_enabled: bool = False
    irq_pending: bool = False


class GoldfishRtc:
    """The real-time clock. `now` gives nanoseconds since 1970; all registers are words.

    A doubleword is two words, the lower first, as on QEMU.

    `changed` is called when `next_deadline` may have changed; at the deadline the machine calls `update`.

    >>> rtc = GoldfishRtc(lambda: 5 << 32 | 6, lambda level: None, changed=lambda: None)
    >>> rtc.read(TIME_LOW, 4), rtc.read(TIME_HIGH, 4)
    (6, 5)
    """

    name = "rtc"
    size = 0x1000

    def __init__(
        self,
        now: Callable[[], int],
        irq: InterruptLine,
        *,
        changed: Callable[[], None],
        base: int = 0x0010_1000,
        irq_number: int = 11,
    ) -> None:
        self.base = base
        self.irq_number = irq_number
        self._now = now
        self._irq = irq
        self._changed = changed
        self._state = _State()

    @property
    def next_deadline(self) -> int | None:
        """The `now` at which the alarm goes off, or None without one."""
        return self._state.alarm - self._state.offset if self._state.alarm_set else None

    def update(self) -> None:
        """Let the alarm go off if its time has come, and set the line."""
        state = self._state
        if state.alarm_set and self._now() + state.offset >= state.alarm:
            state.alarm_set = False
            state.irq_pending = True
        self._irq(state.irq_pending and state.irq_enabled)

    def takes(self, offset: int, size: int) -> bool:
        """Words, and two words as one."""
        return size >= 4 and offset + size <= _END

    def read(self, offset: int, size: int) -> int:
        """The register at `offset`, or that and the next."""
        if size == 8:
            return self.read(offset, 4) | self.read(offset + 4, 4) << 32
        state = self._state
        if offset == TIME_LOW:
            time = self._time()
            state.latched_high = time >> 32
            return time & 0xFFFF_FFFF
        return {
            TIME_HIGH: state.latched_high,
            ALARM_LOW: state.alarm & 0xFFFF_FFFF,
            ALARM_HIGH: state.alarm >> 32,
            IRQ_ENABLED: int(state.irq_enabled),
            ALARM_STATUS: int(state.alarm_set),
        }.get(offset, 0)

    def write(self, offset: int, size: int, value: int) -> None:
        """Write the register at `offset`, or that and the next."""
        if size == 8:
            self.write(offset, 4, value & 0xFFFF_FFFF)
            self.write(offset + 4, 4, value >> 32)
            return
        state = self._state
        if offset == TIME_LOW:
            self._set_time(self._time() & ~0xFFFF_FFFF | value)
        elif offset == TIME_HIGH:
            self._set_time(self._time() & 0xFFFF_FFFF | value << 32)
        elif offset == ALARM_LOW:
            state.alarm = state.alarm & ~0xFFFF_FFFF | value
            state.alarm_set = True
            self._set_time(self._time())  # which may have passed 2**64 before; if it does so now, the alarm goes off
        elif offset == ALARM_HIGH:
            state.alarm = state.alarm & 0xFFFF_FFFF | value << 32
        elif offset == IRQ_ENABLED:
            state.irq_enabled = bool(value & 1)
        elif offset == CLEAR_ALARM:
            state.alarm_set = False
        elif offset == CLEAR_INTERRUPT:
            state.irq_pending = False
        else:
            return
        self.update()
        self._changed()

    def reset(self) -> None:
        """The clock's own time, no alarm."""
        self.restore(_State())

    def save(self) -> object:
        """The offset, the latch and the alarm."""
        return replace(self._state)

    def restore(self, state: object) -> None:
        """Return to a saved state and set the line by it."""
        self._state = replace(cast("_State", state))
        self.update()
        self._changed()

    def nodes(self) -> tuple[Node, ...]:
        """Node `rtc`."""
        return _nodes(self.base, self.size, self.irq_number)

    def _time(self) -> int:
        return (self._now() + self._state.offset) & _MASK64

    def _set_time(self, time: int) -> None:
        self._state.offset = time - self._now()


@cache
def _nodes(base: int, size: int, irq_number: int) -> tuple[Node, ...]:
    return (
        Node(
            f"rtc@{base:x}",
            {
                "interrupts": (irq_number,),
                "interrupt-parent": (PLIC,),
                "reg": wide(base, size),
                "compatible": "google,goldfish-rtc",
            },
        ),
    )
