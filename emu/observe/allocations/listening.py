"""Listening to the allocations of a machine, of frames and of heap blocks, as far as something tells of them."""

from emu.events import FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.machine import Machine
from emu.subscriptions import Listener, Subscription


def on_allocations(
    machine: Machine,
    frame: Listener[FrameAllocated],
    frame_back: Listener[FrameFreed],
    block: Listener[HeapAllocated],
    block_back: Listener[HeapFreed],
) -> list[Subscription]:
    """Call each with its events; empty when no observer of allocations is attached."""
    subscriptions: list[Subscription] = []
    if machine.events.has_source(FrameAllocated):
        subscriptions += [machine.on(FrameAllocated, frame), machine.on(FrameFreed, frame_back)]
    if machine.events.has_source(HeapAllocated):
        subscriptions += [machine.on(HeapAllocated, block), machine.on(HeapFreed, block_back)]
    return subscriptions
