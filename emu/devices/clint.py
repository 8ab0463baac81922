"""CLINT: the software interrupt and the timer of a hart (SiFive FU540-C000 manual, chapter 9)."""

from collections.abc import Callable
from functools import cache

from emu.devices.device import InterruptLine
from emu.devices.node import HART_INTC, Node, wide
from emu.isa.causes import InterruptCause

TICKS_PER_SECOND = 10_000_000
"""The rate of `mtime` on QEMU's `virt`."""

MSIP = 0x0000
"""Machine software interrupt pending: bit 0."""
MTIMECMP = 0x4000
MTIME = 0xBFF8
_TIMERS, _END = 0x4000, 0xC000
"""Where the registers of 64 bits begin, and where they end."""

_MASK64 = (1 << 64) - 1
_NEVER = _MASK64


class Clint:
    """The core-local interruptor of a machine with one hart.

    `time` counts ticks of 10 MHz since power-on; what the guest writes to `mtime` is kept as a difference to it.
    `changed` is called when `next_deadline` or `offset` may have changed; at the deadline the machine calls `update`.
    `msip` is a word; the others are doublewords or two words. The registers of other harts read 0.

    >>> clint = Clint(lambda: 1000, software=print, timer=print, changed=lambda: None)
    >>> clint.write(MTIMECMP, 8, 1001)
    False
    >>> clint.next_deadline
    1001
    """

    name = "clint"
    size = 0x1_0000

    def __init__(
        self,
        time: Callable[[], int],
        *,
        software: InterruptLine,
        timer: InterruptLine,
        changed: Callable[[], None],
        base: int = 0x0200_0000,
    ) -> None:
        self.base = base
        self._time = time
        self._software = software
        self._timer = timer
        self._changed = changed
        self.offset = 0
        """What the guest added to `time` by writing `mtime`; the CSR `time` shows the same sum."""
        self._msip = 0
        self._mtimecmp = _NEVER

    @property
    def mtime(self) -> int:
        """The timer, 64 bits."""
        return (self._time() + self.offset) & _MASK64

    @property
    def next_deadline(self) -> int | None:
        """The `time` at which MTIP rises; None when it is up already or never will."""
        if self._mtimecmp == _NEVER or self._is_due():
            return None
        return self._time() + self._mtimecmp - self.mtime

    def update(self) -> None:
        """Put MTIP to `mtime >= mtimecmp` (privileged manual, section 3.2.1)."""
        self._timer(self._is_due())

    def takes(self, offset: int, size: int) -> bool:
        """Words; doublewords too where registers have 64 bits."""
        return (size == 4 and offset < _END) or (size == 8 and _TIMERS <= offset < _END)

    def read(self, offset: int, size: int) -> int:
        """The register at `offset`; a half of `mtimecmp` or `mtime` with size 4."""
        if offset == MSIP:
            return self._msip
        if offset & ~7 == MTIMECMP:
            return _part(self._mtimecmp, offset, size)
        if offset & ~7 == MTIME:
            return _part(self.mtime, offset, size)
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """Write the register at `offset`; a half of `mtimecmp` or `mtime` with size 4."""
        if offset == MSIP:
            self._msip = value & 1
            self._software(bool(self._msip))
            return
        if offset & ~7 == MTIMECMP:
            self._mtimecmp = _merge(self._mtimecmp, offset, size, value)
        elif offset & ~7 == MTIME:
            now = self._time()
            self.offset = _merge((now + self.offset) & _MASK64, offset, size, value) - now
        else:
            return
        self.update()
        self._changed()

    def reset(self) -> None:
        """No software interrupt, no deadline, `mtime` from 0 again as far as `time` is."""
        self.restore((0, _NEVER, 0))

    def save(self) -> object:
        """msip, mtimecmp and the offset of mtime."""
        return self._msip, self._mtimecmp, self.offset

    def restore(self, state: object) -> None:
        """Return to a saved state and set both lines by it."""
        self._msip, self._mtimecmp, self.offset = state  # type: ignore[misc]
        self._software(bool(self._msip))
        self.update()
        self._changed()

    def nodes(self) -> tuple[Node, ...]:
        """Node `clint`."""
        return _nodes(self.base, self.size)

    def _is_due(self) -> bool:
        return self.mtime >= self._mtimecmp


def _part(register: int, offset: int, size: int) -> int:
    """The 64-bit register, or the half that `offset` names."""
    if size == 8:
        return register
    return register >> (32 if offset & 4 else 0) & 0xFFFF_FFFF


def _merge(register: int, offset: int, size: int, value: int) -> int:
    """The 64-bit register after all of it, or the half that `offset` names, was written."""
    if size == 8:
        return value
    shift = 32 if offset & 4 else 0
    return register & ~(0xFFFF_FFFF << shift) | value << shift


@cache
def _nodes(base: int, size: int) -> tuple[Node, ...]:
    return (
        Node(
            f"clint@{base:x}",
            {
                "interrupts-extended": (
                    HART_INTC, int(InterruptCause.MACHINE_SOFTWARE), HART_INTC, int(InterruptCause.MACHINE_TIMER),
                ),
                "reg": wide(base, size),
                "compatible": ("sifive,clint0", "riscv,clint0"),
            },
        ),
    )  # fmt: skip
