"""`ekernel lab`: experiments on the teaching kernel."""

from collections.abc import Sequence
from pathlib import Path

from emu.cli.words.reading import Words, count
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
    words.add_argument(
        "experiment", metavar="allocators",
        help="Run one workload through all frame allocators and heaps, and count the instructions.",
    )  # fmt: skip
    words.add_argument(
        "--operations", metavar="N", type=count, default=500, help="Allocations and frees, each allocator (500)."
    )
    words.add_argument(
        "--plot", metavar="FILE", type=Path, help="Draw the figures too: a file .png or .svg (needs matplotlib)."
    )
    words.add_argument("-h", "--help", action="store_true", help="Show this.")
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
