"""The free lists of an allocator, as they are in the guest's memory now."""

from collections.abc import Iterator

from emu.lateclass import dataclass
from emu.machine import Machine
from emu.observe.allocations.description import FreeLists
from emu.observe.allocations.moments import HostMoment

_MOST_NODES = 1 << 16


@dataclass(frozen=True, slots=True)
class FreeBlock:
    """A free block or frame, in the place that it has in its list."""

    list: int
    address: int
    size: int
    """Bytes."""
    broken: str = ""
    """Why the list could not be followed behind it; empty when it could."""


def free_blocks(machine: Machine, lists: FreeLists) -> Iterator[FreeBlock]:
    """The free blocks, list by list. A list that leads out of memory or to itself is followed so far, and says so."""
    if lists.symbol not in machine.symbols:
        return
    for number in range(lists.lists):
        head = HostMoment(machine, 0, number)
        stop = 0 if lists.stop is None else lists.stop.at(head)
        block, seen = lists.first.at(head), set[int]()
        while block and block != stop:
            moment = HostMoment(machine, block, number)
            seen.add(block)
            size, following = lists.size.at(moment), lists.next.at(moment)
            broken = ""
            if size is None or following is None:
                broken = "it cannot be read"
            elif following in seen:
                broken = f"it points back to {following:#x}: the list runs in a circle"
            elif len(seen) == _MOST_NODES:
                broken = f"the list has more than {_MOST_NODES:,} blocks"
            yield FreeBlock(number, block, size or 0, broken)
            if broken:
                break
            block = following
