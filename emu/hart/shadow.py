"""The one shadow of a hart's memory, which is on while anybody has a layer of it."""

from emu.engine import Engine
from emu.engine.translated.shadow import Layer, Report, Shadow


class SharedShadow:
    """Layers for all who want to be told of accesses: watchpoints, the sanitizer, page tables."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shadow: Shadow | None = None

    def open(self, report: Report, low: int = 0, high: int = 1 << 64) -> Layer:
        """A layer for accesses from `low` to below `high`; in a run from the end of the current block on."""
        is_first = self._shadow is None
        if self._shadow is None:
            self._shadow = Shadow(self._engine.size)
        layer = self._shadow.add(report, low, high)
        if is_first:
            self._engine.switch_on(self._shadow)
            self._switch_soon()
        return layer

    def close(self, layer: Layer) -> None:
        """Report for a layer no more; the last one ends the cost."""
        shadow = self._shadow
        if shadow is None:
            return
        shadow.remove(layer)
        if not shadow.layers:
            self._engine.switch_off(shadow)
            self._shadow = None
            self._switch_soon()

    def _switch_soon(self) -> None:
        if self._engine.running:
            self._engine.stop_after_block()
