"""What heaps cost, and how much of them is lost in fragments."""

from dataclasses import dataclass, field

from emu.cli.labs.guests import Costs, call, started
from emu.cli.labs.workload import heap_requests
from kernel.build import BuiltKernel

HEAP_BYTES = 256 << 10
_WANTED_BYTES = HEAP_BYTES * 6 // 10
_RAM_SIZE = 16 << 20


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

    @property
    def peak(self) -> int:
        """Most bytes in allocated blocks at once."""
        return max(use.allocated for use in self.history)

    def after(self, share: float) -> HeapUse:
        """The use when that share of all operations was done."""
        return self.history[max(round(len(self.history) * share) - 1, 0)]


def measure_heap(kernel: BuiltKernel, operations: int) -> HeapMeasurement:
    """Run the workload on a kernel's heap."""
    machine = started(kernel, _RAM_SIZE)
    machine.call("heap_init", machine.address_of("heap_space"), HEAP_BYTES)
    result = HeapMeasurement(kernel.profile.heap)
    held: dict[int, int] = {}
    free = HEAP_BYTES
    for request in heap_requests(operations, _WANTED_BYTES):
        if not request.frees:
            address = call(machine, result.alloc, "heap_alloc", request.size, request.align)
            if address:
                held[request.number] = address
            elif request.size <= free:
                result.refused += 1
        elif request.number in held:
            call(machine, result.dealloc, "heap_dealloc", held.pop(request.number), request.size, request.align)
        use = HeapUse(*(machine.call(f"heap_{what}") for what in ("requested", "allocated", "largest_free")))
        free = HEAP_BYTES - use.allocated
        result.history.append(use)
    return result
