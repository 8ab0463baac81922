"""Translation in fidelity `exact`: each TLB fill of the core is answered by the model's page walk."""

from emu.address import PAGE_BITS, PAGE_OFFSET, PAGE_START, PhysAddr, PhysPageNum, VirtAddr, VirtPageNum
from emu.engine.library import MEM_FETCH, MEM_READ
from emu.events import PteWritten, StaleTranslationUsed, TlbFilled
from emu.hart.exact.protection import ExactProtection
from emu.hart.exact.stale import Kept
from emu.hart.exact.state import Choices
from emu.hart.fills import (
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    Walks,
    find_leaf,
    frame_of,
    no_code,
    permission_tables,
    unasked,
)
from emu.hart.words import COUNT, FENCES, PC
from emu.hints import TYPE_CHECKING
from emu.isa.causes import ACCESS_FAULTS
from emu.isa.csrs import Csr
from emu.isa.privilege import Access, Privilege
from emu.isa.status import (
    SATP_MODE_SHIFT,
    Status,
    effective_privilege,
)
from emu.memory import Ram
from emu.mmu import walk
from emu.mmu.walk import needed_flags
from emu.subscriptions import EventBus
from emu.walks import Refusal, Walk

if TYPE_CHECKING:
    from emu.hart.platform import Platform

_MSTATUS, _SATP = int(Csr.MSTATUS), int(Csr.SATP)
_MPRV, _MPP = int(Status.MPRV), int(Status.MPP)
_SUM, _MXR = int(Status.SUM), int(Status.MXR)
_U, _S, _M = Privilege.U, Privilege.S, Privilege.M


