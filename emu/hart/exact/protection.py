"""Physical memory protection in fidelity `exact`: open ranges for quick fills, and pages that an entry cuts."""

from functools import lru_cache

from emu.address import PAGE_BITS, PAGE_OFFSET, PAGE_SIZE, PAGE_START, PhysAddr
from emu.buffers import buffer_address
from emu.engine import Stop
from emu.hart import pmp_csrs
from emu.hart.exact.state import Choices, ExactState
from emu.hart.fills import CodeSplit
from emu.hart.words import COUNT
from emu.hints import TYPE_CHECKING
from emu.isa.causes import ACCESS_FAULTS
from emu.isa.operands import instruction_length
from emu.isa.privilege import Access, Privilege
from emu.lateclass import replace
from emu.memory import Ram
from emu.mmu.pmp import Region, allows, granted, open_range, page_permissions
from emu.mmu.walk import needed_flags
from emu.subscriptions import EventBus
from emu.walks import Refusal, Walk

if TYPE_CHECKING:
    from emu.hart.platform import Platform

_S, _M = Privilege.S, Privilege.M
_HALF = 2
_Range = tuple[int, int]
"""First address and bytes."""


class ExactProtection(ExactState):
    """What PMP lets the hart reach.

    In `_open_to_s` and `_open_to_m` (first address and bytes) everything is allowed and nothing is checked. Pages that
    an entry cuts are never given to the core: each instruction that touches one is checked to the byte and executed
    alone.
    """

    def __init__(self, ram: Ram, bus: EventBus, platform: "Platform", choices: Choices) -> None:
        super().__init__(ram, bus, platform, choices)
        self._split = CodeSplit(ram.base, ram.size)
        self._regions: tuple[Region, ...] = ()
        self._open_to_s = self._open_to_m = self._open_start, self._open_size = ram.base, 0
        self._open_words = ram.words
        """The words of the open range, in which page tables need no check."""
        self._checked: dict[tuple[int, bool], int] = {}
        """What the instruction at pc may do to cut pages (their virtual address, and whether it is the fetch)."""
        self._steps = False
        self._measured: tuple[int, ...] = ()
        """The values of the registers that all this was found out of."""
        self._measure()

    def protection_written(self) -> None:
        """See `emu.hart.csr_owner.CsrOwner`."""
        self._measure()
        self.flush_translations()

    def _measure(self) -> None:
        state = self.csrs.pmp.state()
        if state == self._measured:
            return
        ram, self._measured = self.ram, state
        self._regions, self._open_to_m, self._open_to_s = _measured(state, ram.base, ram.base + ram.size)
        start, size = self._open_start, self._open_size = self._open_to_s
        self._open_words = ram.words[(start - ram.base) >> 3 : (start - ram.base + size) >> 3]
        fetched = buffer_address(self._split.fetched) + (start - ram.base >> PAGE_BITS)
        self.engine.translations.walk(start, size, ram.host_address + start - ram.base, fetched)

    def _protection_of(self, address: int, frame: int, privilege: int, *, fetch: bool) -> int:
        """What the core may be given of a frame outside of the open ranges; 0 also for a page that is to be checked."""
        permissions = page_permissions(self._regions, frame, privilege)
        return self._checked.get((address, fetch), 0) if permissions is None else permissions

    # Page tables: their accesses are those of S mode (section 3.7.1).

    def _read_table(self, address: int) -> int | None:
        return self.ram.read_word(address) if allows(self._regions, address, 8, Access.LOAD, _S) else None

    def _protected_tables(self, seen: Walk) -> Walk:
        """A walk by `_read_table`, with the true reason, and without A and D that cannot be written."""
        leaf = seen.leaf
        if leaf is None or self._open_size == self.ram.size:
            return seen
        if seen.refusal is Refusal.TABLE_OUTSIDE_MEMORY and self.ram.contains(int(leaf.pte_address), 8):
            return replace(seen, refusal=Refusal.TABLE_PROTECTED)
        if seen.physical is None or leaf.pte & (flags := needed_flags(seen.access)) == flags:
            return seen
        if allows(self._regions, int(leaf.pte_address), 8, Access.STORE, _S):
            return seen
        return replace(seen, physical=None, refusal=Refusal.TABLE_PROTECTED)

    def _protected(self, seen: Walk) -> Walk:
        """A walk whose outcome takes the protection of the byte it leads to into account."""
        physical = seen.physical
        if physical is None or allows(self._regions, int(physical), 1, seen.access, seen.privilege):
            return seen
        return replace(seen, physical=None, refusal=Refusal.PHYSICAL_PROTECTION)

    # Cut pages.

    def _check_bytes(self, seen: Walk, intended: Access, pc: int) -> bool:
        """Whether the access of the instruction at `pc` that `seen` is of may go on; if not, the fault is taken.

        For a page that an entry cuts, the instruction will be executed alone.
        """
        assert seen.physical is not None
        if seen.access is Access.FETCH:
            return self._check_fetch(seen, seen.physical, pc)
        operand, start = self.operand_at(pc), int(seen.address)
        end = start + 1 if operand is None else operand.address(self.words) + operand.size
        size = max(1, min(end, (start | PAGE_SIZE - 1) + 1) - start)  # the part in each page is an access of its own
        permissions = granted(self._regions, int(seen.physical), size, seen.privilege)
        if not permissions & _NEEDED[intended]:
            self.trap(ACCESS_FAULTS[intended], start, pc)
            return False
        self._note_checked(seen, permissions)
        return True

    def _check_fetch(self, seen: Walk, physical: PhysAddr, pc: int) -> bool:
        start, place = int(seen.address), int(physical)
        has_two_halves = start == pc and pc & PAGE_OFFSET != PAGE_SIZE - _HALF and self.ram.contains(place, _HALF)
        halves = 1
        if has_two_halves:
            low = int.from_bytes(self.ram.view[place - self.ram.base : place - self.ram.base + _HALF], "little")
            halves = instruction_length(low) // _HALF
        for offset in range(0, halves * _HALF, _HALF):
            if not allows(self._regions, place + offset, _HALF, Access.FETCH, seen.privilege):
                self.trap(ACCESS_FAULTS[Access.FETCH], start + offset, pc)
                return False
        self._note_checked(seen, _NEEDED[Access.FETCH])
        return True

    def _note_checked(self, seen: Walk, permissions: int) -> None:
        page = int(seen.physical or 0) & PAGE_START
        if page_permissions(self._regions, page, seen.privilege) is None:
            self._checked[int(seen.address) & PAGE_START, seen.access is Access.FETCH] = permissions
            self.asks_again = True
            if not self._steps:
                self.engine.request_stop()

    def run(self, deadline: int) -> Stop:
        """See `HartCore.run`; after an instruction that touches a cut page, it returns as at a deadline."""
        self._checked.clear()
        stop = super().run(deadline)
        if not self._checked or self.slots[COUNT] >= deadline:
            return stop
        self._steps = True
        try:
            return self._run_partly(1)
        finally:
            self._steps = False
            self._checked.clear()
            self.engine.window.load()
            self._change_translations()
            self.engine.window.store()


@lru_cache(maxsize=64)
def _measured(state: tuple[int, ...], start: int, end: int) -> tuple[tuple[Region, ...], _Range, _Range]:
    """What the entries say, and the ranges in which M mode, and S mode, may do anything."""
    regions = pmp_csrs.regions(state)
    (m_start, m_end), (s_start, s_end) = (open_range(regions, start, end, privilege) for privilege in (_M, _S))
    return regions, (m_start, m_end - m_start), (s_start, s_end - s_start)


_NEEDED = {Access.LOAD: 1, Access.STORE: 2, Access.FETCH: 4}
