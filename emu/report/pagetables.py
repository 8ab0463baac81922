"""Page tables as text: the tree, merged ranges, Linux's ptdump, xv6's vmprint, and what a walk reads."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

from emu.address import PAGE_BITS
from emu.counted import counted
from emu.mmu.pte import Pte
from emu.mmu.space import AddressSpace, Change, Entry, Range, merged, selects

_UNITS = "KMGTPE"
_MORE = 20
_SIZES = ("4 KiB", "2 MiB", "1 GiB", "512 GiB", "256 TiB")
_LINUX_FLAGS = "DAGUXWRV"


def size_text(size: int) -> str:
    """Bytes in the largest unit that divides them.

    >>> size_text(0x3000), size_text(1 << 30)
    ('12 KiB', '1 GiB')
    """
    unit = 0
    size >>= 10
    while not size & 1023 and unit < len(_UNITS) - 1:
        size >>= 10
        unit += 1
    return f"{size} {_UNITS[unit]}iB"


def flat(space: AddressSpace, letters: str = "", first: int = 0, last: int = (1 << 64) - 1) -> Iterator[str]:
    """Ranges without a gap, one a line, with the size of the pages where that is not 4 KiB."""
    if not space.levels:
        yield _bare(space)
        return
    found = False
    for each in space.ranges(letters, first, last):
        found = True
        yield _range(each)
    if not found:
        yield _none(letters)


def _range(each: Range) -> str:
    pages = f"  pages of {_SIZES[each.level]}" if each.level else ""
    span = f"{int(each.first):#018x}..{each.last:#018x}"
    return f"{span} {int(each.physical):#014x} {size_text(each.size):>9} {Pte(each.flags).flags}{pages}"


def tree(space: AddressSpace, letters: str = "", first: int = 0, last: int = (1 << 64) - 1) -> Iterator[str]:
    """Each table below the entry that leads to it; neighbouring leaves of a table as one line."""
    if not space.levels:
        yield _bare(space)
        return
    yield f"root table at {space.root} (Sv{PAGE_BITS + 9 * space.levels})"
    wanted = {(each.first, each.level) for each in space.leaves if _selected(each, letters, first, last)}
    places = sorted(int(place) for place, _ in wanted)

    def is_shown(table: Entry) -> bool:
        """One that was not asked for has nothing to show."""
        index = bisect_left(places, int(table.first))
        return index < len(places) and places[index] <= table.last if letters else _meets(table, first, last)

    run: list[Entry] = []
    for entry in space.entries:
        if run and not _continues(run[-1], entry):
            yield _leaves(run, space.levels)
            run = []
        if entry.is_leaf:
            if (entry.first, entry.level) in wanted:
                run.append(entry)
        elif entry.level and is_shown(entry):
            indent = "  " * (space.levels - entry.level)
            yield f"{indent}[{entry.index:3}] {_span(entry.first, entry.last)} table at {entry.physical}"
        elif not entry.level and not letters:
            yield f"{'  ' * space.levels}[{entry.index:3}] {_span(entry.first, entry.last)} {entry.pte}, not a leaf"
    if run:
        yield _leaves(run, space.levels)
    if not wanted:
        yield _none(letters)


def _none(letters: str) -> str:
    return f"no page there is {', '.join(letters)}" if letters else "no page is mapped there"


def _meets(entry: Entry, first: int, last: int) -> bool:
    return entry.last >= first and entry.first <= last


def _selected(entry: Entry, letters: str, first: int, last: int) -> bool:
    return _meets(entry, first, last) and selects(entry, letters)


def _continues(before: Entry, entry: Entry) -> bool:
    return (
        entry.is_leaf
        and entry.level == before.level
        and entry.first == before.last + 1
        and int(before.physical) + before.size == entry.physical
        and (before.pte ^ entry.pte) & 0xFF == 0
        and entry.index > before.index
    )


def _leaves(run: list[Entry], levels: int) -> str:
    indent, one, end = "  " * (levels - run[0].level), run[0], run[-1]
    index = f"[{one.index:3}]" if one is end else f"[{one.index:3}..{end.index}]"
    return f"{indent}{index} {_span(one.first, end.last)} -> {one.physical} {one.pte.flags}"


def _span(first: int, last: int) -> str:
    return f"{first:#x}..{last:#x}"


def ptdump(space: AddressSpace) -> Iterator[str]:
    """As Linux's /sys/kernel/debug/kernel_page_tables, without its marks: neighbours of the same protection are one.

    With the columns of Svnapot and Svpbmt that later versions have; 6.1 has neither.
    """
    if not space.levels:
        yield _bare(space)
        return
    run: list[Entry] = []
    for entry in space.leaves:
        if run and (entry.level, entry.pte & _PROTECTION, entry.first) != (
            run[0].level, run[0].pte & _PROTECTION, run[-1].last + 1
        ):  # fmt: skip
            yield _ptdump_line(run, space.levels)
            run = []
        run.append(entry)
    if run:
        yield _ptdump_line(run, space.levels)


_PROTECTION = 1 << 63 | 3 << 61 | 0x3FF


def _ptdump_line(run: list[Entry], levels: int) -> str:
    first, last = int(run[0].first), run[-1].last
    number, unit = size_text(last + 1 - first).split()
    name = ("PTE", "PMD", "PUD", "P4D", "PGD")[run[0].level] if run[0].level < levels - 1 else "PGD"
    pte = run[0].pte
    kind = {0: "  ..  ", 1: "MT(NC)", 2: "MT(IO)"}.get(pte >> 61 & 3, "MT(??)")
    software = f"RSW({pte >> 8 & 3})" if pte >> 8 & 3 else "  ..  "
    flags = " ".join(letter if letter in pte.flags else "." for letter in _LINUX_FLAGS)
    end = last + 1 & (1 << 64) - 1
    return (
        f"{first:#018x}-{end:#018x}    {int(run[0].physical):#018x} {number:>9}{unit[0]} {name} "
        f"{'N' if pte >> 63 else '.'} {kind} {software} {flags}"
    )


def vmprint(space: AddressSpace) -> Iterator[str]:
    """As the function of that name in xv6's exercises: every valid entry, with dots for its depth."""
    if not space.levels:
        yield _bare(space)
        return
    yield f"page table {int(space.root):#018x}"
    for entry in space.entries:
        dots = " ".join([".."] * (space.levels - entry.level))
        yield f" {dots}{entry.index}: pte {int(entry.pte):#018x} pa {int(entry.physical):#018x}"


