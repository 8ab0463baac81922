"""`ekernel lab`: experiments on the teaching kernel."""

from collections.abc import Sequence
from pathlib import Path

from emu.cli.words.reading import Group, Words, count
from emu.errors import ConfigError
from emu.terminal.signals import Signals


class LabWords:
    """What was asked for."""

    experiment: str
    operations: int
    plot: Path | None


def options() -> Words:
    """The words of `ekernel lab`."""
    words = Words("ekernel lab", "Experiments on the teaching kernel, the same in each run.", operands=" allocators")
    words.operand(
        "experiment", form="allocators",
        text="Run one workload through all frame allocators and heaps, and count the instructions.",
    )  # fmt: skip
    group = Group(words, "options")
    group.value(
        "--operations", to="operations", form="N", kind=count, default=500,
        text="Allocations and frees, each allocator (500).",
    )  # fmt: skip
    group.value(
        "--plot", to="plot", form="FILE", kind=Path,
        text="Draw the figures too: a file .png or .svg (needs matplotlib).",
    )  # fmt: skip
    group.flag("-h", "--help", to="help", text="Show this.")
    return words


def main(words: Sequence[str], _signals: Signals) -> int:
    """Run the experiment that the words ask for; the exit status."""
    wanted = options().read(words, LabWords())
    if wanted.experiment != "allocators":
        raise ConfigError(f"there is no experiment '{wanted.experiment}'; there is allocators")
    if wanted.operations < 1:
        raise ConfigError("--operations 0: give 1 or more")
    from emu.labs.allocators import measure_allocators
    from emu.labs.plot import check_plot, draw
    from emu.labs.table import lines_of

    if wanted.plot:
        check_plot(wanted.plot)
    figures = measure_allocators(wanted.operations)
    for line in lines_of(figures):
        print(line)
    if wanted.plot:
        draw(figures, wanted.plot)
    return 0
