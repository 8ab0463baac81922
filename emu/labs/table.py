"""Figures as text: columns as wide as what stands in them."""

from collections.abc import Iterator, Sequence

from emu.address import PAGE_SIZE
from emu.labs.allocators import BOOT_PROFILE, BOOT_PROGRAMS, AllocatorFigures
from emu.labs.fits import fit
from emu.labs.frames import MEMORIES, RUNS
from emu.labs.growth import FIRST_BYTES
from emu.labs.guests import Costs
from emu.labs.heaps import HEAP_BYTES, HEAP_SIZES

_QUARTERS = (0.25, 0.5, 0.75, 1.0)


def size_text(size: int) -> str:
    """A memory's size.

    >>> size_text(128 << 20), size_text(4 << 30)
    ('128 MiB', '4 GiB')
    """
    return f"{size >> 30} GiB" if size >= 1 << 30 else f"{size >> 20} MiB"


def lines_of(figures: AllocatorFigures) -> Iterator[str]:
    """The table, line by line."""
    yield f"instructions a call, mean and worst of {figures.operations:,} operations"
    for section in (_frames, _runs, _fits, _heaps, _growth, _fragments, _kernel):
        yield ""
        yield from section(figures)


def _frames(figures: AllocatorFigures) -> Iterator[str]:
    yield "frame allocators, while half of memory is in use"
    yield from _columns(
        ("", "memory", "alloc", "worst", "dealloc", "worst", "books KiB", "peak frames"),
        [
            (
                row.allocator,
                size_text(row.memory),
                *_cost(row.alloc),
                *_cost(row.dealloc),
                f"{row.books * PAGE_SIZE >> 10:,}",
                f"{row.peak:,}",
            )
            for row in figures.frames
        ],
    )


def _runs(figures: AllocatorFigures) -> Iterator[str]:
    yield "frames in a row, after single frames were freed: instructions of one call"
    yield from _columns(
        ("", "memory", *(f"alloc {n:,}" for n in RUNS), *(f"dealloc {n:,}" for n in RUNS)),
        [
            (
                row.allocator,
                size_text(row.memory),
                *(f"{row.alloc_run[n]:,}" for n in RUNS),
                *(f"{row.dealloc_run[n]:,}" for n in RUNS),
            )
            for row in figures.frames
        ],
    )


def _fits(figures: AllocatorFigures) -> Iterator[str]:
    yield f"what fits: n = frames of memory, {size_text(MEMORIES[0])} to {size_text(MEMORIES[-1])}; k = frames in a row"
    rows = []
    for allocator, measured in figures.by_allocator().items():
        totals = [row.total for row in measured]
        largest = measured[-1]
        rows.append(
            (
                allocator,
                fit(totals, [row.alloc.mean for row in measured]).text(),
                fit(totals, [row.dealloc.mean for row in measured]).text(),
                fit(totals, [row.alloc_run[RUNS[1]] for row in measured]).text(),
                fit(RUNS, [largest.alloc_run[n] for n in RUNS]).text("k"),
                fit(totals, [row.books * PAGE_SIZE for row in measured]).text(),
            )
        )
    yield from _columns(
        ("", "alloc", "dealloc", f"alloc {RUNS[1]}", f"alloc k, {size_text(MEMORIES[-1])}", "books"), rows
    )


def _heaps(figures: AllocatorFigures) -> Iterator[str]:
    yield f"heaps of {_heap_sizes()}, filled: instructions of alloc, then dealloc; what fits: n = bytes of the heap"
    yield from _columns(
        ("", *(f"{size >> 10:,} KiB" for size in HEAP_SIZES), "alloc", "dealloc"),
        [
            (
                row.heap,
                *(f"{alloc.mean:,.1f} {dealloc.mean:,.1f}" for alloc, dealloc in row.by_size.values()),
                *(
                    fit(HEAP_SIZES, [costs[which].mean for costs in row.by_size.values()]).complexity
                    for which in range(2)
                ),
            )
            for row in figures.heaps
        ],
    )
    yield ""
    yield f"a heap of {HEAP_BYTES >> 10} KiB from its first block on"
    yield from _columns(
        ("", "alloc", "worst", "dealloc", "worst", "refused", "peak bytes"),
        [
            (row.heap, *_cost(row.alloc), *_cost(row.dealloc), str(row.refused), f"{row.peak:,}")
            for row in figures.heaps
        ],
    )


def _growth(figures: AllocatorFigures) -> Iterator[str]:
    yield f"a heap of {FIRST_BYTES >> 10} KiB that grows by frames"
    yield from _columns(
        ("", "alloc", "growing", "times", "shrinking", "most KiB", "most frames", "frames left"),
        [
            (
                row.heap,
                f"{row.alloc.mean:,.1f}",
                f"{row.growing.mean:,.1f}",
                str(len(row.growing.each)),
                f"{row.shrinking.mean:,.1f}",
                f"{max(row.totals) >> 10:,}",
                f"{row.most_frames:,}",
                str(row.frames_left),
            )
            for row in figures.growth
        ],
    )


def _fragments(figures: AllocatorFigures) -> Iterator[str]:
    yield "fragmentation of the heaps over time: bytes internal + external after a part of the operations"
    uses = [(row.heap, [row.after(share) for share in _QUARTERS]) for row in figures.heaps]
    yield from _columns(
        ("", *(f"{share:.0%}" for share in _QUARTERS)),
        [(heap, *(f"{use.internal:,} + {use.external:,}" for use in after)) for heap, after in uses],
    )


def _kernel(figures: AllocatorFigures) -> Iterator[str]:
    names = list(next(iter(figures.boots.values())))
    yield (
        f"traps and processes, {' and '.join(BOOT_PROGRAMS)} in a boot of {BOOT_PROFILE}: "
        "instructions from the trap to the return, mean"
    )
    yield from _columns(
        ("", *names),
        [(frames, *(f"{costs[name].mean:,.1f}" for name in names)) for frames, costs in figures.boots.items()],
    )


def _heap_sizes() -> str:
    sizes = [f"{size >> 10:,}" for size in HEAP_SIZES]
    return f"{', '.join(sizes[:-1])} and {sizes[-1]} KiB"


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
