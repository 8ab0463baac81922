"""What heaps cost, and how much of them is lost in fragments."""

from emu.labs.guests import Costs, call, started
from emu.labs.workload import heap_requests
from emu.lateclass import dataclass, field
from emu.machine import Machine
from emu.observe.allocations.workload import Ask
from kernel.build import BuiltKernel

HEAP_BYTES = 256 << 10
"""The heap whose fragments are followed."""
HEAP_SIZES = (64 << 10, 256 << 10, 1 << 20)
"""Bytes of heaps whose costs are compared."""
_RAM_SIZE = 16 << 20
_BYTES_A_STEP = 500
"""By so many bytes a workload of blocks grows with each step, while it does."""


def _wanted(size: int) -> int:
    """How much of a heap is asked for at once."""
    return size * 6 // 10


@dataclass(frozen=True, slots=True)
class HeapUse:
    """A heap after one operation, in bytes."""

    requested: int
    allocated: int
    largest_free: int

    @property
    def internal(self) -> int:
        """Internal fragmentation: what is allocated, but was not asked for (document 003)."""
        return self.allocated - self.requested

    @property
    def external(self) -> int:
        """External fragmentation: what is free, but lies in blocks too small for a request of the largest (003)."""
        return HEAP_BYTES - self.allocated - self.largest_free


@dataclass(slots=True)
class HeapMeasurement:
    """One heap."""

    heap: str
    alloc: Costs = field(default_factory=Costs)
    dealloc: Costs = field(default_factory=Costs)
    refused: int = 0
    """Requests for which no free block was large enough, though enough bytes were free in all."""
    history: list[HeapUse] = field(default_factory=list)
    """The use after each operation."""
    by_size: dict[int, tuple[Costs, Costs]] = field(default_factory=dict)
    """Costs of heap_alloc and heap_dealloc in a heap of so many bytes that has been filled."""

    @property
    def peak(self) -> int:
        """Most bytes in allocated blocks at once."""
        return max(use.allocated for use in self.history)

    def after(self, share: float) -> HeapUse:
        """The use when that share of all operations was done."""
        return self.history[max(round(len(self.history) * share) - 1, 0)]


def measure_heap(kernel: BuiltKernel, operations: int) -> HeapMeasurement:
    """Run the workload on a kernel's heap, from the empty heap on; then on full ones of several sizes."""
    machine = started(kernel, _RAM_SIZE)
    machine.call("heap_init", machine.address_of("heap_space"), HEAP_BYTES)
    result = HeapMeasurement(kernel.profile.heap)
    held: dict[int, int] = {}
    free = HEAP_BYTES
    for request in heap_requests(operations, _wanted(HEAP_BYTES)):
        if not step(machine, request, held, result.alloc, result.dealloc) and request.size <= free:
            result.refused += 1
        use = HeapUse(*(machine.call(f"heap_{what}") for what in ("requested", "allocated", "largest_free")))
        free = HEAP_BYTES - use.allocated
        result.history.append(use)
    result.by_size = {size: _costs_when_full(machine, size, operations) for size in HEAP_SIZES}
    return result


def _costs_when_full(machine: Machine, size: int, operations: int) -> tuple[Costs, Costs]:
    """What the workload costs when it has gone on for twice as long as it needs to fill the heap."""
    machine.call("heap_init", machine.address_of("heap_space"), size)
    held: dict[int, int] = {}
    before = 2 * _wanted(size) // _BYTES_A_STEP
    alloc, dealloc = Costs(), Costs()
    for number, request in enumerate(heap_requests(before + operations, _wanted(size))):
        if number < before:
            step(machine, request, held, Costs(), Costs())
        else:
            step(machine, request, held, alloc, dealloc)
    return alloc, dealloc


def step(machine: Machine, request: Ask, held: dict[int, int], alloc: Costs, dealloc: Costs) -> bool:
    """Make one request of a heap, and add what it costs. False when there was no block for it.

    `held` are the addresses of the blocks that there are, by their numbers.
    """
    if not request.frees:
        address = call(machine, alloc, "heap_alloc", request.size, request.align)
        if not address:
            return False
        held[request.number] = address
    elif request.number in held:
        call(machine, dealloc, "heap_dealloc", held.pop(request.number), request.size, request.align)
    return True
