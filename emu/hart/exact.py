"""Fidelity `exact`: every CSR instruction, trap, return and translation is decided here; the core executes the rest.

The core's own privilege is never M: model M and S run as S with TVM, TW and TSR set, so that `mret`, `sret`, `wfi`,
`sfence.vma` and, with the CSR extension switched off, every CSR instruction arrive as illegal instructions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from emu.address import PhysPageNum, VirtAddr, VirtPageNum
from emu.engine.clock import Slot
from emu.engine.codepages import CHUNK_BITS
from emu.engine.library import MEM_FETCH, MEM_READ
from emu.engine.window import EXT_COUNTERS_BYTE, EXT_ICSR_BYTE, FFLAGS_BYTE, Word
from emu.errors import MachineError
from emu.events import AddressSpaceSwitched, Event, SyscallMade, TlbFilled, TrapReturned, TrapTaken
from emu.hart.core import COUNT, PC, PRIVILEGE, RESERVATION, HartCore, Platform
from emu.hart.csrfile import STCE, CsrFile, Read, Write
from emu.hart.fills import PROT_EXEC, PROT_READ, PROT_WRITE, CodeSplit, find_leaf, frame_of, permissions
from emu.hart.floats import riscv_flags, softfloat_flags
from emu.hart.traps import enter_m, enter_s, leave_m, leave_s, next_interrupt, trap_target
from emu.isa.causes import ACCESS_FAULTS, INTERRUPT_BIT, ExceptionCause
from emu.isa.csrs import Csr
from emu.isa.privilege import Access, Privilege
from emu.isa.status import (
    FS_DIRTY,
    PAGING_LEVELS,
    SATP_MODE_SHIFT,
    STIP,
    Status,
    effective_privilege,
)
from emu.memory import Ram
from emu.mmu import AdUpdate, walk
from emu.mmu.walk import needed_flags
from emu.subscriptions import EventBus
from emu.walks import Refusal, Walk

_NATIVE_TRAPS = (1 << 20) | (1 << 29) | (1 << 30)  # the core has TW and TSR at other bits than the manual
_MSTATUS, _SATP = int(Csr.MSTATUS), int(Csr.SATP)
_FS, _MPRV, _MPP = int(Status.FS), int(Status.MPRV), int(Status.MPP)
_SUM, _MXR = int(Status.SUM), int(Status.MXR)
_TVM, _TW, _TSR = int(Status.TVM), int(Status.TW), int(Status.TSR)
_NATIVE_STATUS, _FRM = int(Word.MSTATUS), int(Word.FRM)
_ALL = (1 << 64) - 1
_U, _S, _M = Privilege.U, Privilege.S, Privilege.M
_ILLEGAL, _SYSTEM_OPCODE = int(ExceptionCause.ILLEGAL_INSTRUCTION), 0x73
_MRET, _SRET, _WFI = 0x30200073, 0x10200073, 0x10500073
_SFENCE_MASK, _SFENCE = 0xFE007FFF, 0x12000073

Operation = Callable[[int], None]
"""Carries out one instruction at the given pc, including what it does to pc when it does not just go on behind it."""


class ExactHart(HartCore):
    """A hart whose privileged architecture is the Python model."""

    def __init__(
        self,
        ram: Ram,
        bus: EventBus,
        platform: Platform,
        *,
        modes: frozenset[int] = frozenset(PAGING_LEVELS),
        ad_update: AdUpdate = AdUpdate.HARDWARE,
        probes: str | None = None,
    ) -> None:
        self._code: dict[int, int] = {}
        self._privilege = _M
        super().__init__(ram, bus, platform, probes=probes)
        self.ad_update = ad_update
        self.csrs = CsrFile(self, modes)
        self._values = self.csrs.values
        self._operations: dict[int, Operation] = {}
        self._memory_words = ram.words
        self._memory_size = ram.size
        self._split = CodeSplit(self._note_code)
        self._permissions = {
            privilege | (_SUM if sum_bit else 0) | (_MXR if mxr else 0): permissions(
                privilege, sum_bit=sum_bit, mxr=mxr
            )
            for privilege in (_U, _S)
            for sum_bit in (False, True)
            for mxr in (False, True)
        }
        self._shared_index_owner = _M
        self._user_page_seen = False
        self._interrupts_changed = False
        self._refusal: tuple[int, Access] | None = None
        self._announced: tuple[int, int] | None = None
        self._device_pages: set[int] = set()
        window = self.engine.window
        window.load()
        window.octets[EXT_ICSR_BYTE] = 0
        window.octets[EXT_COUNTERS_BYTE] = 0
        self._mirror()
        window.store()
        self.engine.translate_in_guest(True)

    # Privilege.

    @property
    def privilege(self) -> Privilege:
        """The current privilege."""
        return self._privilege

    def set_privilege(self, privilege: Privilege) -> None:
        """Change the current privilege, outside of `run`."""
        self.engine.window.load()
        self._change_privilege(privilege)
        self.engine.window.store()

    def _change_privilege(self, privilege: Privilege) -> None:
        old = self._privilege
        if privilege == old:
            return
        self._privilege = privilege
        self.words[PRIVILEGE] = 1 if privilege else 0
        # M and S share the core's translations for S.
        if privilege and privilege != self._shared_index_owner:
            self._shared_index_owner = privilege
            self.flush_translations()
        elif self._values[_MSTATUS] & _MPRV:
            self.flush_translations()

    def _mirror(self) -> None:
        """Bring the core's privilege and status in line with the model."""
        self.words[PRIVILEGE] = 1 if self._privilege else 0
        self.words[_NATIVE_STATUS] = _NATIVE_TRAPS | (self._values[_MSTATUS] & _FS)

    def flush_translations(self) -> None:
        """Forget cached translations, with the core stopped or in an exception."""
        self._code.clear()
        self._user_page_seen = False
        self.engine.flush_tlb()

    # Exceptions and instructions that arrive as exceptions.

    def exception(self, number: int) -> None:
        """See `emu.engine.Guest`."""
        words = self.words
        epc = words[PC] - 4
        if number == 2:
            page = self._code.get(epc >> 12)
            if page is None or epc & 0xFFE == 0xFFE:
                instruction = self.fetch_instruction(epc)
            else:
                index = page + ((epc & 0xFFE) >> 1)
                low = self._halves[index]
                instruction = low | self._halves[index + 1] << 16 if low & 3 == 3 else low
            operation = self._operations.get(instruction)
            if operation is None:
                operation = self._operations[instruction] = self._decode(instruction)
            operation(epc)
        elif number == 8:
            self._environment_call(epc)
        else:  # misaligned atomics, and whatever else the core can raise by itself
            self.rewind(epc)
            self.trap(number, words[Word.BAD_ADDRESS], epc)

    def breakpoint(self) -> None:
        """See `emu.engine.Guest`."""
        pc = self.words[PC]
        self.rewind(pc)
        self.trap(ExceptionCause.BREAKPOINT, pc, pc)

    def _environment_call(self, epc: int) -> None:
        privilege = self._privilege
        self.slots[COUNT] -= 1
        if privilege == _U and SyscallMade in self._listening:
            self.emit_syscall(epc)
        if privilege == _S and self.platform.supervisor_call():
            self.slots[COUNT] += 1
            self.deliver_interrupts()
            return
        self.trap(8 + privilege, 0, epc)

    def _decode(self, instruction: int) -> Operation:
        if instruction & 0x7F == _SYSTEM_OPCODE and (instruction >> 12) & 3:
            return self._csr_operation(instruction)
        if instruction == _SRET:
            return self._sret
        if instruction == _MRET:
            return self._mret
        if instruction == _WFI:
            return self._wfi
        if instruction & _SFENCE_MASK == _SFENCE:
            return self._sfence
        return lambda epc: self._illegal(epc, instruction)

    def _illegal(self, epc: int, instruction: int) -> None:
        self.rewind(epc)
        self.trap(_ILLEGAL, instruction, epc)

    def _csr_operation(self, instruction: int) -> Operation:
        """The operation of a CSR instruction, with everything decoded that does not change (Zicsr, chapter 9)."""
        number, source, kind = instruction >> 20, (instruction >> 15) & 31, (instruction >> 12) & 3
        reader, writer = self.csrs.readers.get(number), self.csrs.writers.get(number)
        writes = kind == 1 or source != 0
        if reader is None or (writes and (number >> 10 == 3 or writer is None)):
            return lambda epc: self._illegal(epc, instruction)
        if writes and writer is not None:
            return self._csr_read_and_write(instruction, reader, writer)
        return self._csr_read(instruction, reader)

    def _csr_read(self, instruction: int, reader: Read) -> Operation:
        least, destination, words = (instruction >> 28) & 3, (instruction >> 7) & 31, self.words

        def read(epc: int) -> None:
            value = reader() if self._privilege >= least else None
            if value is None:
                self._illegal(epc, instruction)
            elif destination:
                words[destination] = value

        return read

    def _csr_read_and_write(self, instruction: int, reader: Read, writer: Write) -> Operation:
        least, source, destination = (instruction >> 28) & 3, (instruction >> 15) & 31, (instruction >> 7) & 31
        kind, immediate, words = (instruction >> 12) & 3, (instruction >> 14) & 1, self.words

        def read_and_write(epc: int) -> None:
            old = reader() if self._privilege >= least else None
            if old is None:
                return self._illegal(epc, instruction)
            operand = source if immediate else words[source]
            if kind == 2:
                operand |= old
            elif kind == 3:
                operand = old & ~operand
            if not writer(operand):
                return self._illegal(epc, instruction)
            if destination:
                words[destination] = old
            if self._interrupts_changed:
                self._interrupts_changed = False
                self.deliver_interrupts()
            return None

        return read_and_write

    def _sret(self, epc: int) -> None:
        values = self._values
        status = values[_MSTATUS]
        if self._privilege == _U or (self._privilege == _S and status & _TSR):
            return self._illegal(epc, _SRET)
        values[_MSTATUS], privilege = leave_s(status)
        return self._return(epc, values[Csr.SEPC], status, privilege)

    def _mret(self, epc: int) -> None:
        values = self._values
        if self._privilege != _M:
            return self._illegal(epc, _MRET)
        status = values[_MSTATUS]
        values[_MSTATUS], privilege = leave_m(status)
        return self._return(epc, values[Csr.MEPC], status, privilege)

    def _return(self, epc: int, target: int, old_status: int, privilege: Privilege) -> None:
        source = self._privilege
        self.words[PC] = target
        self._change_privilege(privilege)
        if old_status & _MPRV and not self._values[_MSTATUS] & _MPRV:
            self.flush_translations()
        if TrapReturned in self._listening:
            self.bus.emit(
                TrapReturned(
                    instret=self.retired_count - 1,
                    pc=VirtAddr(epc),
                    privilege=source,
                    to_privilege=privilege,
                    target=VirtAddr(target),
                )
            )
        self.deliver_interrupts()

    def _wfi(self, epc: int) -> None:
        privilege = self._privilege
        if privilege == _U or (privilege == _S and self._values[_MSTATUS] & _TW):
            return self._illegal(epc, _WFI)
        self._complete(epc)
        if not self.interrupt_is_pending():
            self.platform.waiting()
        return self.deliver_interrupts()

    def _sfence(self, epc: int) -> None:
        privilege = self._privilege
        if privilege == _U or (privilege == _S and self._values[_MSTATUS] & _TVM):
            return self._illegal(epc, self.fetch_instruction(epc))
        self._complete(epc)
        return self.flush_translations()

    def _complete(self, epc: int) -> None:
        """Retire an instruction that the core takes for one in the middle of its block."""
        self.rewind(epc)
        self.slots[COUNT] += 1
        self.between_blocks(epc + 4)

    # Traps.

    def trap(self, cause: int, tval: int, epc: int) -> None:
        """Enter the handler of a synchronous exception; `instret` is exact already."""
        delegated = self._privilege != _M and self._values[Csr.MEDELEG] >> cause & 1
        target = self._enter(cause, tval, epc, _S if delegated else _M, interrupt=False)
        self.check_progress(cause, epc, target, tval)

    def _enter(self, cause: int, tval: int, epc: int, to: Privilege, *, interrupt: bool) -> int:
        """What hardware does on a trap (privileged manual, sections 3.1.6.1 and 3.1.7)."""
        values, source = self._values, self._privilege
        status = values[_MSTATUS]
        recorded = cause | INTERRUPT_BIT if interrupt else cause
        if to == _S:
            values[_MSTATUS] = enter_s(status, source)
            values[Csr.SEPC], values[Csr.SCAUSE], values[Csr.STVAL] = epc, recorded, tval
            target = trap_target(values[Csr.STVEC], cause, interrupt=interrupt)
        else:
            values[_MSTATUS] = enter_m(status, source)
            values[Csr.MEPC], values[Csr.MCAUSE], values[Csr.MTVAL] = epc, recorded, tval
            target = trap_target(values[Csr.MTVEC], cause, interrupt=interrupt)
        self.words[PC] = target
        self.words[RESERVATION] = _ALL
        self._change_privilege(to)
        self.between_blocks(target)
        if TrapTaken in self._listening:
            self.emit_trap(cause, tval, epc, source, to, target, interrupt=interrupt)
        return target

    def deliver_interrupts(self) -> None:
        """Take an interrupt now if one is due, with pc exact."""
        csrs = self.csrs
        pending = (self._values[Csr.MIP] | csrs.lines) & self._values[Csr.MIE]
        if not pending:
            return
        due = next_interrupt(pending, self._values[Csr.MIDELEG], self._values[_MSTATUS], self._privilege)
        if due is not None:
            number, to = due
            self._enter(number, 0, self.words[PC], to, interrupt=True)

    def interrupt_is_pending(self) -> bool:
        """Whether an enabled interrupt is pending, which ends `wfi` whatever `mstatus` says."""
        return bool(self.csrs.pending & self._values[Csr.MIE])

    @property
    def lines(self) -> int:
        """The bits of `mip` that devices hold up."""
        return self.csrs.lines

    def set_supervisor_timer(self, level: bool) -> None:
        """Raise or lower STIP for `stimecmp` (Sstc)."""
        self.set_line(STIP, level)

    def supervisor_timecmp(self) -> int:
        """What `mtime` is to reach for Sstc's timer interrupt; 2**64-1 while Sstc is off."""
        return self._values[Csr.STIMECMP] if self._values[Csr.MENVCFG] & STCE else _ALL

    def save(self) -> object:
        """All state of the hart, for `restore`."""
        window = self.engine.window
        window.load()
        return (
            bytes(window.octets), self.csrs.save(), self._privilege, self.slots[COUNT], self._last_trap,
        )  # fmt: skip

    def restore(self, state: object, *, forget_code: bool) -> None:
        """Return to a saved state, after memory has."""
        octets, csrs, privilege, count, self._last_trap = cast("_State", state)
        window = self.engine.window
        window.octets[:] = octets
        window.store()
        self.csrs.restore(csrs)
        self._values = self.csrs.values
        self._privilege = privilege
        self._shared_index_owner = privilege or _S
        self.slots[COUNT] = count
        self.between_blocks(self.words[PC])
        if forget_code:
            self.engine.forget_all_code()
        self.flush_translations()

    def set_line(self, bit: int, level: bool) -> None:
        """Set the level of an interrupt line into `mip`."""
        lines = self.csrs.lines
        self.csrs.lines = lines | bit if level else lines & ~bit

    # Translation.

    def fill(self, address: int, access: int) -> tuple[int, int] | None:
        """See `emu.engine.Guest`."""
        address &= ~0xFFF
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
            found = self._quick_walk(address, privilege, status, needed) or self._full_walk(address, needed)
            if found is None:
                return None
            frame, granted = found
        return self._grant(address, access, frame, granted, needed)

    def _quick_walk(self, address: int, privilege: int, status: int, needed: int) -> tuple[int, int] | None:
        """The frame and what its leaf grants; None for everything out of the ordinary."""
        leaf = find_leaf(self._memory_words, self.ram.base, self._memory_size, self._values[_SATP], address)
        if leaf is None:
            return None
        entry, shift = leaf
        granted = self._permissions[privilege | (status & (_SUM | _MXR))][entry & 0xFF]
        if not granted & needed:
            return None
        if entry & 0x10 and privilege:
            self._user_page_seen = True
        return frame_of(entry, shift, address), granted

    def _full_walk(self, address: int, needed: int) -> tuple[int, int] | None:
        """The manual's walk; sets A and D where hardware does, or notes the refusal."""
        access = _ACCESSES[needed]
        seen = self.walk(address, access)
        leaf = seen.leaf
        if seen.physical is None or leaf is None:
            self._refusal = (address, access)
            return None
        flags = needed_flags(access)
        entry = leaf.pte
        if entry & flags != flags:
            entry |= flags
            self._memory_words[(leaf.pte_address - self.ram.base) >> 3] = entry
            self.pte_updated(int(leaf.pte_address), leaf.pte, entry)
        key = seen.privilege | (self._values[_MSTATUS] & (_SUM | _MXR))
        if entry & 0x10 and seen.privilege == _S:
            self._user_page_seen = True
        return int(seen.physical), self._permissions[key][entry & 0xFF]

    def _grant(self, address: int, access: int, frame: int, granted: int, needed: int) -> tuple[int, int] | None:
        """Check that the frame is RAM or a device, announce it, and leave the rest to the split of code and data."""
        offset = frame - self.ram.base
        if not 0 <= offset < self._memory_size:
            if access == MEM_FETCH or frame >> 12 not in self._device_pages:
                self._refusal = (address, _ACCESSES[needed])
                return None
            return frame, granted & (PROT_READ | PROT_WRITE)
        if TlbFilled in self._listening:
            if self._announced != (address, needed):
                self._refusal = (address, _ACCESSES[needed])  # pc is not exact in here: `refused` has it
                return None
            self._announced = None
        if access == MEM_FETCH:
            self._code[address >> 12] = offset >> 1
        return frame, self._split.grant(frame >> 12, granted, needed)

    def _note_code(self, page: int) -> None:
        pages = self.engine.pages
        chunk = page >> (CHUNK_BITS - 12)
        if chunk not in pages.chunks:
            pages.add(chunk)
            self.slots[Slot.NEW_CODE] = 1

    def add_device(self, base: int, size: int) -> None:
        """Send accesses to a range of physical addresses to the platform."""
        self._device_pages.update(range(base >> 12, (base + size) >> 12))
        self.engine.add_device(base, size)

    def refused(self) -> None:
        """See `emu.engine.Guest`."""
        pc = self.words[PC]
        refusal, self._refusal = self._refusal, None
        if refusal is None:
            raise MachineError(f"the engine refused a translation at pc {pc:#x} that nobody was asked for")
        page, access = refusal
        if access is Access.FETCH:
            if self._has_returned(pc):
                return
            self.between_blocks(pc)
        else:
            self.rewind(pc)
        address, intended = self.refused_access(page, access)
        seen = self.walk(address, access)
        if seen.physical is None:
            if intended is not access:
                access, seen = intended, self.walk(address, intended)
            if seen.refusal is Refusal.TABLE_OUTSIDE_MEMORY:  # reading the PTE violates the PMA (section 4.3.2, step 2)
                self.trap(ACCESS_FAULTS[access], int(seen.address), pc)
            else:
                self.page_fault(seen, pc)
        elif self.ram.contains(int(seen.physical)) or (
            access is not Access.FETCH and int(seen.physical) >> 12 in self._device_pages
        ):
            self._announce(seen, page, pc)
        else:
            self.trap(ACCESS_FAULTS[intended], int(seen.address), pc)

    def _announce(self, seen: Walk, page: int, pc: int) -> None:
        """Tell who listens of the fill that the core is about to ask for again."""
        needed = _NEEDED[seen.access]
        self._announced = (page, needed)
        if seen.physical is not None and TlbFilled in self._listening:
            self.bus.emit(
                TlbFilled(
                    instret=self.retired_count,
                    pc=VirtAddr(pc),
                    privilege=self._privilege,
                    access=seen.access,
                    vpn=VirtPageNum(page >> 12),
                    ppn=PhysPageNum(int(seen.physical) >> 12),
                    walk=seen,
                )
            )

    def walk(self, address: int, access: Access, privilege: Privilege | None = None) -> Walk:
        """The page walk that an access at this moment would make; nothing is changed."""
        status = self._values[_MSTATUS]
        if privilege is None:
            privilege = self._privilege
            if access is not Access.FETCH:
                privilege = Privilege(effective_privilege(status, privilege))
        return walk(
            self.ram.read_word, self._values[_SATP], address, access, privilege,
            sum_bit=bool(status & _SUM), mxr=bool(status & _MXR), ad_update=self.ad_update,
        )  # fmt: skip

    def look_up(self, address: int) -> Walk:
        """The walk of a load that is allowed everything in the current address space."""
        privilege = Privilege(effective_privilege(self._values[_MSTATUS], self._privilege))
        return walk(
            self.ram.read_word, self._values[_SATP], address, Access.LOAD, privilege or _S, sum_bit=True, mxr=True
        )

    def pte_updated(self, address: int, old: int, new: int) -> None:
        """The walk has set A or D in a PTE."""

    def _physical_code(self, address: int) -> int:
        page = self._code.get(address >> 12)
        if page is not None:
            return self.ram.base + page * 2 + (address & 0xFFF)
        seen = self.walk(address, Access.FETCH)
        if seen.physical is None or not self.ram.contains(int(seen.physical), 2):
            raise MachineError(f"no code at {address:#x}: the page cannot be fetched from")
        return int(seen.physical)

    def listening_changed(self, kind: type[Event]) -> None:
        """Nothing to switch: every source passes through the model anyway."""

    # What the CSRs ask of their hart.

    def status_written(self, old: int, new: int) -> None:
        """See `emu.hart.csrfile.CsrOwner`."""
        words = self.words
        native = words[_NATIVE_STATUS]
        if native & _FS != new & _FS:
            words[_NATIVE_STATUS] = (native & ~_FS) | (new & _FS)
        changed = old ^ new
        if (
            (changed & _MPRV)
            or (changed & _MPP and new & _MPRV)
            or (changed & _MXR and old & _MXR)
            or (changed & _SUM and old & _SUM and self._user_page_seen)
        ):
            self.flush_translations()  # what the new status forbids may be cached; what it allows cannot be
        self._interrupts_changed = True

    def satp_written(self, old: int, new: int) -> None:
        """See `emu.hart.csrfile.CsrOwner`."""
        self.flush_translations()
        if AddressSpaceSwitched in self._listening:
            self.bus.emit(
                AddressSpaceSwitched(
                    instret=self.retired(), pc=VirtAddr(self.words[PC] - 4), privilege=self._privilege, old=old, new=new
                )
            )

    def interrupts_written(self) -> None:
        """See `emu.hart.csrfile.CsrOwner`."""
        self._interrupts_changed = True

    def timer_written(self) -> None:
        """See `emu.hart.csrfile.CsrOwner`."""
        self.platform.timer_written()
        self._interrupts_changed = True

    def retired(self) -> int:
        """See `emu.hart.csrfile.CsrOwner`: the CSR instruction that asks is counted already."""
        return self.slots[COUNT] - 1

    def time_now(self) -> int:
        """See `emu.hart.csrfile.CsrOwner`."""
        return self.platform.time_at(self.slots[COUNT] - 1)

    def read_csr(self, number: int) -> int | None:
        """The value of a CSR for the host, whatever the guest's privilege; None when there is no such CSR."""
        if number in _FLOAT_CSRS:  # the host may look even while FS is off
            self.engine.window.load()
            return {Csr.FFLAGS: self.float_flags(), Csr.FRM: self.rounding()}.get(
                Csr(number), self.float_flags() | self.rounding() << 5
            )
        with self._as_machine_mode():
            return self.csrs.read(number)

    def write_csr(self, number: int, value: int) -> bool:
        """Write a CSR by its WARL rules as M mode would; False when there is no such CSR."""
        with self._as_machine_mode():
            return number >> 10 != 3 and self.csrs.write(number, value)

    @contextmanager
    def _as_machine_mode(self) -> Iterator[None]:
        privilege, self._privilege = self._privilege, _M
        self.slots[COUNT] += 1  # the CSRs take the instruction that asks for counted already
        self.engine.window.load()
        try:
            yield
        finally:
            self.engine.window.store()
            self.slots[COUNT] -= 1
            self._privilege = privilege

    def float_flags(self) -> int:
        """See `emu.hart.csrfile.CsrOwner`."""
        return riscv_flags(self.engine.window.octets[FFLAGS_BYTE])

    def set_float_flags(self, value: int) -> None:
        """See `emu.hart.csrfile.CsrOwner`."""
        self.engine.window.octets[FFLAGS_BYTE] = softfloat_flags(value)

    def rounding(self) -> int:
        """See `emu.hart.csrfile.CsrOwner`."""
        return self.words[_FRM]

    def set_rounding(self, value: int) -> None:
        """See `emu.hart.csrfile.CsrOwner`."""
        self.words[_FRM] = value

    def float_state_is_dirty(self) -> bool:
        """See `emu.hart.csrfile.CsrOwner`."""
        return self.words[_NATIVE_STATUS] & _FS == FS_DIRTY


_FLOAT_CSRS = (Csr.FFLAGS, Csr.FRM, Csr.FCSR)
_State = tuple[bytes, object, Privilege, int, tuple[int, int]]
_NEEDED = {Access.FETCH: PROT_EXEC, Access.LOAD: PROT_READ, Access.STORE: PROT_WRITE}
_ACCESSES = {needed: access for access, needed in _NEEDED.items()}
