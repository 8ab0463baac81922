"""Figures as text: columns as wide as what stands in them."""

from collections.abc import Iterator, Sequence

from emu.cli.labs.allocators import BOOT_PROFILE, BOOT_PROGRAMS, AllocatorFigures
from emu.cli.labs.guests import Costs
from emu.cli.labs.heaps import HEAP_BYTES

_QUARTERS = (0.25, 0.5, 0.75, 1.0)
_PAGE_KIB = 4


def size_text(size: int) -> str:
    """A memory's size.

    >>> size_text(128 << 20), size_text(4 << 30)
    ('128 MiB', '4 GiB')
    """
    return f"{size >> 30} GiB" if size >= 1 << 30 else f"{size >> 20} MiB"


def lines_of(figures: AllocatorFigures) -> Iterator[str]:
    """The table, line by line."""
    yield f"instructions a call, mean and worst of {figures.operations:,} operations"
    yield ""
    yield "frame allocators, while half of memory is in use"
    yield from _columns(
        ("", "memory", "alloc", "worst", "dealloc", "worst", "books KiB", "peak frames"),
        [
            (
                row.allocator,
                size_text(row.memory),
                *_cost(row.alloc),
                *_cost(row.dealloc),
                f"{row.books * _PAGE_KIB:,}",
                f"{row.peak:,}",
            )
            for row in figures.frames
        ],
    )
    yield ""
    yield f"heaps of {HEAP_BYTES >> 10} KiB"
    yield from _columns(
        ("", "alloc", "worst", "dealloc", "worst", "refused", "peak bytes"),
        [
            (row.heap, *_cost(row.alloc), *_cost(row.dealloc), str(row.refused), f"{row.peak:,}")
            for row in figures.heaps
        ],
    )
    yield ""
    yield "fragmentation of the heaps over time: bytes internal + external after a part of the operations"
    uses = [(row.heap, [row.after(share) for share in _QUARTERS]) for row in figures.heaps]
    yield from _columns(
        ("", *(f"{share:.0%}" for share in _QUARTERS)),
        [(heap, *(f"{use.internal:,} + {use.external:,}" for use in after)) for heap, after in uses],
    )
    yield ""
    yield (
        f"traps and processes, {' and '.join(BOOT_PROGRAMS)} in a boot of {BOOT_PROFILE}: "
        "instructions from the trap to the return"
    )
    yield from _columns(
        ("", "times", "mean", "worst"),
        [(name, str(len(costs.each)), *_cost(costs)) for name, costs in figures.boot.items()],
    )


def _cost(costs: Costs) -> tuple[str, str]:
    return (f"{costs.mean:,.1f}", f"{costs.worst:,}") if costs.each else ("-", "-")


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        first, *others = (
            f"{cell:{'>' if index else '<'}{width}}"
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(["  " + first, *others]).rstrip()
