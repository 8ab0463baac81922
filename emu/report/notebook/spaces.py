"""An address space and the physical memory map in a notebook."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from emu.address import PAGE_SIZE
from emu.counted import counted
from emu.memory.map import PhysicalMemory, Region
from emu.mmu.pte import Pte
from emu.mmu.space import AddressSpace, Entry
from emu.report.notebook.markup import Picture, heading, table
from emu.report.pagetables import oddities, size_text

_SHOWN = 40
_SHOWN_TABLES = 6
"""Tables of a level that are drawn."""
_TABLE, _GAP = 18, 34
_KINDS = {"wx": "#c0392b", "w": "#2e6fb0", "x": "#2e8b57", "": "#8a8f98"}
"""Colours of leaves: writable and executable, writable, executable, read-only."""
_POINTER = "#d39b2a"


def space_html(space: AddressSpace) -> list[Element]:
    """Totals and oddities, the tables drawn, and what is mapped."""
    if not space.levels:
        return [heading("address space", f"paging is off (satp {space.satp:#x}): every address is physical")]
    ranges = space.ranges()
    rows = [
        (f"{int(each.first):#x} .. {each.last:#x}", f"{each.physical}", size_text(each.size), Pte(each.flags).flags,
         f"pages of {size_text(PAGE_SIZE << 9 * each.level)}")
        for each in ranges[:_SHOWN]
    ]  # fmt: skip
    title = f"address space: Sv{12 + 9 * space.levels}, root table at {space.root}"
    heads = ("virtual", "physical", "size", "flags", "")
    return [
        heading(title, *oddities(space)),
        space_picture(space).element(),
        table(heads, rows, more=len(ranges) - len(rows)),
    ]


def space_picture(space: AddressSpace) -> Picture:
    """Tables level by level as bars of 512 entries, each below the entry that leads to it."""
    picture = Picture()
    tables = _tables(space)
    y = 2.0
    above: dict[int, tuple[float, float]] = {}
    for level in range(space.levels - 1, -1, -1):
        found = [(base, entries) for (at, base), entries in tables.items() if at == level]
        if not found:
            break
        shown = found[:_SHOWN_TABLES]
        more = f", {len(found) - len(shown):,} more" if len(found) > len(shown) else ""
        picture.text(0, y + 10, f"level {level}: {counted(len(found), 'table')}{more}")
        y += 16
        width = (picture.width - 8.0 * (len(shown) - 1)) / len(shown)
        below: dict[int, tuple[float, float]] = {}
        for place, (base, entries) in enumerate(shown):
            x = place * (width + 8)
            if base in above:
                picture.line(*above[base], x + width / 2, y, stroke_width=0.7, stroke_opacity=0.5)
            below |= _table(picture, x, y, width, entries)
        above, y = below, y + _TABLE + _GAP
    _legend(picture, y - _GAP + 18)
    return picture


def _tables(space: AddressSpace) -> dict[tuple[int, int], list[Entry]]:
    """The entries of each table by level and first address of the table, in the order of their reading."""
    found: dict[tuple[int, int], list[Entry]] = {}
    for entry in space.entries:
        base = int(entry.first) & ~((entry.size << 9) - 1) if entry.level < space.levels - 1 else 0
        found.setdefault((entry.level, base), []).append(entry)
    return found


def _table(
    picture: Picture, x: float, y: float, width: float, entries: Sequence[Entry]
) -> dict[int, tuple[float, float]]:
    """Draw one; returns where those entries are that lead to a table, by the first address of it."""
    picture.box(x, y, width, _TABLE, stroke="currentColor", stroke_width=0.7)
    leads = {}
    one = width / 512
    for first, last, pointer, fill, title in _runs(entries):
        at = x + first.index * one
        picture.box(at, y, max(one * (last.index - first.index + 1), 1.0), _TABLE, title=title, fill=fill)
        if pointer:
            leads[int(first.first)] = (at + one / 2, y + _TABLE)
    return leads


def _runs(entries: Sequence[Entry]) -> list[tuple[Entry, Entry, bool, str, str]]:
    """Neighbouring leaves of one colour as one; each entry that leads to a table for itself."""
    found: list[tuple[Entry, Entry, bool, str, str]] = []
    for entry in entries:
        pointer = not entry.is_leaf
        fill = _POINTER if pointer else _KINDS[("w" if entry.pte.w else "") + ("x" if entry.pte.x else "")]
        title = f"[{entry.index}] {entry.first}: " + (f"table at {entry.physical}" if pointer else f"{entry.pte}")
        if found and not pointer:
            first, last, led, colour, old = found[-1]
            if not led and colour == fill and last.index + 1 == entry.index:
                found[-1] = (first, entry, False, fill, old)
                continue
        found.append((entry, entry, pointer, fill, title))
    return found


def _legend(picture: Picture, y: float) -> None:
    x = 0.0
    for fill, text in (
        (_POINTER, "leads to a table"),
        (_KINDS[""], "read-only"),
        (_KINDS["x"], "executable"),
        (_KINDS["w"], "writable"),
        (_KINDS["wx"], "writable and executable"),
    ):
        picture.box(x, y - 9, 10, 10, fill=fill)
        picture.text(x + 14, y, text)
        x += 14 + 7.4 * len(text) + 16


def memory_html(memory: PhysicalMemory) -> list[Element]:
    """The regions with their sizes, drawn and as a table."""
    rows = [(region.name, f"{region.base}", f"{region.end - 1}", size_text(region.size)) for region in memory.regions]
    return [
        heading("physical memory"), memory_picture(memory).element(), table(("region", "first", "last", "size"), rows),
    ]  # fmt: skip


def memory_picture(memory: PhysicalMemory) -> Picture:
    """The regions from the lowest address up, each as a box; heights grow by the logarithm of sizes."""
    picture = Picture(420)
    y, end = 2.0, 0
    for region in memory.regions:
        if region.base > end:
            picture.text(170, y + 11, f"nothing, {_size(int(region.base) - end)}", font_size=10)
            y += 16
        height = 12 + 1.2 * region.size.bit_length()
        picture.box(150, y, 200, height, fill=_fill(region), fill_opacity=0.35, stroke="currentColor")
        picture.text(144, y + 11, f"{int(region.base):#x}", text_anchor="end")
        picture.text(160, y + height / 2 + 4, f"{region.name}, {size_text(region.size)}")
        y, end = y + height, int(region.end)
    picture.text(144, y + 11, f"{end:#x}", text_anchor="end")
    return picture


def _size(size: int) -> str:
    """Rounded: a gap's exact size says nothing."""
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >> shift:
            return f"{size / (1 << shift):.3g} {unit}"
    return f"{size} bytes"


def _fill(region: Region) -> str:
    return _KINDS["w"] if region.name == "ram" else _POINTER
