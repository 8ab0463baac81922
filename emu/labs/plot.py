"""Figures as a picture: cost against size, fragmentation and growth over time, peak use, the price of a process."""

from importlib import import_module
from pathlib import Path
from typing import Any

from emu.errors import ConfigError
from emu.labs.allocators import AllocatorFigures
from emu.labs.frames import MEMORIES, RUNS
from emu.labs.growth import FIRST_BYTES
from emu.labs.heaps import HEAP_BYTES, HEAP_SIZES
from emu.labs.table import size_text

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
        picture, panels = pyplot.subplots(2, 4, figsize=(24, 9), layout="constrained")
        try:
            _draw_frames(panels[0][0], figures)
            _draw_runs(panels[0][1], figures)
            _draw_heaps(panels[0][2], figures)
            _draw_kernel(panels[0][3], figures)
            _draw_peaks(panels[1][0], figures)
            _draw_history(panels[1][1], figures, "internal")
            _draw_history(panels[1][2], figures, "external")
            _draw_growth(panels[1][3], figures)
            picture.savefig(path, format=kind, metadata=metadata)
        except OSError as error:
            raise ConfigError(f"--plot {path}: cannot be written: {error.strerror}; choose another name") from error
        finally:
            pyplot.close(picture)


def _draw_frames(panel: Any, figures: AllocatorFigures) -> None:
    for allocator, rows in figures.by_allocator().items():
        panel.plot([row.memory for row in rows], [row.alloc.mean for row in rows], marker="o", label=allocator)
    panel.set(title="frame_alloc", xlabel="memory", ylabel="instructions, mean", xscale="log", yscale="log")
    panel.set_xticks(MEMORIES, [size_text(memory) for memory in MEMORIES])
    panel.minorticks_off()
    panel.legend()


def _draw_runs(panel: Any, figures: AllocatorFigures) -> None:
    memory = size_text(MEMORIES[-1])
    for allocator, rows in figures.by_allocator().items():
        panel.plot(RUNS, [rows[-1].alloc_run[n] for n in RUNS], marker="o", label=allocator)
    panel.set(title=f"frame_alloc_contiguous, {memory}", xlabel="frames in a row", ylabel="instructions")
    panel.set(xscale="log", yscale="log")
    panel.set_xticks(RUNS, [f"{n:,}" for n in RUNS])
    panel.minorticks_off()
    panel.legend()


def _draw_heaps(panel: Any, figures: AllocatorFigures) -> None:
    for row in figures.heaps:
        panel.plot(HEAP_SIZES, [row.by_size[size][0].mean for size in HEAP_SIZES], marker="o", label=row.heap)
    panel.set(title="heap_alloc in a filled heap", xlabel="KiB of the heap", ylabel="instructions, mean")
    panel.set(xscale="log", yscale="log")
    panel.set_xticks(HEAP_SIZES, [f"{size >> 10:,}" for size in HEAP_SIZES])
    panel.minorticks_off()
    panel.legend()


def _draw_kernel(panel: Any, figures: AllocatorFigures) -> None:
    names = list(next(iter(figures.boots.values())))
    width = 0.8 / len(figures.boots)
    for number, (allocator, costs) in enumerate(figures.boots.items()):
        places = [place + (number + 0.5) * width - 0.4 for place in range(len(names))]
        panel.bar(places, [costs[name].mean for name in names], width=width, label=allocator)
    panel.set(title="traps and processes", ylabel="instructions, mean", yscale="log")
    panel.set_xticks(range(len(names)), names)
    panel.margins(y=0.25)  # room for the legend
    panel.legend(ncols=len(figures.boots))


def _draw_growth(panel: Any, figures: AllocatorFigures) -> None:
    for row in figures.growth:
        panel.plot([total >> 10 for total in row.totals], label=row.heap)
    panel.set(title=f"a heap of {FIRST_BYTES >> 10} KiB that grows by frames", xlabel="operations", ylabel="KiB")
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
