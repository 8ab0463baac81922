"""What a heap's allocator does with its memory, as lines: fragmentation in time, splits and joins, whose it is."""

from collections.abc import Iterator, Mapping

from emu.isa.status import SATP_ASID_SHIFT, SATP_MODE_SHIFT, SATP_PPN
from emu.observe.allocations.costs import AllocatorCosts
from emu.observe.allocations.holders import Holders
from emu.observe.allocations.space import HeapSpace, Sample
from emu.report.memory.drawing import bytes_text

_MOMENTS = 8
_SHOWN = 8


def space_lines(space: HeapSpace) -> Iterator[str]:
    """Free memory and both kinds of fragmentation at some moments, and how often pieces were split and joined."""
    samples = space.samples
    if len(samples) < 2:  # nothing has happened
        return
    source = "in the allocator's lists" if space.lists else "between blocks"
    internal = f"{'internal':>9}" if space.lists else ""
    yield f"{'free ' + source:>44}{'largest piece':>16}{'external':>9}{internal}"
    for sample in _spread(samples):
        lost = f"{_share(sample.internal):>9}" if space.lists else ""
        sizes = f"{bytes_text(sample.free):>28}{bytes_text(sample.largest):>16}"
        yield f"{sample.instret:>15,}:{sizes}{_share(sample.external):>9}{lost}"
    if space.lists:
        seen = f", in one of {space.every:,} calls" if space.every > 1 else ""
        yield f"{space.splits:,} splits, {space.joins:,} joins{seen}"
    if space.broken is not None:
        instret, block = space.broken
        yield f"at instruction {instret:,} free list {block.list} was broken at {block.address:#x}: {block.broken};"
        yield "   what lies behind that is not counted, nor are splits and joins while it is so"


def cost_lines(costs: AllocatorCosts) -> Iterator[str]:
    """Calls of each function, and their instructions."""
    for cost in costs.costs():
        each = f"median {cost.median:,}, most {cost.worst:,}"
        yield f"{cost.name:<28} {cost.calls:>9,} calls, instructions: {each}, all {cost.total:,}"


def holder_lines(holders: Holders) -> Iterator[str]:
    """Who holds how much by address space; nothing where there was one only."""
    for name, found in (("frames", holders.frames()), ("blocks", holders.blocks())):
        if len(found) > 1:
            yield f"{name} by the address space that was current at their allocation"
            yield from _by_space(found)


def _by_space(found: Mapping[int, tuple[int, int]]) -> Iterator[str]:
    for satp, (count, size) in list(found.items())[:_SHOWN]:
        yield f"   {space_name(satp):<28} {count:>9,}, {bytes_text(size)}"
    if len(found) > _SHOWN:
        yield f"   and {len(found) - _SHOWN:,} more"


def space_name(satp: int) -> str:
    """An address space by its root table.

    >>> space_name(8 << 60 | 2 << 44 | 0x80468), space_name(0)
    ('PPN:0x80468 ASID 2', 'paging off')
    """
    if not satp >> SATP_MODE_SHIFT:
        return "paging off"
    asid = satp >> SATP_ASID_SHIFT & 0xFFFF
    return f"PPN:{satp & SATP_PPN:#x}" + (f" ASID {asid}" if asid else "")


def _spread(samples: list[Sample]) -> Iterator[Sample]:
    step = max(1, len(samples) // _MOMENTS)
    last = len(samples) - 1
    yield from (samples[index] for index in range(step - 1, last, step))
    yield samples[last]


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"
