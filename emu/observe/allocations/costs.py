"""What the calls of an allocator cost: how many, and how many instructions each."""

from collections import Counter
from collections.abc import Callable, Iterator

from emu.lateclass import dataclass
from emu.machine import Machine
from emu.observe.allocations.catalogue import Placed
from emu.observe.allocations.observers import AllocatorObserver, FrameObserver, HeapObserver
from emu.subscriptions import Subscription, cancel_all


@dataclass(frozen=True, slots=True)
class CallCost:
    """The calls of one function that returned."""

    name: str
    calls: int
    median: int
    """Instructions from its first to the caller's next, interrupts in between included."""
    worst: int
    total: int


class AllocatorCosts:
    """Counts the outermost calls of the allocators that are followed, from now on."""

    def __init__(self, machine: Machine) -> None:
        self.on_call: Callable[[str, int, int], None] = lambda _name, _left, _cost: None
        """Told of each call that returned: the function, when it was left, and what it took."""
        self._counts: dict[str, Counter[int]] = {}
        self._observers: tuple[AllocatorObserver, ...] = (FrameObserver(machine, ()), HeapObserver(machine, ()))
        self._subscriptions: list[Subscription] = [each.tell_crossings(self._crossed) for each in self._observers]

    def close(self) -> None:
        """Count no more; what was counted stays."""
        cancel_all(self._subscriptions)
        for observer in self._observers:
            observer.close()

    def costs(self) -> Iterator[CallCost]:
        """By function, what took most instructions first."""
        total = {name: sum(cost * times for cost, times in counts.items()) for name, counts in self._counts.items()}
        for name in sorted(total, key=lambda name: -total[name]):
            counts = self._counts[name]
            yield CallCost(name, counts.total(), _median(counts), max(counts), total[name])

    def _crossed(self, placed: Placed, entered: int, left: int | None) -> None:
        if left is not None:
            counts = self._counts.get(placed.name)
            if counts is None:
                counts = self._counts[placed.name] = Counter()
            counts[left - entered] += 1
            self.on_call(placed.name, left, left - entered)


def _median(counts: Counter[int]) -> int:
    """The lower one of an even number.

    >>> _median(Counter({3: 2, 10: 1}))
    3
    """
    half = -(-counts.total() // 2)
    for value in sorted(counts):
        half -= counts[value]
        if half <= 0:
            return value
    raise ValueError("nothing was counted")
