"""Who holds what: frames and heap blocks between their allocation and their free."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from emu.address import PAGE_SIZE
from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed, MachineReset
from emu.machine import Machine
from emu.subscriptions import Subscription

A = TypeVar("A", bound=Event)
F = TypeVar("F", bound=Event)


@dataclass(slots=True)
class Account(Generic[A, F]):
    """Allocations and frees of one kind, and what is held between them."""

    allocated: int = 0
    """Frames or blocks handed out so far."""
    freed: int = 0
    """Frames or blocks taken back so far."""
    peak: int = 0
    """The most that were held at one time."""
    held: dict[int, A] = field(default_factory=dict)
    """What is held now by page number or address, in the order of allocation, with the event that handed it out."""
    overlaps: list[tuple[A, A]] = field(default_factory=list)
    """Handed out though still held: the first allocation and the second."""
    foreign_frees: list[F] = field(default_factory=list)
    """Frees of what nobody held: freed twice, or never seen handed out."""

    def allocate(self, key: int, event: A) -> None:
        """Enter an allocation."""
        self.allocated += 1
        if key in self.held:
            self.overlaps.append((self.held[key], event))
        self.held[key] = event
        self.peak = max(self.peak, len(self.held))

    def free(self, key: int, event: F) -> None:
        """Enter a free."""
        if self.held.pop(key, None) is None:
            self.foreign_frees.append(event)
        else:
            self.freed += 1


class AllocationLedger:
    """Keeps an account of frames and one of heap blocks from the machine's allocation events.

    Needs a FrameObserver and a HeapObserver on the machine; raises ConfigError without.
    """

    def __init__(self, machine: Machine) -> None:
        self._most_frames = machine.memory.ram.size // PAGE_SIZE
        self.frames: Account[FrameAllocated, FrameFreed] = Account()
        self.blocks: Account[HeapAllocated, HeapFreed] = Account()
        self._subscriptions: list[Subscription] = [
            machine.on(FrameAllocated, self._frame_allocated),
            machine.on(FrameFreed, self._frame_freed),
            machine.on(HeapAllocated, self._block_allocated),
            machine.on(HeapFreed, self._block_freed),
            machine.on(MachineReset, self._reset),
        ]

    def close(self) -> None:
        """Stop listening; the accounts stay readable."""
        for subscription in self._subscriptions:
            subscription.cancel()
        self._subscriptions.clear()

    def _reset(self, _event: MachineReset) -> None:
        self.frames.held.clear()
        self.blocks.held.clear()

    def _frame_allocated(self, event: FrameAllocated) -> None:
        for index in self._each(event):
            self.frames.allocate(event.ppn + index, event)

    def _frame_freed(self, event: FrameFreed) -> None:
        for index in self._each(event):
            self.frames.free(event.ppn + index, event)

    def _each(self, event: FrameAllocated | FrameFreed) -> range:
        # The count is whatever the guest passed: never more than there are frames.
        return range(min(event.count, self._most_frames))

    def _block_allocated(self, event: HeapAllocated) -> None:
        self.blocks.allocate(event.address, event)

    def _block_freed(self, event: HeapFreed) -> None:
        self.blocks.free(event.address, event)
