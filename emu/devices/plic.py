"""PLIC: which device interrupt reaches the hart, and in which order (RISC-V PLIC specification 1.0.0).

Two rules are QEMU's (hw/intc/sifive_plic.c) and not the specification's. A source becomes pending each time its device
tells a high level, and stays so until it is claimed, although the line may fall before; at completion the line is not
sampled again. And a completion is taken also for a source that the context has not enabled.
"""

from collections.abc import Sequence
from functools import cache

from emu.devices.device import InterruptLine
from emu.devices.node import HART_INTC, PLIC, Node, wide
from emu.hints import cast
from emu.isa.causes import InterruptCause
from emu.lateclass import dataclass, field, replace

# Register blocks (chapter 3 to 8 of the specification)
PRIORITY = 0x0
PENDING = 0x1000
ENABLE = 0x2000
ENABLE_STRIDE = 0x80
CONTEXT = 0x20_0000
CONTEXT_STRIDE = 0x1000
THRESHOLD = 0
CLAIM = 4

SOURCES = 96
"""Interrupt sources 0 to 95 on `virt`; source 0 does not exist."""
HIGHEST_PRIORITY = 7
_WORDS = SOURCES // 32

MACHINE, SUPERVISOR = 0, 1
"""The contexts of hart 0."""


@dataclass(slots=True)
class _State:
    """All registers; of sources, bit n stands for source n."""

    priority: list[int] = field(default_factory=lambda: [0] * SOURCES)
    pending: int = 0
    claimed: int = 0
    """Claimed and not completed: no context is asked to handle it meanwhile."""
    enabled: list[int] = field(default_factory=lambda: [0, 0])
    threshold: list[int] = field(default_factory=lambda: [0, 0])

    def copy(self) -> "_State":
        return replace(self, priority=list(self.priority), enabled=list(self.enabled), threshold=list(self.threshold))


class Plic:
    """The platform-level interrupt controller of a machine with one hart.

    `machine` and `supervisor` are the lines into MEIP and SEIP; `line(n)` is what device n drives.

    >>> plic = Plic(machine=lambda level: None, supervisor=lambda level: print("SEIP", level))
    >>> plic.write(PRIORITY + 4 * 10, 4, 1)
    SEIP False
    >>> plic.write(ENABLE + ENABLE_STRIDE, 4, 1 << 10)
    SEIP False
    >>> plic.line(10)(True)
    SEIP True
    >>> plic.read(CONTEXT + CONTEXT_STRIDE + CLAIM, 4)
    SEIP False
    10
    """

    name = "plic"
    size = 0x60_0000

    def __init__(self, *, machine: InterruptLine, supervisor: InterruptLine, base: int = 0x0C00_0000) -> None:
        self.base = base
        self._outputs: Sequence[InterruptLine] = (machine, supervisor)
        self._state = _State()

    def line(self, source: int) -> InterruptLine:
        """The line of a device, source 1 to 95."""
        if not 0 < source < SOURCES:
            raise ValueError(f"interrupt source {source} is not 1 to {SOURCES - 1}")
        bit = 1 << source

        def set_level(level: bool) -> None:
            if level and not self._state.pending & bit:
                self._state.pending |= bit
                self._update()

        return set_level

    def takes(self, offset: int, size: int) -> bool:  # noqa: ARG002
        """All registers are words (chapter 3)."""
        return size == 4

    def read(self, offset: int, size: int) -> int:  # noqa: ARG002
        """The register at `offset`. Reading a claim register claims."""
        if offset < PENDING:
            return self._state.priority[offset >> 2] if offset >> 2 < SOURCES else 0
        if offset < ENABLE:
            return _word(self._state.pending, (offset - PENDING) >> 2)
        if offset < CONTEXT:
            context, word = divmod(offset - ENABLE, ENABLE_STRIDE)
            return _word(self._state.enabled[context], word >> 2) if context < len(self._state.enabled) else 0
        context, register = divmod(offset - CONTEXT, CONTEXT_STRIDE)
        if context >= len(self._outputs):
            return 0
        if register == THRESHOLD:
            return self._state.threshold[context]
        return self._claim(context) if register == CLAIM else 0

    def write(self, offset: int, size: int, value: int) -> None:  # noqa: ARG002
        """Write the register at `offset`. Writing a claim register completes."""
        if PENDING <= offset < ENABLE:
            return
        if offset < PENDING:
            source = offset >> 2
            if 0 < source < SOURCES:
                self._state.priority[source] = value & HIGHEST_PRIORITY
        elif offset < CONTEXT:
            context, byte = divmod(offset - ENABLE, ENABLE_STRIDE)
            if context < len(self._state.enabled) and byte >> 2 < _WORDS:
                shift = 32 * (byte >> 2)
                merged = self._state.enabled[context] & ~(0xFFFF_FFFF << shift) | value << shift
                self._state.enabled[context] = merged & ~1
        else:
            context, register = divmod(offset - CONTEXT, CONTEXT_STRIDE)
            if context < len(self._outputs) and register == THRESHOLD:
                self._state.threshold[context] = value & HIGHEST_PRIORITY
            elif context < len(self._outputs) and register == CLAIM:
                self._complete(value)
        self._update()

    def reset(self) -> None:
        """Nothing enabled, all priorities and thresholds 0, nothing pending."""
        self._state = _State()
        self._update()

    def save(self) -> object:
        """All registers, and which sources are claimed."""
        return self._state.copy()

    def restore(self, state: object) -> None:
        """Return to a saved state and set both outputs by it."""
        self._state = cast("_State", state).copy()
        self._update()

    def nodes(self) -> tuple[Node, ...]:
        """Node `plic`, which the devices' interrupts refer to."""
        return _nodes(self.base, self.size)

    def _best(self, context: int) -> int:
        """The source that a claim would give: the highest priority above the threshold, then the lowest number."""
        candidates = self._state.pending & ~self._state.claimed & self._state.enabled[context]
        best, best_priority = 0, self._state.threshold[context]
        while candidates:
            source = (candidates & -candidates).bit_length() - 1
            candidates &= candidates - 1
            if self._state.priority[source] > best_priority:
                best, best_priority = source, self._state.priority[source]
        return best

    def _claim(self, context: int) -> int:
        source = self._best(context)
        if source:
            self._state.pending &= ~(1 << source)
            self._state.claimed |= 1 << source
        self._update()
        return source

    def _complete(self, source: int) -> None:
        if source < SOURCES:
            self._state.claimed &= ~(1 << source)

    def _update(self) -> None:
        for context, output in enumerate(self._outputs):
            output(self._best(context) != 0)


def _word(bits: int, index: int) -> int:
    return bits >> 32 * index & 0xFFFF_FFFF if index < _WORDS else 0


@cache
def _nodes(base: int, size: int) -> tuple[Node, ...]:
    return (
        Node(
            f"plic@{base:x}",
            {
                "riscv,ndev": (SOURCES,),
                "reg": wide(base, size),
                "interrupts-extended": (
                    HART_INTC, int(InterruptCause.MACHINE_EXTERNAL),
                    HART_INTC, int(InterruptCause.SUPERVISOR_EXTERNAL),
                ),
                "interrupt-controller": True,
                "compatible": ("sifive,plic-1.0.0", "riscv,plic0"),
                "#address-cells": (0,),
                "#interrupt-cells": (1,),
            },
            label=PLIC.label,
        ),
    )  # fmt: skip
