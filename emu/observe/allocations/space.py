"""What a heap has free behind each call of its allocator: pieces, splits and joins, fragmentation in time."""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from emu.events import Event, HeapAllocated, HeapFreed, MachineReset, StateRestored
from emu.machine import Machine
from emu.observe.allocations.catalogue import Placed
from emu.observe.allocations.collected import settle
from emu.observe.allocations.description import Allocator, Does
from emu.observe.allocations.freelists import FreeBlock, FreeMemory
from emu.observe.allocations.gaps import Gaps, Piece
from emu.observe.allocations.observers import HeapObserver
from emu.subscriptions import Subscription, cancel_all

_MOST_SAMPLES = 2048
_MOST_BOOKS = 4096
"""Bytes that a block may take beside twice its size: more has another reason than the block."""
_NODES_A_CALL = 64
"""Pieces that may be looked at for each call, on average: longer lists are looked at less often."""
_size_of = attrgetter("size")
_KNOWN = 1 / 16
"""Work that a piece is which was not read in the guest's memory."""


class Sample(NamedTuple):
    """What was free at a moment."""

    instret: int
    requested: int
    """Bytes that are held, as they were asked for."""
    granted: int
    """Bytes that these blocks take: with what rounding and the allocator's books need, where its lists tell."""
    free: int
    """Bytes that are free."""
    largest: int
    """Bytes of the largest free piece."""
    splits: int = 0
    """Pieces that allocations have left of larger ones so far."""
    joins: int = 0
    """Pieces that frees have taken into larger ones so far."""

    @property
    def external(self) -> float:
        """External fragmentation: the part of what is free that is not in the largest piece, 0 to 1.

        >>> Sample(0, requested=0, granted=0, free=128, largest=64).external
        0.5
        """
        return 1 - self.largest / self.free if self.free else 0.0

    @property
    def internal(self) -> float:
        """Internal fragmentation: the part of what is held that nobody has asked for, 0 to 1.

        >>> Sample(0, requested=48, granted=64, free=0, largest=0).internal
        0.25
        """
        return 1 - self.requested / self.granted if self.granted else 0.0


class Broken(NamedTuple):
    """A free list that could not be followed to its end."""

    instret: int
    """When it was first seen."""
    block: FreeBlock
    """The last one, which says why."""


class HeapSpace:
    """Looks at a heap's free lists behind each call of its allocator, from now on.

    Where a description names no free lists, what lies between the blocks that are held counts as free. Of very many
    calls, and of very long lists, only some are looked at: `every` says so. Needs a HeapObserver on the machine.
    """

    def __init__(self, machine: Machine, allocators: Sequence[Allocator]) -> None:
        self._machine = machine
        self.lists = FreeMemory(machine, allocators, blocks=True)
        """What is looked at; false where gaps stand for lists."""
        self._heads = self.lists.heads if self.lists else 0
        self._looks = self.lists.are_described
        self.samples: list[Sample] = []
        self.pieces: frozenset[Piece] = frozenset()
        """What was free when it was looked at last."""
        self.splits = self.joins = 0
        """Pieces that an allocation left of a larger one, and that a free took into a larger one, as far as seen."""
        self.broken: Broken | None = None
        """The first list that could not be followed to its end; what lies behind that is in no sample."""
        self._is_whole = True
        self.every = 1
        """One of so many calls is looked at."""
        self.on_sample: Callable[[Sample], None] = lambda _sample: None
        """Told of each sample."""
        self._held: dict[int, tuple[int, int]] = {}
        """Bytes asked for and bytes taken, by address."""
        self._between = Gaps()
        self._requested = self._granted = self._wait = self._newest = 0
        observer = HeapObserver(machine, ())
        self._subscriptions: list[Subscription] = [
            HeapObserver.collect(machine, self._changed, at_once=False),
            machine.on(MachineReset, lambda _event: self._forget()),
            machine.on(StateRestored, lambda _event: self._forget()),
            observer.tell_crossings(self._crossed),
        ]
        self._observer = observer
        self._look_again()

    def close(self) -> None:
        """Look no more; the samples stay."""
        cancel_all(self._subscriptions)
        if self._looks:
            self._observer.ask_within(self._machine)
        self._observer.close()

    def _changed(self, event: Event) -> None:
        if isinstance(event, HeapAllocated):
            self._allocated(event)
        elif isinstance(event, HeapFreed):
            self._forget_block(event.address)

    def _allocated(self, event: HeapAllocated) -> None:
        self._forget_block(event.address)
        rounded = 1 << max(event.size - 1, 0).bit_length() if self.lists.by_order else event.size
        self._enter(event.address, event.size, rounded)
        self._newest = event.address

    def _enter(self, address: int, size: int, granted: int) -> None:
        self._held[address] = size, granted
        self._between.add(int(address), size)
        self._requested += size
        self._granted += granted

    def _forget_block(self, address: int) -> None:
        size, granted = self._held.pop(address, (0, 0))
        self._between.remove(address)
        self._requested -= size
        self._granted -= granted

    def _forget(self) -> None:
        settle(self._machine)
        self._held.clear()
        self._between = Gaps()
        self._requested = self._granted = 0

    def _crossed(self, placed: Placed, entered: int, left: int | None) -> None:
        if left is not None:
            self._wait -= 1
            if self._wait <= 0:
                self._sample(placed.function.does, left)
        elif not self.samples:
            self._sample(None, entered)
        self._look_again()

    def _look_again(self) -> None:
        """Have Python asked at the moment of the next call that is looked at: its lists are in the guest's memory."""
        if self._looks:
            self._observer.ask_within(self._machine, max(self._wait - 1, 0))

    def _sample(self, does: Does | None, moment: int) -> None:
        was_whole, self._is_whole = self._is_whole, True
        pieces = frozenset(self._in_lists(moment)) if self.lists else self._between.pieces()
        before = self.pieces if self.samples else pieces
        self.pieces = pieces
        sizes = list(map(_size_of, pieces))
        free = sum(sizes)
        if not (was_whole and self._is_whole):  # what has come or gone, nobody knows
            pass
        elif does is Does.ALLOCATE:
            self.splits += len(pieces - before)
            if self.every == 1 and self.lists:
                self._measure(sum(map(_size_of, before)) - free)
        elif does is Does.FREE:
            self.joins += len(before - pieces)
        largest = max(sizes, default=0)
        sample = Sample(moment, self._requested, self._granted, free, largest, self.splits, self.joins)
        self.samples.append(sample)
        if len(self.samples) >= _MOST_SAMPLES:
            del self.samples[1::2]
            self.every *= 2
        looked_at = (len(pieces) + self._heads) * (1 if self.lists else _KNOWN)
        self._wait = max(self.every, int(looked_at / _NODES_A_CALL))
        self.every = max(self.every, self._wait)
        self.on_sample(sample)

    def _measure(self, taken: int) -> None:
        """The newest block has taken so many bytes of what was free, unless the heap has grown or begun anew."""
        size, granted = self._held.get(self._newest, (0, 0))
        if size <= taken <= 2 * size + _MOST_BOOKS:
            self._granted += taken - granted
            self._held[self._newest] = size, taken

    def _in_lists(self, moment: int) -> Iterable[Piece]:
        for block in self.lists:
            if block.broken:
                self._is_whole = False
                self.broken = self.broken or Broken(moment, block)
            if block.size:
                yield Piece(block.list, block.address, block.size)
