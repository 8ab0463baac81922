"""`ekernel lab allocators`: one workload through every allocator, and what that cost."""

from dataclasses import dataclass

from emu.cli.kernels import built_profile
from emu.cli.labs.boot import measure_boot
from emu.cli.labs.frames import MEMORIES, FrameMeasurement, measure_frames
from emu.cli.labs.guests import Costs, kernel_with
from emu.cli.labs.heaps import HeapMeasurement, measure_heap
from kernel.profile import FRAME_ALLOCATORS, HEAPS

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
    boot: dict[str, Costs]


def measure_allocators(operations: int) -> AllocatorFigures:
    """Measure every frame allocator in every memory, every heap, and a boot."""
    frames, heaps = [], []
    # Each kernel has one of both kinds: as many kernels as there are allocators of a kind serve all.
    for frame_allocator, heap in zip(sorted(FRAME_ALLOCATORS), sorted(HEAPS), strict=True):
        kernel = kernel_with(frame_allocator, heap)
        frames += [measure_frames(kernel, memory, operations) for memory in MEMORIES]
        heaps.append(measure_heap(kernel, operations))
    return AllocatorFigures(operations, frames, heaps, measure_boot(built_profile(BOOT_PROFILE), _TYPED))