class ExactTranslation(ExactProtection):
    """What the hart may reach: quick walks, full walks, and the faults of refused ones."""

    def __init__(self, ram: Ram, bus: EventBus, platform: "Platform", choices: Choices) -> None:
        super().__init__(ram, bus, platform, choices)
        self._walks = Walks(ram)
        self._permissions = permission_tables()
        self._refusal: tuple[int, Access] | None = None
        self._announced: tuple[int, int] | None = None
        self._told: tuple[int, int, int, int] | None = None
        """The fill that was told last, with its privilege and `instret`: whoever asks for it again gets the same."""
        self._devices = tuple(range(base, base + size) for base, size in platform.device_ranges)
        self.add_source(TlbFilled)

    def fill(self, address: int, access: int) -> tuple[int, int] | None:
        """See `emu.engine.Guest`."""
        address &= PAGE_START
        values = self._values
        status = values[_MSTATUS]
        privilege: int = self._privilege
        if access == MEM_FETCH:
            needed = PROT_EXEC
        else:
            needed = PROT_READ if access == MEM_READ else PROT_WRITE
            if status & _MPRV and privilege == _M:
                privilege = (status & _MPP) >> 11
        if privilege == _M or not values[_SATP] >> SATP_MODE_SHIFT:
            frame, granted = address, PROT_READ | PROT_WRITE | PROT_EXEC
        else:
            if self.stale.is_on and (kept := self.stale.find(address, self._context(privilege), needed)):
                return self._grant_kept(kept, address, privilege, needed)
            found = self._quick_walk(address, privilege, status, needed) or self._full_walk(address, needed)
            if found is None:
                return None
            frame, granted = found
            if self.stale.is_on:
                self.stale.keep(address, self._context(privilege), frame, granted)
        return self._grant(address, privilege, frame, granted, needed)

    def _context(self, privilege: int) -> int:
        return privilege | (self._values[_MSTATUS] & (_SUM | _MXR))

    def _grant_kept(self, kept: Kept, address: int, privilege: int, needed: int) -> tuple[int, int] | None:
        """Answer as the TLB does, once the access by an entry that has changed since is told."""
        if kept.change is not None:
            if not kept.told:
                self._refusal = (address, _ACCESSES[needed])  # pc is not exact in here: `refused` has it
                return None
            self._announced = (address, needed)  # a fill that is no news
        return self._grant(address, privilege, kept.frame, kept.granted, needed)

    def _quick_walk(self, address: int, privilege: int, status: int, needed: int) -> tuple[int, int] | None:
        """The frame and what its leaf grants; None for everything out of the ordinary."""
        leaf = find_leaf(self._open_words, self._open_start, self._open_size, self._values[_SATP], address)
        if leaf is None:
            return None
        entry, shift = leaf
        if shift > PAGE_BITS:
            self.engine.translations.note_large(address, shift)
        granted = self._permissions[privilege | (status & (_SUM | _MXR))][entry & 0xFF]
        if not granted & needed:
            return None
        if entry & 0x10 and privilege:
            self.engine.translations.mark(address)
        return frame_of(entry, shift, address), granted

    def _full_walk(self, address: int, needed: int) -> tuple[int, int] | None:
        """The manual's walk; sets A and D where hardware does, or notes the refusal."""
        access = _ACCESSES[needed]
        seen = self._walk_tables(address, access)
        leaf = seen.leaf
        if seen.physical is None or leaf is None:
            self._refusal = (address, access)
            return None
        flags = needed_flags(access)
        entry = leaf.pte
        if entry & flags != flags:
            if PteWritten in self._listening:
                if self._announced != (address, needed):
                    self._refusal = (address, access)  # pc is not exact in here: `refused` has it
                    return None
                if TlbFilled not in self._listening:
                    self._announced = None
            entry |= flags
            self.ram.words[(leaf.pte_address - self.ram.base) >> 3] = entry
        if leaf.level:
            self.engine.translations.note_large(address, PAGE_BITS + 9 * leaf.level)
        key = seen.privilege | (self._values[_MSTATUS] & (_SUM | _MXR))
        if entry & 0x10 and seen.privilege == _S:
            self.engine.translations.mark(address)
        return int(seen.physical), self._permissions[key][entry & 0xFF]

    def _grant(self, address: int, privilege: int, frame: int, granted: int, needed: int) -> tuple[int, int] | None:
        """Check that the frame is RAM or a device, announce it, and leave the rest to the split of code and data."""
        start, size = self._open_to_m if privilege == _M else self._open_to_s
        is_open = 0 <= frame - start < size
        if not is_open:
            is_fetch = needed == PROT_EXEC
            granted &= self._protection_of(address, frame, privilege, fetch=is_fetch)
            is_memory = self.ram.contains(frame)
            if not granted & needed or not (is_memory or (self._is_device(frame) and not is_fetch)):
                self._refusal = (address, _ACCESSES[needed])
                return None
            if not is_memory:
                return frame, granted & (PROT_READ | PROT_WRITE)
        if TlbFilled in self._listening:
            fill = address, needed, privilege, self.slots[COUNT]
            if fill != self._told:
                if self._announced != (address, needed):
                    self._refusal = (address, _ACCESSES[needed])  # pc is not exact in here: `refused` has it
                    return None
                self._announced, self._told = None, fill
        if needed == PROT_EXEC:
            self._code[address >> PAGE_BITS] = (frame - self.ram.base) >> 1
        if is_open:
            self.engine.translations.keep()
        return frame, self._split.grant(frame >> PAGE_BITS, granted, needed)

    def _is_device(self, address: int) -> bool:
        return any(address in devices for devices in self._devices)

    def refused(self) -> None:
        """See `emu.engine.Guest`."""
        pc = self.words[PC]
        refusal, self._refusal = self._refusal, None
        if refusal is None:
            raise unasked(pc)
        page, access = refusal
        if access is Access.FETCH:
            if self._has_returned(pc) or self._is_late(pc):
                return
            self.between_blocks(pc)
            if self.trapped_as_undecodable(page, pc):
                return
        else:
            self.rewind(pc)
        address, intended = self.refused_access(page, access)
        if self.stale.is_on and self._used_stale(page, address, access, pc):
            return
        seen = self._walk_tables(address, access)
        if seen.physical is None:
            if intended is not access:
                access, seen = intended, self._walk_tables(address, intended)
            if seen.refusal in _TABLE_REFUSALS:  # reading the PTE violates the PMA or PMP (section 4.3.2, step 2)
                self.trap(ACCESS_FAULTS[access], int(seen.address), pc)
            else:
                self.page_fault(seen, pc)
        elif not (
            self.ram.contains(int(seen.physical))
            or (access is not Access.FETCH and self._is_device(int(seen.physical)))
        ):
            self.trap(ACCESS_FAULTS[intended], int(seen.address), pc)
        elif self._check_bytes(seen, intended, pc):
            self._announce(seen, page, pc)

    def _used_stale(self, page: int, address: int, access: Access, pc: int) -> bool:
        """Whether the access goes by a translation whose entry has changed, which is told if it makes a difference."""
        status = self._values[_MSTATUS]
        privilege = self._privilege if access is Access.FETCH else effective_privilege(status, self._privilege)
        kept = self.stale.find(page & PAGE_START, self._context(privilege), _NEEDED[access])
        if kept is None or kept.change is None or kept.told:
            return False
        kept.told = self.asks_again = True
        if access is not Access.FETCH:
            self.repeated_at = self.retired_count, pc
        seen = self._walk_tables(address, access)
        if seen.physical is None or int(seen.physical) & PAGE_START != kept.frame:
            self.bus.emit(
                StaleTranslationUsed(
                    instret=self.retired_count,
                    pc=VirtAddr(pc),
                    privilege=self._privilege,
                    access=access,
                    address=VirtAddr(address),
                    used=PhysAddr(kept.frame | address & PAGE_OFFSET),
                    change=kept.change,
                    walk=seen,
                )
            )
        return True

    def _announce(self, seen: Walk, page: int, pc: int) -> None:
        """Tell who listens of the fill that the core is about to ask for again."""
        needed = _NEEDED[seen.access]
        self._announced = (page, needed)
        self.asks_again = True
        if seen.access is not Access.FETCH:
            self.repeated_at = self.retired_count, pc
        leaf, flags = seen.leaf, needed_flags(seen.access)
        if PteWritten in self._listening and leaf is not None and leaf.pte & flags != flags:
            self.tables.emit(int(leaf.pte_address), leaf.pte, leaf.pte | flags, pc, by_walk=True)
        if seen.physical is not None and TlbFilled in self._listening:
            self.bus.emit(
                TlbFilled(
                    instret=self.retired_count,
                    pc=VirtAddr(pc),
                    privilege=self._privilege,
                    access=seen.access,
                    vpn=VirtPageNum(page >> PAGE_BITS),
                    ppn=PhysPageNum(int(seen.physical) >> PAGE_BITS),
                    walk=seen,
                )
            )

    def walk(self, address: int, access: Access, privilege: Privilege | None = None) -> Walk:
        """The page walk that an access at this moment would make; nothing is changed."""
        return self._protected(self._walk_tables(address, access, privilege))

    def _walk_tables(self, address: int, access: Access, privilege: Privilege | None = None) -> Walk:
        """The same, whatever protection says of the place that it leads to."""
        status = self._values[_MSTATUS]
        if privilege is None:
            privilege = self._privilege
            if access is not Access.FETCH:
                privilege = Privilege(effective_privilege(status, privilege))
        seen = walk(
            self._read_table, self._values[_SATP], address, access, privilege,
            sum_bit=bool(status & _SUM), mxr=bool(status & _MXR), ad_update=self.ad_update,
        )  # fmt: skip
        return self._protected_tables(seen)

    def look_up(self, address: int) -> Walk:
        """The walk of a load that is allowed everything in the current address space."""
        privilege = Privilege(effective_privilege(self._values[_MSTATUS], self._privilege))
        return walk(
            self.ram.read_word, self._values[_SATP], address, Access.LOAD, privilege or _S, sum_bit=True, mxr=True
        )

    def physical_of(self, address: int) -> int | None:
        """See the base."""
        if effective_privilege(self._values[_MSTATUS], self._privilege) == Privilege.M:
            return address
        found = self._walks.readable(self._values[_SATP], address)
        return self.look_up(address).physical if found is None else found

    def _physical_code(self, address: int) -> int:
        fences = self.slots[FENCES]
        if fences != self._fences:
            self._fences = fences
            self._code.clear()
        page = self._code.get(address >> PAGE_BITS)
        if page is not None:
            return self.ram.base + page * 2 + (address & PAGE_OFFSET)
        if self.stale.is_on and (
            old := self.stale.find(address & PAGE_START, self._context(self._privilege), PROT_EXEC)
        ):
            return old.frame | address & PAGE_OFFSET
        kept = self.engine.translations.find(address, MEM_FETCH)
        if kept is not None:
            self._code[address >> PAGE_BITS] = (kept[0] - self.ram.base) >> 1
            return kept[0] | address & PAGE_OFFSET
        seen = self.walk(address, Access.FETCH)
        if seen.physical is None or not self.ram.contains(int(seen.physical), 2):
            raise no_code(address)
        return int(seen.physical)


_TABLE_REFUSALS = (Refusal.TABLE_OUTSIDE_MEMORY, Refusal.TABLE_PROTECTED)
_NEEDED = {Access.FETCH: PROT_EXEC, Access.LOAD: PROT_READ, Access.STORE: PROT_WRITE}
_ACCESSES = {needed: access for access, needed in _NEEDED.items()}
