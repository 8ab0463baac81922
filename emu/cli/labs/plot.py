"""Figures as a picture: cost against memory, fragmentation over time, peak use."""

from importlib import import_module
from pathlib import Path
from typing import Any

from emu.cli.labs.allocators import AllocatorFigures
from emu.cli.labs.frames import MEMORIES
from emu.cli.labs.heaps import HEAP_BYTES
from emu.cli.labs.table import size_text
from emu.errors import ConfigError

_FORMATS = (".png", ".svg")
_SVG_SETTINGS = {"svg.hashsalt": "ekernel"}
"""So that two runs write the same file: the names in an SVG are random otherwise."""


def check_plot(path: Path) -> None:
    """Raise ConfigError unless a picture can be drawn and its file be made there; to be asked before measuring."""
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"--plot {path}: the name must end in {' or '.join(_FORMATS)}")
    if not path.parent.is_dir():
        raise ConfigError(f"--plot {path}: there is no directory {path.parent}; make it first")
    try:
        import_module("matplotlib")
    except ImportError:
        raise ConfigError("--plot needs matplotlib: pip install 'ekernel[plot]', or pip install matplotlib") from None


def draw(figures: AllocatorFigures, path: Path) -> None:
    """Write the picture; raises ConfigError when the file cannot be written."""
    # Loaded by name: mypy has to pass where this optional library is not installed.
    matplotlib = import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot = import_module("matplotlib.pyplot")
    kind = path.suffix.lower().removeprefix(".")
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with matplotlib.rc_context(_SVG_SETTINGS):
        picture, panels = pyplot.subplots(2, 2, figsize=(12, 8), layout="constrained")
        try:
            _draw_frames(panels[0][0], figures)
            _draw_peaks(panels[0][1], figures)
            _draw_history(panels[1][0], figures, "internal")
            _draw_history(panels[1][1], figures, "external")
            picture.savefig(path, format=kind, metadata=metadata)
        except OSError as error:
            raise ConfigError(f"--plot {path}: cannot be written: {error.strerror}; choose another name") from error
        finally:
            pyplot.close(picture)


def _draw_frames(panel: Any, figures: AllocatorFigures) -> None:
    for allocator in dict.fromkeys(row.allocator for row in figures.frames):
        rows = [row for row in figures.frames if row.allocator == allocator]
        panel.plot([row.memory for row in rows], [row.alloc.mean for row in rows], marker="o", label=allocator)
    panel.set(title="frame_alloc", xlabel="memory", ylabel="instructions, mean", xscale="log", yscale="log")
    panel.set_xticks(MEMORIES, [size_text(memory) for memory in MEMORIES])
    panel.minorticks_off()
    panel.legend()


def _draw_peaks(panel: Any, figures: AllocatorFigures) -> None:
    panel.bar([row.heap for row in figures.heaps], [row.peak for row in figures.heaps])
    panel.axhline(HEAP_BYTES, linestyle="--", color="grey")
    panel.set(title="peak use of the heap", ylabel="bytes allocated")


def _draw_history(panel: Any, figures: AllocatorFigures, which: str) -> None:
    for row in figures.heaps:
        panel.plot([getattr(use, which) for use in row.history], label=row.heap)
    panel.set(title=f"{which} fragmentation", xlabel="operations", ylabel="bytes")
    panel.legend()
