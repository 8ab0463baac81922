"""What frame allocators cost against the size of memory."""

from emu.address import PAGE_BITS
from emu.counted import counted
from emu.errors import GuestPanic
from emu.labs.guests import Costs, call, started
from emu.labs.workload import frame_requests
from emu.lateclass import dataclass, field
from kernel.build import BuiltKernel

MEMORIES = (16 << 20, 128 << 20, 1 << 30, 4 << 30)
"""Bytes of RAM."""
RUNS = (4, 64, 1024)
"""Frames in a row."""


@dataclass(slots=True)
class FrameMeasurement:
    """One frame allocator in one memory."""

    allocator: str
    memory: int
    """Bytes of RAM."""
    total: int
    """Frames that are governed."""
    books: int
    """Frames that the allocator keeps for its own bookkeeping."""
    alloc: Costs = field(default_factory=Costs)
    dealloc: Costs = field(default_factory=Costs)
    peak: int = 0
    """Most frames in use at once."""
    alloc_run: dict[int, int] = field(default_factory=dict)
    """Instructions of frame_alloc_contiguous, by how many frames in a row."""
    dealloc_run: dict[int, int] = field(default_factory=dict)
    """Instructions of frame_dealloc_contiguous."""


def measure_frames(kernel: BuiltKernel, memory: int, operations: int) -> FrameMeasurement:
    """Run the workload on a kernel's frame allocator.

    A run of half of all frames is handed out before, so that an allocator that searches has something to search.
    Runs come last, when single frames have been freed in no order.
    """
    machine = started(kernel, memory)
    ram = machine.memory.ram
    start, end = machine.call("kernel_end_ppn"), ram.base + ram.size >> PAGE_BITS
    call(machine, Costs(), "frame_init", start, end)
    total = machine.call("frame_total")
    call(machine, Costs(), "frame_alloc_contiguous", total // 2)
    result = FrameMeasurement(kernel.profile.frames, memory, total, books=end - start - total)
    held: dict[int, int] = {}
    for request in frame_requests(operations):
        if request.frees:
            call(machine, result.dealloc, "frame_dealloc", held.pop(request.number))
        else:
            ppn = held[request.number] = call(machine, result.alloc, "frame_alloc")
            if not ppn:
                raise GuestPanic(f"frame allocator {result.allocator}: frame_alloc() = 0 while half of memory is free")
            result.peak = max(result.peak, total // 2 + len(held))
    for run in RUNS:
        costs = Costs()
        ppn = call(machine, costs, "frame_alloc_contiguous", run)
        if not ppn:
            raise GuestPanic(
                f"frame allocator {result.allocator}: no {counted(run, 'frame')} in a row while half of memory is free"
            )
        call(machine, costs, "frame_dealloc_contiguous", ppn, run)
        result.alloc_run[run], result.dealloc_run[run] = costs.each
    return result
