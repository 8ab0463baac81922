"""Fidelity `fast`: the core's own CSRs, page walker and interrupts; exceptions are entered and explained here."""

from collections.abc import Callable
from typing import cast

from emu.address import VirtAddr
from emu.engine import Stop
from emu.engine.library import MEM_FETCH, MEM_READ
from emu.engine.window import EXT_COUNTERS_BYTE, FEATURES_BYTE, FFLAGS_BYTE, Word
from emu.errors import MachineError
from emu.events import AddressSpaceSwitched, Event, SyscallMade, TrapReturned, TrapTaken
from emu.hart import native_csrs as native
from emu.hart.core import COUNT, PC, PRIVILEGE, RESERVATION, HartCore, Platform
from emu.hart.csrfile import STCE, CsrFile
from emu.hart.fills import PROT_EXEC, PROT_READ, PROT_WRITE, CodeSplit
from emu.hart.floats import riscv_flags, softfloat_flags
from emu.hart.traps import enter_m, enter_s, leave_s, next_interrupt, trap_target
from emu.isa.causes import ACCESS_FAULTS, INTERRUPT_BIT, PAGE_FAULTS, ExceptionCause
from emu.isa.csrs import HPM_COUNTERS, MHPM_COUNTERS, MHPM_EVENTS, PMP_ADDRESSES, PMP_CONFIGS, Csr
from emu.isa.privilege import Access, Privilege
from emu.isa.status import SATP_MODE_SHIFT, SSTATUS_READ, SSTATUS_WRITE, STIP, XLEN_64, Status, effective_privilege
from emu.memory import Ram
from emu.mmu import walk
from emu.subscriptions import EventBus
from emu.walks import Refusal, Walk

_ALL = (1 << 64) - 1
_MPRV = int(Status.MPRV)
_U, _S, _M = Privilege.U, Privilege.S, Privilege.M
_STATUS, _MIP, _MIE, _MIDELEG, _SATP = Word.MSTATUS, Word.MIP, Word.MIE, Word.MIDELEG, Word.SATP
_SRET, _SFENCE_MASK, _SFENCE = 0x10200073, 0xFE007FFF, 0x12000073
_ACCESS_OF_FAULT = {int(cause): access for access, cause in PAGE_FAULTS.items()}
_FORCED_BY: dict[type[Event], int] = {TrapReturned: native.NATIVE_TSR, AddressSpaceSwitched: native.NATIVE_TVM}
_EMULATED = frozenset(
    {
        Csr.CYCLE, Csr.TIME, Csr.INSTRET, Csr.MCYCLE, Csr.MINSTRET, Csr.MCOUNTINHIBIT, Csr.STIMECMP, Csr.MENVCFG,
        Csr.SENVCFG, Csr.MCONFIGPTR, Csr.TSELECT, Csr.TDATA1, Csr.TDATA2, Csr.TDATA3,
        *HPM_COUNTERS, *PMP_CONFIGS, *PMP_ADDRESSES, *MHPM_COUNTERS, *MHPM_EVENTS,
    }
)  # fmt: skip
"""CSRs that the core does not have or gets wrong: they arrive as illegal instructions and are carried out here."""


