"""The one shadow of a hart's memory, which is on while anybody has a layer of it."""

from collections.abc import Callable

from emu.engine import Engine
from emu.engine.slots import Slot
from emu.hints import TYPE_CHECKING, Protocol, TypeVarTuple, Unpack

if TYPE_CHECKING:
    from emu.engine.translated.features.shadow import Layer, Report, Shadow

_Arguments = TypeVarTuple("_Arguments")
_COUNT = Slot.COUNT


class Counting(Protocol):
    """What a shadow needs to know of a hart."""

    slots: memoryview

    def instructions_from(self, pc: int, /) -> int:
        """How many instructions of the current block have not retired when the one at `pc` executes."""


class SharedShadow:
    """Layers for all who want to be told of accesses: watchpoints, the sanitizer, page tables."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shadow: Shadow | None = None

    def open(self, report: "Report", low: int = 0, high: int = 1 << 64) -> "Layer":
        """A layer for accesses from `low` to below `high`; in a run from the end of the current block on."""
        from emu.engine.translated.features.shadow import Shadow

        is_first = self._shadow is None
        if self._shadow is None:
            self._shadow = Shadow(self._engine.size)
        layer = self._shadow.add(report, low, high)
        if is_first:
            self._engine.switch_on(self._shadow)
            self._switch_soon()
        return layer

    def open_unwritten(self, report: "Report") -> "Layer":
        """The one layer for loads of what was never written (`Shadow.mark_unwritten`)."""
        from emu.engine.translated.features.shadow import Shadow

        if self._shadow is None:
            self._shadow = Shadow(self._engine.size)
        layer = self._shadow.mark_unwritten(report)
        self._switch_again(self._shadow)
        return layer

    def place_linear(self, address: int) -> None:
        """Say at which virtual address the kernel has RAM's beginning."""
        if self._shadow is not None:
            self._shadow.linear = address

    def _switch_again(self, shadow: "Shadow") -> None:
        """Have all code do what the shadow wants by now."""
        self._engine.switch_off(shadow)
        self._engine.switch_on(shadow)
        self._switch_soon()

    def close(self, layer: "Layer") -> None:
        """Report for a layer no more; the last one ends the cost."""
        shadow = self._shadow
        if shadow is None:
            return
        was_unwritten = layer is shadow.unwritten
        shadow.remove(layer)
        if was_unwritten and shadow.layers:
            self._switch_again(shadow)
        elif not shadow.layers and shadow.unwritten is None:
            self._engine.switch_off(shadow)
            self._shadow = None
            self._switch_soon()

    def in_access(
        self, hart: Counting, pc: int, action: Callable[[Unpack[_Arguments]], object], *arguments: *_Arguments
    ) -> None:
        """Do something in a report, with an exact count; whoever stops the hart stops it behind the current block."""
        slots, ahead = hart.slots, hart.instructions_from(pc)
        slots[_COUNT] -= ahead
        self._engine.in_report = True
        try:
            action(*arguments)
        finally:
            self._engine.in_report = False
            slots[_COUNT] += ahead

    def _switch_soon(self) -> None:
        if self._engine.running:
            self._engine.stop_after_block()
