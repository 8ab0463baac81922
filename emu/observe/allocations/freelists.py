"""The free lists of an allocator, as they are in the guest's memory now."""

from collections.abc import Iterator, Sequence

from emu.hints import cast
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.observe.allocations.description import Allocator, FreeLists
from emu.observe.allocations.moments import HostMoment

_MOST_NODES = 1 << 16
_MOST_LISTS = 1 << 16
_MOST_HEAPS = 16
"""Structures of one allocator: what is called with more does not say by its argument which heap it works on."""


@dataclass(frozen=True, slots=True)
class FreeBlock:
    """A free block or frame, in the place that it has in its list."""

    list: int
    address: int
    size: int
    """Bytes; 0 for one that cannot be read."""
    broken: str = ""
    """Why the list could not be followed behind it; empty when it could."""


def free_blocks(machine: Machine, lists: FreeLists, heap: int = 0) -> Iterator[FreeBlock]:
    """The free blocks, list by list. A list that leads out of memory or to itself is followed so far, and says so.

    `heap` is the address of the allocator's own structure, where no symbol tells it.
    """
    if not lists.are_in(machine.symbols):
        return
    for number in range(number_of_lists(machine, lists)):
        for chosen in range(lists.sets):
            yield from _one_list(machine, lists, number, heap, chosen)


def number_of_lists(machine: Machine, lists: FreeLists) -> int:
    """How many there are now, as the description says."""
    return min(lists.lists.at(HostMoment(machine)) or 0, _MOST_LISTS)


def _one_list(machine: Machine, lists: FreeLists, number: int, heap: int, chosen: int) -> Iterator[FreeBlock]:
    head = HostMoment(machine, 0, number, heap, chosen)
    stop = 0 if lists.stop is None else lists.stop.at(head)
    node, seen = lists.first.at(head), set[int]()
    while node and node != stop:
        moment = HostMoment(machine, node, number, heap, chosen)
        seen.add(node)
        size, following = lists.size.at(moment), lists.next.at(moment)
        address = node if lists.at is None else lists.at.at(moment)
        broken = ""
        if size is None or following is None or address is None:
            broken, size = "it cannot be read", 0
        elif following in seen:
            broken = f"it points back to {following:#x}: the list runs in a circle"
        elif len(seen) == _MOST_NODES:
            broken = f"the list has more than {_MOST_NODES:,} blocks"
        yield FreeBlock(number, node if address is None else address, size or 0, broken)
        if broken:
            break
        node = following


class Heaps:
    """The structures of their own that allocators were seen to work on; filled by the observers of their calls."""

    def __init__(self) -> None:
        self._found: dict[str, dict[int, None]] = {}

    @classmethod
    def of(cls, machine: Machine) -> "Heaps":
        """Those of a machine."""
        return cast("Heaps", machine.events.observers.setdefault(cls, cls()))

    def of_allocator(self, name: str) -> tuple[int, ...]:
        """Their addresses, by the name of a description."""
        return tuple(self._found.get(name, ()))

    def note(self, name: str, address: int) -> None:
        """One was seen."""
        found = self._found.setdefault(name, {})
        if len(found) < _MOST_HEAPS:
            found[address] = None


class FreeMemory:
    """What the allocators of a machine have free, by their own lists."""

    def __init__(self, machine: Machine, allocators: Sequence[Allocator], *, blocks: bool) -> None:
        self._machine = machine
        self._lists = [
            (one.name, lists)
            for one in allocators
            for lists in one.free_lists
            if lists.blocks is blocks and lists.are_in(machine.symbols)
        ]
        self._heaps = Heaps.of(machine)

    def __bool__(self) -> bool:
        """Whether there are lists to look at; of an allocator whose structure is learned, from its first call on."""
        return any(lists.symbol or self._heaps.of_allocator(name) for name, lists in self._lists)

    @property
    def are_described(self) -> bool:
        """Whether there are lists, or will be once their allocator is called."""
        return bool(self._lists)

    @property
    def by_order(self) -> bool:
        """Whether there is a list for each order, as buddy allocators have."""
        return any(lists.by_order for _, lists in self._lists)

    @property
    def heads(self) -> int:
        """How many lists have to be looked at."""
        return sum(number_of_lists(self._machine, lists) * lists.sets for _, lists in self._lists)

    def __iter__(self) -> Iterator[FreeBlock]:
        for name, lists in self._lists:
            for heap in (0,) if lists.symbol else self._heaps.of_allocator(name):
                yield from free_blocks(self._machine, lists, heap)
