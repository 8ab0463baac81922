"""Accounts of frames and blocks as lines: totals, who holds what and since when, and what went wrong."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from emu.address import PAGE_BITS, VirtAddr
from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.observe.allocations.accounts import A, Account, BlockAccount, F, Mistake, Wrong
from emu.observe.allocations.observers import gives_addresses
from emu.report.memory.blocktypes import BlockTypes
from emu.report.places import Places

_SHOWN_HOLDERS = 5
_MOST_HOLDERS = 1000
_SHOWN_MISTAKES = 5
_SHOWN_CALLERS = 3
_SHOWN_RANGES = 3
_INDENT = " " * 11


class AccountReport:
    """Says what the accounts of one machine tell, with the names that `places` knows."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.types = BlockTypes(places)
        """What the allocations are of, where debug information tells it."""

    def lines(self, name: str, account: Account[A, F], since: int | None = 0) -> list[str]:
        """The lines of the summary; of what is held, what was not yet at `since` (None: nothing)."""
        if not (account.allocated or account.wrong):
            return []
        held = f"{len(account.held):,} still held (most at once {account.peak:,})"
        if isinstance(account, BlockAccount) and account.held_bytes:
            held += f", {account.held_bytes:,} bytes"
        lines = [f"   {name:<8}{account.allocated:,} allocated, {account.freed:,} freed, {held}"]
        events = [(key, event) for key, event in account.held.items() if since is not None and event.instret > since]
        if since and account.held:
            lines.append(f"{_INDENT}{len(events):,} of them since instruction {since:,}")
        groups = self._groups(events)
        lines += [f"{_INDENT}{line}" for line in groups[:_SHOWN_HOLDERS]]
        if len(groups) > _SHOWN_HOLDERS:
            lines.append(f"{_INDENT}and {len(groups) - _SHOWN_HOLDERS} more places")
        lines += [f"{_INDENT}{self.mistake(mistake)}" for mistake in account.mistakes[:_SHOWN_MISTAKES]]
        more = account.wrong.total() - _SHOWN_MISTAKES
        if more > 0:
            lines.append(f"{_INDENT}and {more:,} more such calls")
        return lines

    def mistake(self, mistake: Mistake[A, F]) -> str:
        """A wrong call, and the one that it contradicts."""
        event, other = mistake.event, mistake.other
        what = f"{_thing(event)} at {self.chain(event)}"
        if other is None:
            return f"{mistake.wrong.value}: {what}"
        before = self.chain(other)
        if mistake.wrong is Wrong.FREED_TWICE:
            return f"{mistake.wrong.value}: {what}; first at {before}"
        if mistake.wrong is Wrong.OVERLAP and _thing(other) != _thing(event):
            return f"{mistake.wrong.value}: {what} overlaps {_thing(other)} held since {before}"
        if mistake.wrong is Wrong.OVERLAP:
            return f"{mistake.wrong.value}: {what}; held since {before}"
        if mistake.wrong is Wrong.WRONG_SIZE and isinstance(other, HeapAllocated):
            return f"{mistake.wrong.value}: {what}; {other.size:,} bytes were handed out at {before}"
        return f"{mistake.wrong.value}: {what}; {_thing(other)} is held since {before}"

    def chain(self, event: Event) -> str:
        """The call and its callers, innermost first."""
        assert isinstance(event, FrameAllocated | FrameFreed | HeapAllocated | HeapFreed)
        shown = [self._places.function(address) for address in event.callers[:_SHOWN_CALLERS]]
        more = len(event.callers) - len(shown)
        callers = f", from {', '.join(shown)}" if shown else ""
        place = self._places.name(event.pc) + self._places.machine.platform.names.inlined.suffix(event.pc)
        return place + callers + (f" and {more} more" if more else "")

    def _groups(self, events: Sequence[tuple[int, Event]]) -> list[str]:
        """A line for each chain of callers, the largest first."""
        lines = []
        for group in _by_chain(events):
            first = group[0][1]
            assert isinstance(first, FrameAllocated | HeapAllocated)
            where = _pages(key for key, _ in group) if isinstance(first, FrameAllocated) else _blocks(group)
            kind = self.type_of([event for _, event in group])
            lines.append(f"{len(group):,} held since {self.chain(first)}: {f'{kind}, ' if kind else ''}{where}")
        return lines

    def holders(self, account: Account[A, F]) -> list[dict[str, object]]:
        """Who holds what, for programs: the call and its callers by name, innermost first; type, number and bytes."""
        found = []
        for group in _by_chain(list(account.held.items()))[:_MOST_HOLDERS]:
            events = [event for _, event in group]
            sizes = [_size(event) for event in events]
            callers = [self._places.name(address) for address in (events[0].pc, *_callers(events[0]))]
            found.append({"callers": callers, "type": self.type_of(events), "held": len(events), "bytes": sum(sizes)})
        return found

    def type_of(self, events: Sequence[Event]) -> str:
        """What allocations of one chain are of: `struct node`; empty where that is not known."""
        first = events[0]
        if isinstance(first, FrameAllocated) and gives_addresses(self._places.machine):
            return self.types.name((first.pc, *first.callers), (first.count << PAGE_BITS,))
        if isinstance(first, HeapAllocated):
            sizes = {event.size for event in events if isinstance(event, HeapAllocated)}
            return first.kind or self.types.name((first.pc, *first.callers), sizes)
        return ""


