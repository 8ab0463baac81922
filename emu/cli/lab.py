"""`ekernel lab`: experiments on the teaching kernel."""

from pathlib import Path
from typing import Annotated

import typer

lab = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Experiments on the teaching kernel.")


@lab.callback()
def _only_a_group() -> None:
    """Experiments on the teaching kernel."""


@lab.command()
def allocators(
    operations: Annotated[int, typer.Option(min=1, metavar="N", help="Allocations and frees, each allocator.")] = 500,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the figures too: a file .png or .svg (needs matplotlib).")
    ] = None,
) -> None:
    """Run one workload through all frame allocators and heaps, and count the instructions; the same in each run."""
    from emu.cli.labs.allocators import measure_allocators
    from emu.cli.labs.plot import check_plot, draw
    from emu.cli.labs.table import lines_of

    if plot:
        check_plot(plot)
    figures = measure_allocators(operations)
    for line in lines_of(figures):
        print(line)
    if plot:
        draw(figures, plot)
