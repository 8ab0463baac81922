"""Page faults in groups by what they were for, with what resolved each and what that cost."""

from collections import Counter
from enum import Enum

from emu.address import PAGE_SIZE, VirtAddr
from emu.events import PageFault, PteWritten
from emu.isa.registers import SP
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.mmu.pte import Pte
from emu.observe.faults import PageFaultHandled, PageFaultObserver
from emu.subscriptions import Subscription, cancel_all
from emu.walks import Refusal

_STACK_REACH = 64 * PAGE_SIZE
"""So far below sp, or above, an access is one to the stack."""
_NOT_PRESENT = (Refusal.INVALID, Refusal.NOT_A_LEAF)


class FaultKind(Enum):
    """What a page fault was for; the value completes "a fault by ..."."""

    DEMAND = "demand"
    """Nothing was mapped, and the kernel mapped a page."""
    STACK = "stack growth"
    """The same, near the stack pointer and below what is mapped."""
    COPY = "copy on write"
    """A store to a page without W, and the page is another frame with W afterwards."""
    PERMISSION = "permission granted"
    """The kernel gave a right to a page that it had mapped without: W for a page of one's own, A and D by software."""
    PROTECTION = "protection"
    """A right was missing and stayed missing: the kernel went on elsewhere."""
    BUG = "bug"
    """Nothing was mapped, nothing was mapped for it, and the kernel went on elsewhere or not at all."""


@dataclass(frozen=True, slots=True)
class ResolvedFault:
    """A fault with its end."""

    fault: PageFault
    kind: FaultKind
    resolved_at: VirtAddr | None
    """The instruction that wrote the entry, where a write was seen."""
    cost: int | None
    """Instructions from the fault to the return; None for a handler that has not returned."""


class FaultGroups:
    """Sorts the page faults of a run; attach it before."""

    def __init__(self, machine: Machine, faults: PageFaultObserver) -> None:
        self._machine = machine
        self._faults = faults
        self.resolved: list[ResolvedFault] = []
        self._stacks: dict[int, int] = {}
        """sp at the fault, by the count of instructions."""
        self._writes: dict[int, PteWritten] = {}
        """The last write to each page's leaf since its fault, by the page's first address."""
        self._subscriptions: list[Subscription] = [
            machine.on(PageFault, self._faulted),
            machine.on(PteWritten, self._written),
            machine.on(PageFaultHandled, self._handled),
        ]

    def close(self) -> None:
        """Stop listening."""
        cancel_all(self._subscriptions)

    @property
    def all(self) -> list[ResolvedFault]:
        """Every fault, also those whose handlers have not returned."""
        opened = [ResolvedFault(fault, _unresolved(fault), None, None) for fault in self._faults.unhandled]
        return [*self.resolved, *opened]

    def counts(self) -> Counter[FaultKind]:
        """How many there were of each kind."""
        return Counter(each.kind for each in self.all)

    def _faulted(self, fault: PageFault) -> None:
        self._stacks[fault.instret] = self._machine.hart.x[SP]

    def _written(self, write: PteWritten) -> None:
        if not write.level and not write.by_walk:
            self._writes[int(write.first)] = write

    def _handled(self, end: PageFaultHandled) -> None:
        fault = end.fault
        page = int(fault.address) & -PAGE_SIZE
        write = self._writes.pop(page, None)
        stack = self._stacks.pop(fault.instret, 0)
        is_resolved = end.retried and end.walk.refusal is None
        kind = _resolved_kind(end, stack) if is_resolved else _unresolved(fault)
        by = write.pc if write is not None and is_resolved and write.instret >= fault.instret else None
        self.resolved.append(ResolvedFault(fault, kind, by, end.instret - fault.instret))


def _resolved_kind(end: PageFaultHandled, stack: int) -> FaultKind:
    before, after = end.fault.walk, end.walk
    if before.refusal in _NOT_PRESENT:
        is_near = abs(int(end.fault.address) - stack) <= _STACK_REACH
        return FaultKind.STACK if is_near else FaultKind.DEMAND
    old, new = before.leaf, after.leaf
    if before.refusal is Refusal.NOT_WRITABLE and old is not None and new is not None:
        return FaultKind.COPY if Pte(old.pte).ppn != Pte(new.pte).ppn else FaultKind.PERMISSION
    return FaultKind.PERMISSION


def _unresolved(fault: PageFault) -> FaultKind:
    return FaultKind.BUG if fault.walk.refusal in (*_NOT_PRESENT, Refusal.NOT_CANONICAL) else FaultKind.PROTECTION
