"""A recorded workload asked of every allocator of the teaching kernel: what it costs there, and what it wastes."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from emu.address import PAGE_BITS
from emu.counted import counted
from emu.errors import ConfigError
from emu.labs.guests import Costs, call, kernel_with, started
from emu.lateclass import dataclass, field
from emu.machine import Machine
from emu.observe.allocations.catalogue import Catalogue
from emu.observe.allocations.observers import HeapObserver
from emu.observe.allocations.space import HeapSpace
from emu.observe.allocations.workload import Ask
from kernel.build import BuiltKernel, build, build_directory, profile_named
from kernel.choices import FRAME_ALLOCATORS, HEAPS

_SMALLEST_HEAP, _LARGEST_HEAP = 64 << 10, 64 << 20
_SMALLEST_MEMORY, _MOST_FRAMES = 16 << 20, 1 << 19
_MOST_CALLS = 20_000
_STATISTICS = ("requested", "allocated", "largest_free")
_LOOKS = 400
"""How often the frames that are free are looked at."""


@dataclass(slots=True)
class Replay:
    """One allocator under the workload."""

    name: str
    alloc: Costs = field(default_factory=Costs)
    free: Costs = field(default_factory=Costs)
    refused: int = 0
    """What could not be handed out."""
    used: list[int] = field(default_factory=list)
    """After each call: bytes of a heap that are allocated, or frames from the first to the last that is held."""
    external: list[float] = field(default_factory=list)
    """After each call: the part of what is free that is not in the largest piece, 0 to 1."""
    internal: float = 0.0
    """At the peak: the part of what is allocated that nobody asked for, 0 to 1."""
    splits: int | None = None
    """None where the allocator's free lists are not known, or too many to be looked at behind each call."""
    joins: int | None = None

    @property
    def peak(self) -> int:
        """The most that was used."""
        return max(self.used, default=0)


def replay_heaps(asks: Sequence[Ask]) -> tuple[int, list[Replay]]:
    """The size of the heap that each gets, and each heap under the workload. Raises ConfigError for too large a one."""
    asks = asks[:_MOST_CALLS]
    most = _most(asks)
    size = max(_SMALLEST_HEAP, 1 << (2 * most - 1).bit_length())
    if size > _LARGEST_HEAP:
        raise ConfigError(f"the workload holds {counted(most, 'byte')} at once: more than heaps are compared with here")
    return size, [_heap(_kernel_with_heap(heap, size), size, asks) for heap in sorted(HEAPS)]


def replay_frames(asks: Sequence[Ask]) -> tuple[int, list[Replay]]:
    """The bytes of memory, and each frame allocator under the workload. Raises ConfigError for too large a one."""
    asks = asks[:_MOST_CALLS]
    most = _most(asks)
    if most > _MOST_FRAMES:
        raise ConfigError(
            f"the workload holds {counted(most, 'frame')} at once: more than allocators are compared with here"
        )
    memory = max(_SMALLEST_MEMORY, 1 << (2 * (most << PAGE_BITS) - 1).bit_length())
    return memory, [_frames(kernel_with(name, None), memory, asks) for name in sorted(FRAME_ALLOCATORS)]


def _most(asks: Sequence[Ask]) -> int:
    held = most = 0
    for ask in asks:
        held += -ask.size if ask.frees else ask.size
        most = max(most, held)
    return most


def _kernel_with_heap(heap: str, size: int) -> BuiltKernel:
    profile = profile_named("frame-tracker")
    if size <= profile.heap_size:
        return kernel_with("stack", heap)
    larger = replace(profile, heap_size=size)
    return build(larger, build_directory() / "lab" / f"heap-{size:x}-{heap}", frames="stack", heap=heap)


def _heap(kernel: BuiltKernel, size: int, asks: Sequence[Ask]) -> Replay:
    machine = started(kernel, max(_SMALLEST_MEMORY, 4 * size))
    machine.call("heap_init", machine.address_of("heap_space"), size)
    result = Replay(kernel.profile.heap)
    observer = HeapObserver(machine)
    space = HeapSpace(machine, Catalogue(machine.symbols).fitting())
    held: dict[int, int] = {}
    peak = 0
    for ask in asks:
        align = ask.align or 16
        if not ask.frees:
            address = call(machine, result.alloc, "heap_alloc", ask.size, align)
            if address:
                held[ask.number] = address
            else:
                result.refused += 1
        elif ask.number in held:
            call(machine, result.free, "heap_dealloc", held.pop(ask.number), ask.size, align)
        requested, allocated, largest = (machine.call(f"heap_{what}") for what in _STATISTICS)
        free = size - allocated
        result.used.append(allocated)
        result.external.append(max(0.0, 1 - largest / free) if free else 0.0)
        if allocated > peak:
            peak, result.internal = allocated, 1 - requested / allocated
    if space.lists and space.every == 1:
        result.splits, result.joins = space.splits, space.joins
    space.close()
    observer.close()
    machine.close()
    return result


def _frames(kernel: BuiltKernel, memory: int, asks: Sequence[Ask]) -> Replay:
    machine = started(kernel, memory)
    ram = machine.memory.ram
    start, end = machine.call("kernel_end_ppn"), ram.base + ram.size >> PAGE_BITS
    call(machine, Costs(), "frame_init", start, end)
    total = machine.call("frame_total")
    result = Replay(kernel.profile.frames)
    held: dict[int, int] = {}
    frames: set[int] = set()
    every = max(1, len(asks) // _LOOKS)
    for index, ask in enumerate(asks):
        if not ask.frees:
            _hand_out(machine, result, ask, held, frames)
        elif ask.number in held:
            ppn = held[ask.number] + ask.part
            if ask.size == 1:
                call(machine, result.free, "frame_dealloc", ppn)
            else:
                call(machine, result.free, "frame_dealloc_contiguous", ppn, ask.size)
            frames.difference_update(range(ppn, ppn + ask.size))
        if index % every == 0 or index == len(asks) - 1:
            external = _external(frames, end - total, end)
        result.used.append(max(frames) - min(frames) + 1 if frames else 0)
        result.external.append(external)
    machine.close()
    return result


def _hand_out(machine: Machine, result: Replay, ask: Ask, held: dict[int, int], frames: set[int]) -> None:
    if ask.size == 1:
        ppn = call(machine, result.alloc, "frame_alloc")
    else:
        ppn = call(machine, result.alloc, "frame_alloc_contiguous", ask.size)
    if not ppn:
        result.refused += 1
        return
    held[ask.number] = ppn
    frames.update(range(ppn, ppn + ask.size))


def _external(frames: set[int], first: int, end: int) -> float:
    """The part of the free frames that is not in the longest run of them.

    >>> round(_external({4}, 0, 10), 3)
    0.444
    """
    edges = [first - 1, *sorted(frames), end]
    longest = max(after - before - 1 for before, after in pairwise(edges))
    free = end - first - len(frames)
    return 1 - longest / free if free else 0.0
