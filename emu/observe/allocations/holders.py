"""For which process memory was taken: the address space that was current at each allocation."""

from collections import Counter
from collections.abc import Mapping

from emu.address import PAGE_SIZE
from emu.events import AddressSpaceSwitched, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed, MachineReset
from emu.machine import Machine
from emu.observe.allocations.listening import on_allocations
from emu.subscriptions import Subscription, cancel_all


class Holders:
    """Keeps for what is held the satp of its allocation, from now on. Needs the observers that a ledger needs.

    A process is known by its satp, as the hardware knows it; where kernel and processes have page tables of their own,
    what the kernel takes for a process counts for the kernel.
    """

    def __init__(self, machine: Machine) -> None:
        self._satp = machine.hart.csr["satp"]
        self._frames: dict[int, int] = {}
        self._blocks: dict[int, tuple[int, int]] = {}
        self._subscriptions: list[Subscription] = [
            machine.on(AddressSpaceSwitched, self._switched),
            machine.on(MachineReset, lambda _event: self._forget()),
        ]
        self._subscriptions += on_allocations(machine, self._frame, self._frame_back, self._block, self._block_back)

    def close(self) -> None:
        """Listen no more; what is known stays."""
        cancel_all(self._subscriptions)

    def frames(self) -> Mapping[int, tuple[int, int]]:
        """By satp: how many frames are held, and their bytes; the most first."""
        counts = Counter(self._frames.values())
        return {satp: (count, count * PAGE_SIZE) for satp, count in counts.most_common()}

    def blocks(self) -> Mapping[int, tuple[int, int]]:
        """By satp: how many blocks are held, and the bytes that were asked for; the most bytes first."""
        counts, sizes = Counter[int](), Counter[int]()
        for satp, size in self._blocks.values():
            counts[satp] += 1
            sizes[satp] += size
        return {satp: (counts[satp], size) for satp, size in sizes.most_common()}

    def _switched(self, event: AddressSpaceSwitched) -> None:
        self._satp = event.new

    def _forget(self) -> None:
        self._frames.clear()
        self._blocks.clear()
        self._satp = 0

    def _frame(self, event: FrameAllocated) -> None:
        self._frames.update(dict.fromkeys(range(event.ppn, event.ppn + event.count), self._satp))

    def _frame_back(self, event: FrameFreed) -> None:
        for ppn in range(event.ppn, event.ppn + event.count):
            self._frames.pop(ppn, None)

    def _block(self, event: HeapAllocated) -> None:
        self._blocks[event.address] = self._satp, event.size

    def _block_back(self, event: HeapFreed) -> None:
        self._blocks.pop(event.address, None)