def account_numbers(account: Account[A, F]) -> dict[str, int]:
    """An account for programs."""
    return {
        "allocated": account.allocated,
        "freed": account.freed,
        "given": account.given,
        "held": len(account.held),
        "peak": account.peak,
        "freed_twice": account.wrong[Wrong.FREED_TWICE],
        "freed_but_not_held": account.wrong[Wrong.NEVER_HELD],
        "freed_inside": account.wrong[Wrong.INSIDE],
        "freed_with_another_size": account.wrong[Wrong.WRONG_SIZE],
        "handed_out_while_held": account.wrong[Wrong.OVERLAP],
    }


def _by_chain(events: Iterable[tuple[int, Event]]) -> list[list[tuple[int, Event]]]:
    found: dict[tuple[VirtAddr, ...], list[tuple[int, Event]]] = {}
    for key, event in events:
        found.setdefault((VirtAddr(event.pc), *_callers(event)), []).append((key, event))
    return sorted(found.values(), key=len, reverse=True)


def _callers(event: Event) -> tuple[VirtAddr, ...]:
    assert isinstance(event, FrameAllocated | HeapAllocated)
    return event.callers


def _size(event: Event) -> int:
    return event.count << PAGE_BITS if isinstance(event, FrameAllocated) else getattr(event, "size", 0)


def _thing(event: Event) -> str:
    if isinstance(event, FrameAllocated):
        return f"{event.ppn!r}"
    if isinstance(event, FrameFreed):
        return f"{event.ppn!r} + {event.offset:#x}" if event.offset else f"{event.ppn!r}"
    if isinstance(event, HeapAllocated | HeapFreed):
        return f"{event.address} ({event.size:,} bytes)" if event.size else f"{event.address}"
    raise TypeError(f"{type(event).__name__} is of no allocation")


def _pages(numbers: Iterable[int]) -> str:
    """Page numbers, neighbours as one range.

    >>> _pages([0x80003, 0x80001, 0x80002, 0x80009])
    'PPN:0x80001..0x80003, 0x80009'
    """
    runs = [
        [ppn for _, ppn in run] for _, run in groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0])
    ]
    shown = [f"{run[0]:#x}..{run[-1]:#x}" if len(run) > 1 else f"{run[0]:#x}" for run in runs[:_SHOWN_RANGES]]
    more = sum(len(run) for run in runs[_SHOWN_RANGES:])
    return f"PPN:{', '.join(shown)}" + (f" and {more} more" if more else "")


def _blocks(group: Sequence[tuple[int, Event]]) -> str:
    total = sum(event.size for _, event in group if isinstance(event, HeapAllocated))
    shown = ", ".join(f"{key:#x}" for key, _ in group[:_SHOWN_RANGES])
    more = len(group) - _SHOWN_RANGES
    return f"{shown}" + (f" and {more} more" if more > 0 else "") + (f", {total:,} bytes" if total else "")
