"""Workloads: what is allocated and freed in which order, the same for every allocator and in each run."""

import random
from collections.abc import Iterator

from emu.observe.allocations.workload import Ask

_SEED = 2019
"""The same numbers every time are what is wanted here."""
_MOST_FRAMES = 256
"""Frames that a workload holds at once: fewer than are free in half of the smallest memory."""
_LEAST_SHIFT, _MOST_SHIFT = 4, 13
_ALIGNS = (8, 8, 8, 16, 64)


def frame_requests(operations: int) -> Iterator[Ask]:
    """Single frames; at most 256 are held at once, and they are freed in no order.

    >>> [("free" if step.frees else "alloc", step.number) for step in frame_requests(6)]
    [('alloc', 0), ('alloc', 1), ('alloc', 2), ('alloc', 3), ('free', 1), ('alloc', 4)]
    """
    chance = random.Random(_SEED)  # noqa: S311
    held: list[int] = []
    number = 0
    for _ in range(operations):
        if held and (len(held) == _MOST_FRAMES or chance.random() < 0.4):
            yield Ask(held.pop(chance.randrange(len(held))), frees=True)
        else:
            held.append(number)
            yield Ask(number)
            number += 1


def heap_requests(operations: int, wanted_bytes: int) -> Iterator[Ask]:
    """Blocks of 16 to 8191 bytes, small ones more often, freed in no order; about `wanted_bytes` are held at once."""
    chance = random.Random(_SEED)  # noqa: S311
    held: list[Ask] = []
    held_bytes = number = 0
    for _ in range(operations):
        frees = chance.random() < (0.3 if held_bytes < wanted_bytes else 0.7)
        if held and frees:
            block = held.pop(chance.randrange(len(held)))
            held_bytes -= block.size
            yield Ask(block.number, frees=True, size=block.size, align=block.align)
        else:
            size = int(2 ** chance.uniform(_LEAST_SHIFT, _MOST_SHIFT))
            block = Ask(number, size=size, align=chance.choice(_ALIGNS))
            held.append(block)
            held_bytes += block.size
            number += 1
            yield block
