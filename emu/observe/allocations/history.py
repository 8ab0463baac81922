"""Everything that was allocated and freed, in columns: peaks, sizes, lifetimes, growth and fragmentation."""

from array import array
from collections import Counter
from collections.abc import Iterator

from emu.address import PAGE_BITS, PAGE_SIZE, VirtAddr
from emu.events import FrameAllocated, FrameFreed, HeapAllocated, HeapFreed, MachineReset
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.observe.allocations.listening import on_allocations
from emu.observe.allocations.ranges import holes
from emu.subscriptions import Subscription, cancel_all

_MOST_ENTRIES = 4_000_000
"""Beyond these nothing more is recorded: 32 bytes each."""

Chain = tuple[VirtAddr, ...]
"""A call and its callers, innermost first."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What one chain of calls holds at a moment."""

    chain: Chain
    count: int
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Holdings at a moment, the largest first."""

    instret: int
    count: int
    size: int
    holdings: tuple[Holding, ...]


class History:
    """Allocations and frees of one kind."""

    def __init__(self) -> None:
        self.complete = True
        """False when there were more than are kept."""
        self._moments, self._keys, self._sizes, self._chains = array("Q"), array("Q"), array("q"), array("L")
        self._known: dict[Chain, int] = {}
        self._held: dict[int, int] = {}

    def allocate(self, instret: int, key: int, size: int, chain: Chain) -> None:
        """Enter an allocation."""
        if self._enter(instret, key, size, self._known.setdefault(chain, len(self._known))):
            self._held[key] = len(self._keys) - 1

    def free(self, instret: int, key: int) -> None:
        """Enter a free; one of what is not held changes nothing."""
        index = self._held.pop(key, None)
        if index is not None:
            self._enter(instret, key, ~self._sizes[index], self._chains[index])

    def sizes(self) -> Counter[int]:
        """How often each size was allocated."""
        return Counter(size for size in self._sizes if size >= 0)

    def lifetimes(self) -> list[int]:
        """Instructions from allocation to free of all that was freed, in the order of the frees."""
        born: dict[int, int] = {}
        found = []
        for instret, key, size in zip(self._moments, self._keys, self._sizes, strict=True):
            if size >= 0:
                born[key] = instret
            elif key in born:
                found.append(instret - born.pop(key))
        return found

    def at(self, instret: int) -> Moment:
        """What was held when so many instructions had retired."""
        entries = 0
        while entries < len(self._moments) and self._moments[entries] <= instret:
            entries += 1
        return self._after(entries)

    def peak(self) -> Moment:
        """What was held when most bytes were, the first time."""
        size = most = best = 0
        for index, change in enumerate(self._sizes, start=1):
            size += change if change >= 0 else -~change
            if size > most:
                most, best = size, index
        return self._after(best)

    def growth(self, first: int, second: int) -> list[Holding]:
        """By chain, what is held more at the second moment than at the first; the largest growth first."""
        before = {holding.chain: holding for holding in self.at(first).holdings}
        grown = []
        for holding in self.at(second).holdings:
            old = before.get(holding.chain, Holding(holding.chain, 0, 0))
            if (holding.count, holding.size) != (old.count, old.size):
                grown.append(Holding(holding.chain, holding.count - old.count, holding.size - old.size))
        return sorted((one for one in grown if one.size > 0), key=lambda one: -one.size)

    def fragmentation(self, moments: int) -> Iterator[tuple[int, int, int, int]]:
        """So many times over the run: count of instructions, bytes held, bytes between them, the largest gap.

        Between the lowest and the highest address that were ever handed out: memory that nobody holds lies in gaps, and
        one block can only be as large as the largest.
        """
        if not self._keys:
            return
        ends = [key + size for key, size in zip(self._keys, self._sizes, strict=True) if size >= 0]
        low, high = min(self._keys), max(ends)
        step = max(1, len(self._keys) // moments)
        held: dict[int, int] = {}
        for index, (key, size) in enumerate(zip(self._keys, self._sizes, strict=True)):
            if size >= 0:
                held[key] = size
            else:
                held.pop(key, None)
            if (index + 1) % step == 0 or index + 1 == len(self._keys):
                gaps = [size for _, size in holes(held, low, high)]
                yield self._moments[index], sum(held.values()), sum(gaps), max(gaps, default=0)

    def _enter(self, instret: int, key: int, size: int, chain: int) -> bool:
        if len(self._keys) >= _MOST_ENTRIES:
            self.complete = False
            return False
        self._moments.append(instret)
        self._keys.append(key)
        self._sizes.append(size)
        self._chains.append(chain)
        return True

    def _after(self, entries: int) -> Moment:
        held: dict[int, tuple[int, int]] = {}
        for index in range(entries):
            size = self._sizes[index]
            if size >= 0:
                held[self._keys[index]] = size, self._chains[index]
            else:
                held.pop(self._keys[index], None)
        counts, sizes = Counter[int](), Counter[int]()
        for size, chain in held.values():
            counts[chain] += 1
            sizes[chain] += size
        chains = list(self._known)
        holdings = tuple(Holding(chains[chain], counts[chain], size) for chain, size in sizes.most_common())
        return Moment(self._moments[entries - 1] if entries else 0, len(held), sum(sizes.values()), holdings)


class AllocationHistory:
    """The histories of frames and of heap blocks of a machine, from now on.

    Needs the observers that the ledger needs.
    """

    def __init__(self, machine: Machine) -> None:
        self.frames, self.blocks = History(), History()
        self._subscriptions: list[Subscription] = [machine.on(MachineReset, self._reset)]
        self._subscriptions += on_allocations(machine, self._frames, self._frames_back, self._block, self._block_back)

    def close(self) -> None:
        """Stop recording; what was recorded stays."""
        cancel_all(self._subscriptions)

    def _reset(self, _event: MachineReset) -> None:
        self.frames, self.blocks = History(), History()

    def _frames(self, event: FrameAllocated) -> None:
        for ppn in range(event.ppn, event.ppn + event.count):
            self.frames.allocate(event.instret, ppn << PAGE_BITS, PAGE_SIZE, (event.pc, *event.callers))

    def _frames_back(self, event: FrameFreed) -> None:
        for ppn in range(event.ppn, event.ppn + event.count):
            self.frames.free(event.instret, ppn << PAGE_BITS)

    def _block(self, event: HeapAllocated) -> None:
        self.blocks.allocate(event.instret, event.address, event.size, (event.pc, *event.callers))

    def _block_back(self, event: HeapFreed) -> None:
        self.blocks.free(event.instret, event.address)
