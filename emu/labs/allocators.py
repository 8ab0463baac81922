"""`ekernel lab allocators`: one workload through every allocator, and what that cost."""

from emu.labs.boot import measure_boot
from emu.labs.frames import MEMORIES, FrameMeasurement, measure_frames
from emu.labs.growth import GrowthMeasurement, measure_growth
from emu.labs.guests import Costs, kernel_with
from emu.labs.heaps import HeapMeasurement, measure_heap
from emu.lateclass import dataclass
from kernel.choices import allocator_pairs

BOOT_PROFILE = "shell"
BOOT_PROGRAMS = ("memory", "slices")
"""Programs that fault, fork, and have their turns ended by the timer."""
_TYPED = "".join(f"{line}\r" for line in (*BOOT_PROGRAMS, "exit"))


@dataclass(slots=True)
class AllocatorFigures:
    """All that was measured."""

    operations: int
    frames: list[FrameMeasurement]
    """By allocator, then by memory."""
    heaps: list[HeapMeasurement]
    growth: list[GrowthMeasurement]
    boots: dict[str, dict[str, Costs]]
    """What traps and processes cost, by frame allocator."""

    def by_allocator(self) -> dict[str, list[FrameMeasurement]]:
        """The frame allocators, each in all memories."""
        return {name: [row for row in self.frames if row.allocator == name] for name in self.boots}


def measure_allocators(operations: int) -> AllocatorFigures:
    """Measure every frame allocator in every memory and in a boot, and every heap."""
    figures = AllocatorFigures(operations, [], [], [], {})
    # Each kernel has one of both kinds: as many kernels as there are allocators of a kind serve all.
    for frame_allocator, heap in allocator_pairs():
        kernel = kernel_with(frame_allocator, heap)
        if frame_allocator not in figures.boots:
            figures.frames += [measure_frames(kernel, memory, operations) for memory in MEMORIES]
            booted = kernel_with(frame_allocator, None, BOOT_PROFILE)
            figures.boots[frame_allocator] = measure_boot(booted, _TYPED)
        if heap not in {row.heap for row in figures.heaps}:
            figures.heaps.append(measure_heap(kernel, operations))
            figures.growth.append(measure_growth(kernel, operations))
    return figures
