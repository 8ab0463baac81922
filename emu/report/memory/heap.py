"""What a kernel's memory looks like at a moment: who holds it, what it looked like at its peak, what leaks, drawn."""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.counted import counted
from emu.events import Event
from emu.machine import Machine
from emu.observe.allocations.description import Allocator
from emu.observe.allocations.freelists import FreeBlock, FreeMemory
from emu.observe.allocations.history import AllocationHistory, History, Holding
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.reach import Unreachable
from emu.report.memory.accounts import AccountReport
from emu.report.memory.drawing import Span, bar, buddy_tree, bytes_text, free_list, histogram
from emu.report.places import Places

_SHOWN = 5
_MOMENTS = 8
_SHOWN_LISTS = 12
_SHOWN_KINDS = 12
_SHOWN_MISTAKES = 20


class HeapReport:
    """Lines about the frames and the heap of one machine."""

    def __init__(
        self, machine: Machine, places: Places, ledger: AllocationLedger, allocators: Sequence[Allocator]
    ) -> None:
        self._machine, self._places, self._ledger = machine, places, ledger
        self._allocators = tuple(allocators)
        self._accounts = AccountReport(places)

    def drawing(self) -> Iterator[str]:
        """Frames and heap as they are now, and the allocators' own lists of what is free."""
        blocks, frames = self._ledger.blocks, self._ledger.frames
        lists = FreeMemory(self._machine, self._allocators, blocks=True)
        free = list(lists)
        spans = [Span(address, max(event.size, 1), held=True) for address, event in blocks.held.items()]
        if spans or free:
            yield f"heap: {counted(len(spans), 'block')} held, {bytes_text(blocks.held_bytes)}"
            known = [*spans, *(Span(block.address, block.size, held=False) for block in free if block.size)]
            yield from _indented(_drawn(known, tree=lists.by_order))
            yield from _indented(_lists(free))
            yield from _indented(self._kinds())
        lists = FreeMemory(self._machine, self._allocators, blocks=False)
        free = list(lists)
        if frames.held or free:
            yield f"frames: {len(frames.held):,} of {PAGE_SIZE:,} bytes held"
            known = [Span(ppn << PAGE_BITS, PAGE_SIZE, held=True) for ppn in frames.held]
            if lists.by_order:
                known += [Span(block.address, block.size, held=False) for block in free if block.size]
            yield from _indented(_drawn(known, tree=lists.by_order, unit=PAGE_SIZE))
            yield from _indented(_lists(free))
        if not (spans or frames.held or free):
            yield "nothing is held"

    def history(self, history: AllocationHistory, since: int | None) -> Iterator[str]:
        """Peaks and who made them, sizes, lifetimes, fragmentation, and growth since a moment."""
        for name, one in (("heap", history.blocks), ("frames", history.frames)):
            lines = list(self._told(one, since, sizes=name == "heap"))
            if lines:
                yield f"{name} over the run"
                yield from _indented(lines)

    def mistakes(self) -> Iterator[str]:
        """Calls that were wrong, each with the one that it contradicts."""
        blocks, frames = self._ledger.blocks, self._ledger.frames
        lines = [*map(self._accounts.mistake, blocks.mistakes), *map(self._accounts.mistake, frames.mistakes)]
        total = blocks.wrong.total() + frames.wrong.total()
        if lines:
            yield f"wrong calls: {total:,}"
            yield from _indented(lines[:_SHOWN_MISTAKES])
        if total > _SHOWN_MISTAKES:
            yield f"   and {total - _SHOWN_MISTAKES:,} more"

    def leaks(self, found: Unreachable, since: int) -> Iterator[str]:
        """Both kinds: what is held, and of that what nothing points to."""
        frames, blocks = self._ledger.frames, self._ledger.blocks
        yield f"leaks: {_both(sum(1 for _ in frames.since(since)), sum(1 for _ in blocks.since(since)))} held"
        lost_frames = [event for event in found.frames if event.instret > since]
        lost_blocks = [event for event in found.blocks if event.instret > since]
        yield f"   unreachable, nothing points to them: {_both(len(lost_frames), len(lost_blocks))}"
        counts = Counter(self._said(event) for event in (*lost_frames, *lost_blocks))
        largest = counts.most_common()
        yield from (f"      {count:,} since {chain}" for chain, count in largest[:_SHOWN])
        if len(largest) > _SHOWN:
            yield f"      and from {len(largest) - _SHOWN:,} more places"

    def _said(self, event: Event) -> str:
        kind = self._accounts.type_of([event])
        return self._accounts.chain(event) + (f": {kind}" if kind else "")

    def _told(self, history: History, since: int | None, *, sizes: bool) -> Iterator[str]:
        peak = history.peak()
        if not peak.count:
            return
        yield f"most at instruction {peak.instret:,}: {peak.count:,}, {bytes_text(peak.size)}"
        yield from (f"   {self._holding(holding, blocks=sizes)}" for holding in peak.holdings[:_SHOWN])
        if since:
            grown = history.growth(since, self._machine.instret)
            yield f"more than at instruction {since:,}:" + ("" if grown else " nothing")
            yield from (f"   {self._holding(holding, blocks=sizes)}" for holding in grown[:_SHOWN])
        if sizes:
            yield "sizes"
            yield from (f"   {line}" for line in histogram(history.sizes().elements(), "bytes"))
        lifetimes = history.lifetimes()
        if lifetimes:
            yield f"lifetimes in instructions: median {median(lifetimes):,.0f}, longest {max(lifetimes):,}"
        if not sizes:  # of a heap more is known: see `emu.report.memory.space`
            yield "free between the lowest and the highest address, and in the largest piece"
            for instret, _, free, largest in history.fragmentation(_MOMENTS):
                lost = 0 if not free else 100 * (free - largest) // free
                yield f"   {instret:>14,}: {bytes_text(free):>15}, {bytes_text(largest):>15}, {lost} % fragmented"
        if not history.complete:
            yield "there were more than are recorded: this is their beginning"

    def _holding(self, holding: Holding, *, blocks: bool) -> str:
        first, *callers = holding.chain
        names = [self._places.function(address) for address in callers[:3]]
        chain = self._places.name(first) + (f", from {', '.join(names)}" if names else "")
        kind = self._accounts.types.name(holding.chain, ()) if blocks else ""
        return f"{holding.count:,} since {chain}: {f'{kind}, ' if kind else ''}{bytes_text(holding.size)}"

    def _kinds(self) -> Iterator[str]:
        """Held blocks by slab cache, or by their types where debug information tells them."""
        counts, sizes = Counter[str](), Counter[str]()
        for event in self._ledger.blocks.held.values():
            kind = event.kind or self._accounts.types.name((event.pc, *event.callers), ())
            counts[kind] += 1
            sizes[kind] += event.size
        if any(counts):
            for kind, size in sizes.most_common(_SHOWN_KINDS):
                noun = "block" if counts[kind] == 1 else "blocks"
                yield f"{kind or 'others':<24} {counts[kind]:>8,} {noun}, {bytes_text(size)}"


def _both(frames: int, blocks: int) -> str:
    return f"{counted(frames, 'frame')} and {counted(blocks, 'block')}"


def _drawn(spans: Sequence[Span], *, tree: bool, unit: int = 1) -> Iterator[str]:
    if not spans:
        return
    if tree:
        yield from buddy_tree(spans, unit)
    else:
        yield from bar(spans, min(span.start for span in spans), max(span.end for span in spans))


def _lists(free: Sequence[FreeBlock]) -> Iterator[str]:
    numbers = sorted({block.list for block in free})
    for number in numbers[:_SHOWN_LISTS]:
        blocks = [block for block in free if block.list == number]
        yield f"free list {number}: {free_list([(block.address, block.size) for block in blocks])}"
        yield from (f"   broken at {block.address:#x}: {block.broken}" for block in blocks if block.broken)
    if len(numbers) > _SHOWN_LISTS:
        yield f"and {len(numbers) - _SHOWN_LISTS} more lists"


def _indented(lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    return (f"   {line}" for line in lines)
