"""Frames and heap in a notebook: what is held, by whom, and what the allocator has on its lists."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from xml.etree.ElementTree import Element

from emu.address import PAGE_SIZE
from emu.events import FrameAllocated, HeapAllocated
from emu.observe.allocations.catalogue import Catalogue
from emu.observe.allocations.freelists import FreeBlock, FreeMemory
from emu.observe.allocations.ledger import AllocationLedger
from emu.report.memory.accounts import AccountReport
from emu.report.memory.drawing import bytes_text
from emu.report.notebook.markup import Picture, colour, heading, table
from emu.report.places import Places

_SHOWN = 12
_MOST_BOXES = 2000
_FREE = "#9aa0a8"
_ROW = 22


def ledger_html(ledger: AllocationLedger) -> list[Element]:
    """Frames and heap drawn, and the chains of calls that hold most."""
    report = AccountReport(Places(ledger.machine))
    parts = [heading("memory that is held", *_totals(ledger)), ledger_picture(ledger).element()]
    for title, events in (
        ("heap", list(ledger.blocks.held.values())), ("frames", list(ledger.frames.held.values()))
    ):  # fmt: skip
        counts, sizes = Counter[str](), Counter[str]()
        for event in events:
            chain = report.chain(event)
            counts[chain] += 1
            sizes[chain] += event.size if isinstance(event, HeapAllocated) else PAGE_SIZE
        if sizes:
            rows = [(f"{counts[chain]:,}", bytes_text(size), chain) for chain, size in sizes.most_common(_SHOWN)]
            parts.append(table((title, "bytes", "since the call at"), rows, more=len(sizes) - len(rows)))
    said = [report.mistake(mistake) for mistake in ledger.blocks.mistakes]
    said += [report.mistake(mistake) for mistake in ledger.frames.mistakes]
    if said:
        parts.append(table(("wrong calls",), [(text,) for text in said[:_SHOWN]], more=max(len(said) - _SHOWN, 0)))
    return parts


def _totals(ledger: AllocationLedger) -> Iterable[str]:
    for name, account in (("heap", ledger.blocks), ("frames", ledger.frames)):
        if account.allocated:
            held = f"{len(account.held):,} held (most at once {account.peak:,})"
            yield f"{name}: {account.allocated:,} allocated, {account.freed:,} freed, {held}"
    if not (ledger.blocks.allocated or ledger.frames.allocated):
        yield "nothing was allocated since this ledger was made"


def ledger_picture(ledger: AllocationLedger) -> Picture:
    """Blocks of the heap by order, held and free, below them the frames."""
    picture = Picture()
    places = Places(ledger.machine)
    y = _heap(picture, ledger, places, 14.0)
    _frames(picture, ledger, places, y + 14)
    return picture


def _heap(picture: Picture, ledger: AllocationLedger, places: Places, y: float) -> float:
    held = list(ledger.blocks.held.items())
    free = list(_free_blocks(ledger))
    if not (held or free):
        return y
    spans = [(address, max(event.size, 1)) for address, event in held] + [(each.address, each.size) for each in free]
    low, high = min(start for start, _ in spans), max(start + size for start, size in spans)
    orders = sorted({_order(size) for _, size in spans}, reverse=True)
    picture.text(0, y, f"heap, {low:#x} .. {high - 1:#x}: a row for each order, free blocks grey")
    left, scale = 120.0, (picture.width - 120.0) / max(high - low, 1)
    y += 6
    rows = {order: y + _ROW * number for number, order in enumerate(orders)}
    for order, at in rows.items():
        picture.text(0, at + 14, f"{order:>2} {bytes_text(1 << order):>10}")
        picture.box(left, at + 2, picture.width - left, _ROW - 5, fill=_FREE, fill_opacity=0.12)
    for block in free[:_MOST_BOXES]:
        title = f"{block.address:#x}, {bytes_text(block.size)}, free on list {block.list}"
        x, width = left + (block.address - low) * scale, block.size * scale
        picture.box(x, rows[_order(block.size)] + 2, width, _ROW - 5, title, fill=_FREE, fill_opacity=0.7)
    for address, event in held[:_MOST_BOXES]:
        who = places.function(event.callers[0] if event.callers else event.pc)
        title = f"{address:#x}, {event.size:,} bytes, since {places.name(event.pc)}"
        x, width = left + (address - low) * scale, max(event.size, 1) * scale
        picture.box(x, rows[_order(event.size)] + 2, width, _ROW - 5, title, fill=colour(who))
    return y + _ROW * len(orders) + _left_out(picture, y + _ROW * len(orders), len(held) + len(free))


def _left_out(picture: Picture, y: float, boxes: int) -> float:
    if boxes <= _MOST_BOXES:
        return 0.0
    picture.text(0, y + 12, f"of {boxes:,} blocks the first {_MOST_BOXES:,} held and free ones are drawn")
    return 16.0


def _free_blocks(ledger: AllocationLedger) -> Iterable[FreeBlock]:
    machine = ledger.machine
    if machine.is_closed:
        return
    lists = FreeMemory(machine, Catalogue(machine.symbols).fitting(), blocks=True)
    yield from (each for each in lists if each.size)


def _order(size: int) -> int:
    return max(size - 1, 0).bit_length()


def _frames(picture: Picture, ledger: AllocationLedger, places: Places, y: float) -> None:
    """Held frames as runs of one owner, wrapped into lines."""
    held = sorted(ledger.frames.held.items())
    if not held:
        return
    low, high = held[0][0], held[-1][0] + 1
    across = min(256, max(32, -(-(high - low) // 24)))
    picture.text(0, y, f"frames, PPN {low:#x} .. {high - 1:#x}: {across} a line, a colour for each caller")
    y += 6
    side = picture.width / across
    height = min(side, 14.0)
    for line in range(-(-(high - low) // across)):
        picture.box(0, y + line * (height + 1), picture.width, height, fill=_FREE, fill_opacity=0.2)
    for first, count, who, title in _runs(held, places)[:_MOST_BOXES]:
        at, left = first - low, count
        while left:
            line, column = divmod(at, across)
            part = min(left, across - column)
            top = y + line * (height + 1)
            picture.box(column * side, top, part * side, height, title, fill=colour(who))
            at, left = at + part, left - part


def _runs(held: Sequence[tuple[int, FrameAllocated]], places: Places) -> list[tuple[int, int, str, str]]:
    found = []
    named = [(ppn, places.function(event.callers[0] if event.callers else event.pc)) for ppn, event in held]
    for (_, who), run in groupby(enumerate(named), key=lambda pair: (pair[1][0] - pair[0], pair[1][1])):
        numbers = [ppn for _, (ppn, _) in run]
        title = f"PPN {numbers[0]:#x}" + (f" .. {numbers[-1]:#x}" if len(numbers) > 1 else "") + f", held by {who}"
        found.append((numbers[0], len(numbers), who, title))
    return found
