"""Accounts of frames and of blocks: what was handed out and taken back, what is held, and what went wrong."""

from collections import Counter
from collections.abc import Iterator
from copy import copy
from enum import Enum
from itertools import islice

from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.hints import Generic, Self, TypeVar
from emu.lateclass import dataclass, field
from emu.observe.allocations.ranges import Ranges

A = TypeVar("A", bound=Event)
F = TypeVar("F", bound=Event)
_MOST_MISTAKES = 1000
_MOST_REMEMBERED = 1 << 17
"""Frees that a later one can be told to repeat."""


class Wrong(Enum):
    """What a kernel can do wrong with an allocator, or an allocator with its memory."""

    FREED_TWICE = "freed twice"
    NEVER_HELD = "freed but not held"
    INSIDE = "freed from its middle"
    WRONG_SIZE = "freed with another size"
    OVERLAP = "handed out while held"


@dataclass(frozen=True, slots=True)
class Mistake(Generic[A, F]):
    """One call that was wrong, and the one that it contradicts."""

    wrong: Wrong
    event: A | F
    other: A | F | None
    """The first free (FREED_TWICE), else the allocation of what is held there; None for NEVER_HELD."""


@dataclass
class Account(Generic[A, F]):
    """Allocations and frees of one kind, and what is held between them."""

    allocated: int = 0
    """Frames or blocks handed out so far."""
    freed: int = 0
    """Frames or blocks taken back so far."""
    given: int = 0
    """Frames or blocks that the allocator got to begin with: freed before the first allocation."""
    peak: int = 0
    """The most that were held at one time."""
    held: dict[int, A] = field(default_factory=dict)
    """What is held now by page number or address, in the order of allocation, with the event that handed it out."""
    mistakes: list[Mistake[A, F]] = field(default_factory=list)
    """The first thousand."""
    wrong: Counter[Wrong] = field(default_factory=Counter)
    """How many there were of each kind."""
    frees: dict[int, F] = field(default_factory=dict)
    """The last free of what is free now, as far as remembered."""
    begun: bool = False
    """Whether anything was handed out since power-on or reset."""

    def copied(self) -> Self:
        """The same account, independent of this one."""
        other = copy(self)
        other.held, other.mistakes = dict(self.held), list(self.mistakes)
        other.wrong, other.frees = Counter(self.wrong), dict(self.frees)
        return other

    def forget(self) -> None:
        """The kernel starts again and holds nothing; what was counted stays."""
        self.held.clear()
        self.frees.clear()
        self.begun = False

    def since(self, instret: int) -> Iterator[A]:
        """What is held of what was not yet held when so many instructions had retired."""
        return (event for event in self.held.values() if event.instret > instret)

    def hand_out(self, key: int, event: A) -> None:
        """Enter an allocation that overlaps nothing."""
        held, frees = self.held, self.frees
        self.begun = True
        self.allocated += 1
        frees.pop(key, None)
        held[key] = event
        if len(held) > self.peak:
            self.peak = len(held)

    def take_back(self, key: int, event: F) -> None:
        """Enter a free of what is held."""
        self.freed += 1
        del self.held[key]
        self._remember(key, event)

    def not_held(self, key: int, event: F, *, given: bool) -> None:
        """Enter a free of what nobody holds: the second one, memory for the allocator, or a mistake."""
        first = self.frees.get(key)
        if first is not None:
            self.blame(Wrong.FREED_TWICE, event, first)
        elif given or not self.begun:
            self.given += 1
            self._remember(key, event)
        else:
            self.blame(Wrong.NEVER_HELD, event, None)

    def blame(self, wrong: Wrong, event: A | F, other: A | F | None) -> None:
        """Enter a mistake."""
        self.wrong[wrong] += 1
        if len(self.mistakes) < _MOST_MISTAKES:
            self.mistakes.append(Mistake(wrong, event, other))

    def not_held_all(self, keys: range, event: F, *, given: bool) -> None:
        """Enter a free of many, of which nobody holds any."""
        if (given or not self.begun) and self.frees.keys().isdisjoint(keys):
            self.given += len(keys)
            self.frees.update(dict.fromkeys(keys, event))
            for oldest in list(islice(self.frees, max(len(self.frees) - _MOST_REMEMBERED, 0))):
                del self.frees[oldest]
            return
        for key in keys:
            self.not_held(key, event, given=given)

    def _remember(self, key: int, event: F) -> None:
        self.frees[key] = event
        if len(self.frees) > _MOST_REMEMBERED:
            del self.frees[next(iter(self.frees))]


@dataclass
class FrameAccount(Account[FrameAllocated, FrameFreed]):
    """An account by page number, each frame of a run for itself."""

    def allocate(self, event: FrameAllocated) -> None:
        """Enter an allocation."""
        first = int(event.ppn)
        for ppn in range(first, first + event.count):
            holder = self.held.get(ppn)
            if holder is not None:
                self.blame(Wrong.OVERLAP, event, holder)
            self.hand_out(ppn, event)

    def free(self, event: FrameFreed) -> None:
        """Enter a free."""
        if event.offset:
            self.blame(Wrong.INSIDE, event, self.held.get(event.ppn))
            return
        first = int(event.ppn)
        frames = range(first, first + event.count)
        if event.count > 1 and self.held.keys().isdisjoint(frames):
            self.not_held_all(frames, event, given=event.given)
            return
        for ppn in frames:
            if ppn in self.held:
                self.take_back(ppn, event)
            else:
                self.not_held(ppn, event, given=event.given)


@dataclass
class BlockAccount(Account[HeapAllocated, HeapFreed]):
    """An account by address, each block with its range."""

    ranges: Ranges[HeapAllocated] = field(default_factory=Ranges)
    held_bytes: int = 0
    """Bytes that are held now, as they were asked for."""
    peak_bytes: int = 0

    def copied(self) -> Self:
        """The same account, independent of this one."""
        other = super().copied()
        other.ranges = self.ranges.copy()
        return other

    def forget(self) -> None:
        """See the base."""
        super().forget()
        self.ranges.clear()
        self.held_bytes = 0

    def allocate(self, event: HeapAllocated) -> None:
        """Enter an allocation."""
        address, held_bytes = event.address, self.held_bytes + event.size
        for holder in self.ranges.add(int(address), event.size, event):
            self.blame(Wrong.OVERLAP, event, holder)
            if holder.address == address:
                held_bytes -= holder.size
        self.held_bytes = held_bytes
        if held_bytes > self.peak_bytes:
            self.peak_bytes = held_bytes
        self.hand_out(address, event)

    def free(self, event: HeapFreed) -> None:
        """Enter a free."""
        address, size = int(event.address), event.size
        holder = self.held.get(address)
        if holder is None:
            outer = self.ranges.holding(address)
            if outer is not None:
                self.blame(Wrong.INSIDE, event, outer)
            else:
                self.not_held(event.address, event, given=False)
            return
        if not size:
            event = HeapFreed(
                instret=event.instret, pc=event.pc, privilege=event.privilege, hart=event.hart,
                address=event.address, size=holder.size, callers=event.callers,
            )  # fmt: skip
        elif holder.size and size != holder.size:
            self.blame(Wrong.WRONG_SIZE, event, holder)
        self.held_bytes -= holder.size
        self.take_back(event.address, event)
        self.ranges.remove(address)