class FastHart(HartCore):
    """A hart that runs at nearly the core's own speed."""

    def __init__(self, ram: Ram, bus: EventBus, platform: Platform, *, probes: str | None = None) -> None:
        self._forced = 0
        super().__init__(ram, bus, platform, probes=probes)
        self._lines = 0
        self._emulated = CsrFile(self)
        self.engine.protect_translated_code()
        self._split = CodeSplit(lambda _page: None)
        self._paging_begins_at: int | None = None
        self.engine.translate_in_guest(True)
        window = self.engine.window
        window.load()
        window.octets[EXT_COUNTERS_BYTE] = 0
        window.octets[FEATURES_BYTE] &= ~2  # without PMP entries, as in `exact`
        self.words[_STATUS] = XLEN_64
        window.store()

    # Privilege and CSRs.

    @property
    def privilege(self) -> Privilege:
        """The current privilege."""
        return Privilege(self.words[PRIVILEGE])

    def set_privilege(self, privilege: Privilege) -> None:
        """Change the current privilege, outside of `run`."""
        self.engine.window.load()
        self.words[PRIVILEGE] = int(privilege)
        self.engine.window.store()

    @property
    def status(self) -> int:
        """`mstatus` as the manual has it."""
        return native.status_to_manual(self.words[_STATUS], self._forced)

    def read_csr(self, number: int) -> int | None:
        """The value of a CSR for the host, whatever the guest's privilege; None when there is no such CSR."""
        words = self.words
        plain = native.PLAIN.get(number)
        if plain is not None:
            return words[plain[0]]
        reader = self._special_readers.get(number)
        if reader is not None:
            return reader()
        if number in native.CONSTANT:
            return native.CONSTANT[Csr(number)]
        if number in _EMULATED:
            return self._as_machine_mode(lambda: self._emulated.read(number))
        return None

    @property
    def _special_readers(self) -> dict[int, Callable[[], int]]:
        words = self.words
        return {
            Csr.MSTATUS: lambda: self.status,
            Csr.SSTATUS: lambda: self.status & SSTATUS_READ,
            Csr.SATP: lambda: words[_SATP],
            Csr.MIP: lambda: words[_MIP],
            Csr.SIP: lambda: words[_MIP] & words[_MIDELEG],
            Csr.SIE: lambda: words[_MIE] & words[_MIDELEG],
            Csr.FFLAGS: self.float_flags,
            Csr.FRM: self.rounding,
            Csr.FCSR: lambda: self.float_flags() | self.rounding() << 5,
        }

    def write_csr(self, number: int, value: int) -> bool:
        """Write a CSR as M mode would; False when there is no such CSR."""
        value &= _ALL
        words = self.words
        self.engine.window.load()
        plain = native.PLAIN.get(number)
        if plain is not None:
            words[plain[0]] = value & plain[1]
        elif number == Csr.MSTATUS:
            self._write_status(value, _ALL)
        elif number == Csr.SSTATUS:
            self._write_status(value, SSTATUS_WRITE)
        elif number == Csr.SATP:
            self._write_satp(value)
        elif number == Csr.MIP:
            words[_MIP] = (value & 0x222) | self._lines
        elif number == Csr.SIE:
            words[_MIE] = (words[_MIE] & ~words[_MIDELEG]) | (value & words[_MIDELEG])
        elif number == Csr.FCSR:
            self.set_float_flags(value & 31)
            self.set_rounding(value >> 5 & 7)
        elif number in _EMULATED:
            return bool(self._as_machine_mode(lambda: self._emulated.write(number, value)))
        else:
            return number in native.CONSTANT and number >> 10 != 3
        self.engine.window.store()
        self._request_interrupts()
        return True

    def _write_status(self, value: int, mask: int) -> None:
        status = (self.status & ~mask) | (value & mask & ~int(Status.SD)) | XLEN_64
        self.words[_STATUS] = native.status_to_native(status, self._forced)
        self.engine.window.store()
        self.flush_translations()

    def _write_satp(self, value: int) -> None:
        if native.is_safe_satp(value):
            self.words[_SATP] = value
            self.engine.window.store()
            self.flush_translations()

    def _as_machine_mode(self, access: Callable[[], int | bool | None]) -> int | bool | None:
        privilege = self.words[PRIVILEGE]
        self.words[PRIVILEGE] = int(_M)
        self.slots[COUNT] += 1  # the CSRs take the instruction that asks for counted already
        try:
            return access()
        finally:
            self.slots[COUNT] -= 1
            self.words[PRIVILEGE] = privilege

    def flush_translations(self) -> None:
        """Forget cached translations, with the core stopped or in an exception."""
        self.engine.flush_tlb()

    # Exceptions.

    def exception(self, number: int) -> None:
        """See `emu.engine.Guest`."""
        words = self.words
        epc = (words[PC] - 4) & _ALL
        access = _ACCESS_OF_FAULT.get(number)
        if access is not None:
            self._page_fault(epc, access, words[Word.BAD_ADDRESS])
        elif number == 8:
            self._environment_call(epc)
        elif number == 2:
            instruction = self.fetch_instruction(epc)
            if not self._emulate(instruction, epc):
                self.rewind(epc)
                self.trap(ExceptionCause.ILLEGAL_INSTRUCTION, instruction, epc)
        else:
            self.rewind(epc)
            self.trap(number, words[Word.BAD_ADDRESS], epc)

    def breakpoint(self) -> None:
        """See `emu.engine.Guest`."""
        pc = self.words[PC]
        self.rewind(pc)
        self.trap(ExceptionCause.BREAKPOINT, pc, pc)

    def _page_fault(self, epc: int, access: Access, address: int) -> None:
        if access is Access.FETCH:
            if self._has_returned(epc):
                return
            self.between_blocks(epc)
        else:
            self.rewind(epc)
            operand = self.operand_at(epc)
            access = operand.access if operand else access  # the core begins an atomic store with a load
        seen = self.walk(address, access)
        if seen.refusal is Refusal.TABLE_OUTSIDE_MEMORY:
            self.trap(ACCESS_FAULTS[access], address, epc)
        elif seen.refusal is None:  # the core's TLB still refuses what the page table allows by now
            self.trap(PAGE_FAULTS[access], address, epc)
        else:
            self.page_fault(seen, epc)

    def _environment_call(self, epc: int) -> None:
        privilege = self.words[PRIVILEGE]
        self.slots[COUNT] -= 1
        if privilege == _U and SyscallMade in self._listening:
            self.emit_syscall(epc)
        if privilege == _S and self.platform.supervisor_call():
            self.slots[COUNT] += 1
            self._request_interrupts()
            return
        self.trap(8 + privilege, 0, epc)

    def _emulate(self, instruction: int, epc: int) -> bool:
        """Carry out what the core lacks, or what a listener wants to see; False for an illegal instruction."""
        if instruction & 0x7F != 0x73:
            return False
        privilege = self.words[PRIVILEGE]
        if (instruction >> 12) & 3:
            number = instruction >> 20
            if number in _EMULATED:
                return self._csr_instruction(instruction, self._emulated.read, self._emulated.write)
            if number == Csr.SATP and self._forced & native.NATIVE_TVM and privilege == _S and not self._guest_tvm():
                return self._csr_instruction(instruction, lambda _: self.words[_SATP], self._switch_address_space)
        elif instruction == _SRET and privilege == _S and self._forced & native.NATIVE_TSR:
            return self._sret(epc)
        elif instruction & _SFENCE_MASK == _SFENCE and privilege == _S and self._forced & native.NATIVE_TVM:
            if self._guest_tvm():
                return False
            self.rewind(epc)
            self.slots[COUNT] += 1
            self.between_blocks(epc + 4)
            self.flush_translations()
            return True
        return False

    def _guest_tvm(self) -> bool:
        """TVM as the guest has set it; while it is forced, the guest's own is assumed clear."""
        return False

    def _csr_instruction(
        self, instruction: int, read: Callable[[int], int | None], write: Callable[[int, int], bool]
    ) -> bool:
        number, source, destination = instruction >> 20, (instruction >> 15) & 31, (instruction >> 7) & 31
        kind, immediate = (instruction >> 12) & 3, (instruction >> 14) & 1
        words = self.words
        writes = kind == 1 or source != 0
        if words[PRIVILEGE] < (number >> 8) & 3 or (writes and number >> 10 == 3):
            return False
        values = self._emulated.values
        values[Csr.MCOUNTEREN], values[Csr.SCOUNTEREN] = words[Word.MCOUNTEREN], words[Word.SCOUNTEREN]
        old = read(number)
        if old is None:
            return False
        if writes:
            operand = source if immediate else words[source]
            new = operand if kind == 1 else (old | operand if kind == 2 else old & ~operand)
            if not write(number, new & _ALL):
                return False
        if destination:
            words[destination] = old
        return True

    def _switch_address_space(self, _number: int, value: int) -> bool:
        old = self.words[_SATP]
        if native.is_safe_satp(value):
            self.words[_SATP] = value
            self.flush_translations()
            if AddressSpaceSwitched in self._listening:
                self.bus.emit(
                    AddressSpaceSwitched(
                        instret=self.slots[COUNT] - 1, pc=VirtAddr(self.words[PC] - 4), privilege=self.privilege,
                        old=old, new=value,
                    )
                )  # fmt: skip
        return True

    def _sret(self, epc: int) -> bool:
        words = self.words
        old = words[_STATUS]
        words[_STATUS], privilege = leave_s(old)
        words[PRIVILEGE] = int(privilege)
        words[PC] = words[Word.SEPC]
        words[RESERVATION] = _ALL
        if TrapReturned in self._listening:
            self.bus.emit(
                TrapReturned(
                    instret=self.slots[COUNT] - 1, pc=VirtAddr(epc), privilege=_S, to_privilege=privilege,
                    target=VirtAddr(words[PC]),
                )
            )  # fmt: skip
        return True

    # Traps and interrupts.

    def trap(self, cause: int, tval: int, epc: int) -> None:
        """Enter the handler of a synchronous exception; `instret` is exact already."""
        delegated = self.words[PRIVILEGE] != _M and self.words[Word.MEDELEG] >> cause & 1
        target = self._enter(cause, tval, epc, _S if delegated else _M, interrupt=False)
        self.check_progress(cause, epc, target, tval)

    def _enter(self, cause: int, tval: int, epc: int, to: Privilege, *, interrupt: bool) -> int:
        words = self.words
        source, status = self.privilege, words[_STATUS]
        recorded = cause | INTERRUPT_BIT if interrupt else cause
        if to == _S:
            words[_STATUS] = enter_s(status, source)
            words[Word.SEPC], words[Word.SCAUSE], words[Word.STVAL] = epc, recorded, tval
            target = trap_target(words[Word.STVEC], cause, interrupt=interrupt)
        else:
            words[_STATUS] = enter_m(status, source)
            words[Word.MEPC], words[Word.MCAUSE], words[Word.MTVAL] = epc, recorded, tval
            target = trap_target(words[Word.MTVEC], cause, interrupt=interrupt)
        words[PRIVILEGE], words[PC], words[RESERVATION] = int(to), target, _ALL
        if status & _MPRV:
            self.flush_translations()
        self.between_blocks(target)
        if TrapTaken in self._listening:
            self.emit_trap(cause, tval, epc, source, to, target, interrupt=interrupt)
        return target

    @property
    def lines(self) -> int:
        """The bits of `mip` that devices hold up."""
        return self._lines

    def set_line(self, bit: int, level: bool) -> None:
        """Set the level of an interrupt line into `mip`; the core looks at it before its next block."""
        self._lines = self._lines | bit if level else self._lines & ~bit
        words = self.words
        words[_MIP] = words[_MIP] | bit if level else words[_MIP] & ~bit
        self._request_interrupts()

    def _request_interrupts(self) -> None:
        if not self._delivers_here:
            self.engine.announce_interrupts()

    @property
    def _delivers_here(self) -> bool:
        """While somebody listens to traps, interrupts are entered by the model, because the core tells nobody."""
        return TrapTaken in self._listening

    def deliver_interrupts(self) -> None:
        """Take an interrupt now if one is due, with pc exact."""
        if not self._delivers_here:
            self.engine.announce_interrupts()
            return
        words = self.words
        pending = words[_MIP] & words[_MIE]
        if pending:
            due = next_interrupt(pending, words[_MIDELEG], words[_STATUS], words[PRIVILEGE])
            if due is not None:
                self._enter(due[0], 0, words[PC], due[1], interrupt=True)

    def run(self, deadline: int) -> Stop:
        """See `HartCore.run`; with a listener to traps, block by block while an interrupt is pending."""
        if self._delivers_here and self.slots[COUNT] < deadline:
            self.deliver_interrupts()
            if self.interrupt_is_pending():
                return self._run_block(deadline)
        stop = super().run(deadline)
        if stop is Stop.WAITING:
            self._waited()
        return stop

    def _run_block(self, deadline: int) -> Stop:
        """One block, because the next may be the one that enables the interrupt."""
        slots = self.slots
        before = slots[COUNT]
        stop = self.engine.run_block(deadline)
        if stop is Stop.DEADLINE and slots[COUNT] == before:  # the whole block does not fit before the deadline
            stop = self._run_partly(deadline - before)
        if stop is Stop.WAITING:
            self._waited()
        return stop

    def _waited(self) -> None:
        """`wfi` has executed; it does not end its block."""
        pc = self.words[PC]
        self.rewind(pc - 4)
        self.slots[COUNT] += 1
        self.between_blocks(pc)

    def interrupt_is_pending(self) -> bool:
        """Whether an enabled interrupt is pending, which ends `wfi` whatever `mstatus` says."""
        return bool(self.words[_MIP] & self.words[_MIE])

    def set_supervisor_timer(self, level: bool) -> None:
        """Raise or lower STIP for `stimecmp` (Sstc)."""
        self.set_line(STIP, level)

    def supervisor_timecmp(self) -> int:
        """What `mtime` is to reach for Sstc's timer interrupt; 2**64-1 while Sstc is off."""
        values = self._emulated.values
        return values[Csr.STIMECMP] if values[Csr.MENVCFG] & STCE else _ALL

    def listening_changed(self, kind: type[Event]) -> None:
        """Have the core trap where only a trap shows that something happened."""
        bit = _FORCED_BY.get(kind)
        window = self.engine.window
        window.load()
        if bit:
            listening = kind in self._listening
            self._forced = self._forced | bit if listening else self._forced & ~bit
            words = self.words
            words[_STATUS] = words[_STATUS] | bit if listening else words[_STATUS] & ~bit
        elif kind is TrapTaken:
            self.engine.announce_interrupts(withdraw=self._delivers_here)
        window.store()

    # Translation.

    def fill(self, address: int, access: int) -> tuple[int, int] | None:
        """Until paging is on: the core's own walker would make every page executable and writable, which is slow."""
        address &= ~0xFFF
        needed = PROT_EXEC if access == MEM_FETCH else PROT_READ if access == MEM_READ else PROT_WRITE
        words = self.words
        privilege = words[PRIVILEGE]
        if access != MEM_FETCH:
            privilege = effective_privilege(words[_STATUS], privilege)
        if privilege != _M and words[_SATP] >> SATP_MODE_SHIFT:
            self._paging_begins_at = access
            return None
        if not self.ram.contains(address, 1):
            return address, PROT_READ | PROT_WRITE | PROT_EXEC
        return address, self._split.grant(address >> 12, PROT_READ | PROT_WRITE | PROT_EXEC, needed)

    def refused(self) -> None:
        """Paging has been turned on: from now on the core walks by itself."""
        pc = self.words[PC]
        if self._paging_begins_at is None:
            raise MachineError(f"the engine refused a translation at pc {pc:#x} that nobody was asked for")
        if self._paging_begins_at == MEM_FETCH:
            self.between_blocks(pc)
        else:
            self.rewind(pc)
        self._paging_begins_at = None
        self.engine.translate_in_guest(False)

    def add_device(self, base: int, size: int) -> None:
        """Send accesses to a range of physical addresses to the platform."""
        self.engine.add_device(base, size)

    def walk(self, address: int, access: Access, privilege: Privilege | None = None) -> Walk:
        """The page walk that an access at this moment would make; nothing is changed."""
        status = self.words[_STATUS]
        if privilege is None:
            privilege = self.privilege
            if access is not Access.FETCH:
                privilege = Privilege(effective_privilege(status, privilege))
        return walk(
            self.ram.read_word, self.words[_SATP], address, access, privilege,
            sum_bit=bool(status & Status.SUM), mxr=bool(status & Status.MXR),
        )  # fmt: skip

    def look_up(self, address: int) -> Walk:
        """The walk of a load that is allowed everything in the current address space."""
        privilege = Privilege(effective_privilege(self.words[_STATUS], self.words[PRIVILEGE]))
        return walk(
            self.ram.read_word, self.words[_SATP], address, Access.LOAD, privilege or _S, sum_bit=True, mxr=True
        )

    def _physical_code(self, address: int) -> int:
        physical = self.engine.translate_code(address)  # as the core has it cached, whatever the page table says by now
        if physical is None or not self.ram.contains(physical, 2):
            raise MachineError(f"no code at {address:#x}: the page cannot be fetched from")
        return physical

    # Saving.

    def save(self) -> object:
        """All state of the hart, for `restore`."""
        window = self.engine.window
        window.load()
        return bytes(window.octets), self._emulated.save(), self._lines, self.slots[COUNT], self._last_trap

    def restore(self, state: object, *, forget_code: bool) -> None:
        """Return to a saved state, after memory has."""
        octets, emulated, self._lines, count, self._last_trap = cast(
            "tuple[bytes, object, int, int, tuple[int, int]]", state
        )
        window = self.engine.window
        forced = self._forced
        window.octets[:] = octets
        self.words[_STATUS] = (self.words[_STATUS] & ~(native.NATIVE_TVM | native.NATIVE_TSR)) | forced
        window.store()
        self._emulated.restore(emulated)
        self.slots[COUNT] = count
        self.between_blocks(self.words[PC])
        if forget_code:
            self.engine.forget_all_code()
        self.engine.translate_in_guest(not self.words[_SATP] >> SATP_MODE_SHIFT)
        self._request_interrupts()

    # What the emulated CSRs ask of their hart.

    def status_written(self, old: int, new: int) -> None:
        """The core has `mstatus`."""

    def satp_written(self, old: int, new: int) -> None:
        """The core has `satp`."""

    def interrupts_written(self) -> None:
        """The core has `mip` and `mie`."""

    def timer_written(self) -> None:
        """See `emu.hart.csrfile.CsrOwner`."""
        self.platform.timer_written()

    def retired(self) -> int:
        """See `emu.hart.csrfile.CsrOwner`: the CSR instruction that asks is counted already."""
        return self.slots[COUNT] - 1

    def time_now(self) -> int:
        """See `emu.hart.csrfile.CsrOwner`."""
        return self.platform.time_at(self.slots[COUNT] - 1)

    def float_flags(self) -> int:
        """`fflags`."""
        return riscv_flags(self.engine.window.octets[FFLAGS_BYTE])

    def set_float_flags(self, value: int) -> None:
        """Write `fflags`."""
        self.engine.window.octets[FFLAGS_BYTE] = softfloat_flags(value)

    def rounding(self) -> int:
        """`frm`."""
        return self.words[Word.FRM]

    def set_rounding(self, value: int) -> None:
        """Write `frm`."""
        self.words[Word.FRM] = value

    def float_state_is_dirty(self) -> bool:
        """The core has `mstatus`."""
        return False