def walked(space: AddressSpace, address: int) -> Iterator[str]:
    """Each entry that a walk to an address reads, with its index and what it leads to."""
    if not space.levels:
        yield _bare(space)
        return
    found = space.walk(address)
    for entry in found:
        target = int(entry.physical) + address - int(entry.first)
        leads = f"maps {address:#x} to {target:#x}" if entry.is_leaf else f"table at {entry.physical}"
        yield f"level {entry.level}: {_index(entry.level, entry.index)}, PTE at {entry.address} ({entry.pte}), {leads}"
    if not found or not found[-1].is_leaf:
        level = found[-1].level - 1 if found else space.levels - 1
        table = found[-1].physical if found else space.root
        if level < 0:
            yield f"level 0 has no entry that maps memory: {address:#x} is not mapped"
            return
        index = address >> PAGE_BITS + 9 * level & 511
        place = f"{_index(level, index)}, PTE at {table + 8 * index}"
        yield f"level {level}: {place} is not valid: {address:#x} is not mapped"


def _index(level: int, index: int) -> str:
    return f"VPN[{level}] = {index:3}"


def changes(found: Iterable[Change]) -> Iterator[str]:
    """What a later moment has otherwise: + mapped, - no more, ~ otherwise; neighbours with the same fate as one."""
    for group in _neighbours(found):
        before = merged(change.before for change in group if change.before)
        after = merged(change.after for change in group if change.after)
        one = (after or before)[0]
        span = _span(one.first, one.last)
        if not before or not after:
            yield f"{'+' if after else '-'} {span} -> {one.physical} {Pte(one.flags).flags}"
        else:
            old = before[0]
            yield (f"~ {span} -> {old.physical} {Pte(old.flags).flags} becomes {one.physical} {Pte(one.flags).flags}")


def _neighbours(found: Iterable[Change]) -> Iterator[list[Change]]:
    """Changes, by address, of pages that are neighbours in virtual and in physical memory, before and afterwards."""
    group: list[Change] = []
    for change in found:
        if group and not _goes_on(group[-1], change):
            yield group
            group = []
        group.append(change)
    if group:
        yield group


def _goes_on(one: Change, other: Change) -> bool:
    pairs = (one.before, other.before), (one.after, other.after)
    return all(a is b is None or (a and b and len(merged((a, b))) == 1) for a, b in pairs)


def oddities(space: AddressSpace) -> Iterator[str]:
    """What is worth a look: totals, pages that can be written and executed, user pages in the upper half, aliases.

    Nothing while paging is off: there are no tables then.
    """
    if not space.levels:
        return
    if space.is_cut:
        yield "more entries than are shown: its tables lead in a circle"
    leaves = space.leaves
    by_level = [sum(entry.level == level for entry in leaves) for level in range(max(space.levels, 1))]
    pages = ", ".join(f"{count:,} of {_SIZES[level]}" for level, count in enumerate(by_level) if count) or "no pages"
    tables = 1 + sum(not entry.is_leaf and entry.level > 0 for entry in space.entries)
    yield f"{pages}, in {tables:,} tables"
    for title, found in (
        ("writable and executable", space.writable_and_executable()),
        ("user pages in the upper half", space.user_in_kernel()),
    ):
        for each in found[:_MORE]:
            yield f"{title}: {_span(each.first, each.last)} {Pte(each.flags).flags}"
        if len(found) > _MORE:
            yield f"{title}: and {len(found) - _MORE:,} more ranges"
    aliases = space.aliases()
    for frame, addresses in list(aliases.items())[:_MORE]:
        yield f"mapped {len(addresses)} times: frame {frame} at {', '.join(map(str, addresses[:4]))}"
    if len(aliases) > _MORE:
        yield f"mapped more than once: and {len(aliases) - _MORE:,} more frames"
    holes = space.holes()
    if holes:
        largest = max(holes, key=lambda hole: hole[1])
        yield f"{counted(len(holes), 'hole')} between mappings, the largest {size_text(largest[1])} from {largest[0]}"


def _bare(space: AddressSpace) -> str:
    return f"paging is off (satp {space.satp:#x}): every address is physical"


FORMATS: dict[str, Callable[[AddressSpace], Iterable[str]]] = {
    "tree": tree, "flat": flat, "ptdump": ptdump, "vmprint": vmprint,
}  # fmt: skip
"""The formats by name."""
