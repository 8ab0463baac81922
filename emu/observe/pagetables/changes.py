"""What a page-table entry has gone through, backwards: who took a right away, and who mapped it."""

from collections.abc import Iterator
from dataclasses import dataclass

from emu.address import PhysAddr, VirtAddr
from emu.errors import AddressError
from emu.isa.privilege import Access
from emu.machine import Machine
from emu.machine.history.moment import Moment
from emu.mmu.pte import Pte, V
from emu.observe.calls.backtrace import Backtrace

_MOST = 64
"""Stores to one entry that are looked at."""
_RIGHTS = 0b11111
"""V, R, W, X and U."""


@dataclass(frozen=True, slots=True)
class PteChange:
    """A store of the guest that changed a page-table entry, and the moment just before it."""

    moment: Moment
    pc: VirtAddr
    callers: tuple[VirtAddr, ...]
    """The calls that led there, innermost first."""
    pte_address: PhysAddr
    level: int
    """Of its table: 0 is the last."""
    old: Pte
    new: Pte

    @property
    def maps(self) -> bool:
        """Whether the entry was invalid before, and valid afterwards."""
        return not self.old.v and self.new.v

    @property
    def taken(self) -> int:
        """The bits of V, R, W, X and U that were there before, and not afterwards."""
        return self.old & ~self.new & _RIGHTS


def pte_changes(machine: Machine, address: int | str) -> Iterator[PteChange]:
    """The changes of the entry that decides about a virtual address now, the last one first, to what mapped it.

    That is the leaf, or the entry at which the walk of a load ends. Its changes by page walks (A and D) and by devices
    are not among them. The machine stays where it is. Raises AddressError where no entry decides, since paging is off
    or the address is not canonical; ConfigError for a machine without history.
    """
    place = machine.address_of(address)
    leaf = machine.walk(place, Access.LOAD).leaf
    if leaf is None or not machine.memory.contains(int(leaf.pte_address), 8):
        raise AddressError(f"no page-table entry decides about {place:#x} now")
    entry = int(leaf.pte_address)
    before: Moment | None = None
    for _ in range(_MOST):
        before = machine.last_write(entry, 8, before=before, physical=True)
        if before is None:
            return
        with machine.at(before):
            pc, callers = machine.hart.pc, Backtrace(machine).callers_here()
            old = Pte(machine.memory.read_int(entry, 8))
            machine.history.forward()
            new = Pte(machine.memory.read_int(entry, 8))
        if not (old | new) & V:  # what was there before it was an entry
            return
        if old == new:
            continue
        change = PteChange(before, pc, callers, leaf.pte_address, leaf.level, old, new)
        yield change
        if change.maps:
            return
