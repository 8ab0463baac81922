"""What it costs when a heap is full and takes frames, and what it gives back."""

from emu.address import PAGE_BITS
from emu.labs.guests import Costs, started
from emu.labs.heaps import step
from emu.labs.workload import heap_requests
from emu.lateclass import dataclass, field
from emu.observe.allocations.workload import Ask
from kernel.build import BuiltKernel

FIRST_BYTES = 16 << 10
"""The heap before it grows."""
_WANTED_BYTES = 1 << 20
_RAM_SIZE = 16 << 20


@dataclass(slots=True)
class GrowthMeasurement:
    """One heap that grows."""

    heap: str
    alloc: Costs = field(default_factory=Costs)
    """Allocations that found a free block."""
    growing: Costs = field(default_factory=Costs)
    """Allocations for which the heap took frames."""
    shrinking: Costs = field(default_factory=Costs)
    """Frees after which it gave frames back."""
    totals: list[int] = field(default_factory=list)
    """Bytes of the heap after each operation."""
    most_frames: int = 0
    frames_left: int = 0
    """Frames in use when all blocks are freed."""


def measure_growth(kernel: BuiltKernel, operations: int) -> GrowthMeasurement:
    """Run the workload on a heap that is too small for it, then free all."""
    machine = started(kernel, _RAM_SIZE)
    ram = machine.memory.ram
    machine.call("frame_init", machine.call("kernel_end_ppn"), ram.base + ram.size >> PAGE_BITS)
    machine.call("heap_init", machine.address_of("heap_space"), FIRST_BYTES)
    result = GrowthMeasurement(kernel.profile.heap)
    held: dict[int, int] = {}
    requests: dict[int, Ask] = {}
    total = FIRST_BYTES

    def run(request: Ask) -> None:
        nonlocal total
        alloc, dealloc = Costs(), Costs()
        step(machine, request, held, alloc, dealloc)
        before, total = total, machine.call("heap_total")
        result.totals.append(total)
        (result.alloc if total == before else result.growing).each.extend(alloc.each)
        if total < before:
            result.shrinking.each.extend(dealloc.each)
        result.most_frames = max(result.most_frames, machine.call("frame_in_use"))

    for request in heap_requests(operations, _WANTED_BYTES):
        requests[request.number] = request
        run(request)
    for number in list(held):
        block = requests[number]
        run(Ask(number, frees=True, size=block.size, align=block.align))
    result.frames_left = machine.call("frame_in_use")
    return result
