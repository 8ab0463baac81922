"""Fidelity `fast`: the core's own CSRs, page walker and interrupts; exceptions are entered and explained here."""

from collections.abc import Callable

from emu.address import PAGE_BITS, PAGE_OFFSET, PAGE_START, VirtAddr
from emu.engine import Stop
from emu.engine.library import MEM_FETCH, MEM_READ
from emu.engine.window import Word
from emu.errors import MachineError
from emu.events import PageFault, SyscallMade, TrapReturned
from emu.hart.counter_csrs import COUNTERS
from emu.hart.fast.state import PRIVILEGES, FastState
from emu.hart.fills import (
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    CodeSplit,
    Walks,
    find_leaf,
    frame_of,
    leads_outside,
    no_code,
    unasked,
)
from emu.hart.traps import Places, enter_handler, enter_m, enter_s, leave_s, next_interrupt
from emu.hart.words import BLOCK_LENGTH, BLOCK_PC, COUNT, PC, PRIVILEGE, RESERVATION
from emu.hints import TYPE_CHECKING
from emu.isa.causes import ACCESS_FAULTS, PAGE_FAULTS, ExceptionCause
from emu.isa.csrs import Csr
from emu.isa.encodings import OPCODE, SRET, SYSTEM, WFI
from emu.isa.operands import instruction_length
from emu.isa.privilege import Access, Privilege
from emu.isa.status import SATP_MODE_SHIFT, Status, effective_privilege
from emu.memory import Ram
from emu.mmu import walk
from emu.subscriptions import EventBus
from emu.walks import Refusal, Walk

if TYPE_CHECKING:
    from emu.hart.platform import Platform

_ALL = (1 << 64) - 1
_MPRV, _SUM, _MXR, _TSR = int(Status.MPRV), int(Status.SUM), int(Status.MXR), int(Status.TSR)
_U, _S, _M = Privilege.U, Privilege.S, Privilege.M
# Plain numbers: looking a member up in its Enum takes longer than reading the word.
_STATUS, _MIP, _MIE, _SATP, _SEPC = Word.MSTATUS, Word.MIP, Word.MIE, Word.SATP, Word.SEPC
_INTO_S = Places(enter_s, _STATUS, Word.SEPC, Word.SCAUSE, Word.STVAL, Word.STVEC)
_INTO_M = Places(enter_m, _STATUS, Word.MEPC, Word.MCAUSE, Word.MTVAL, Word.MTVEC)
_MEDELEG, _MIDELEG, _BAD_ADDRESS = Word.MEDELEG, Word.MIDELEG, Word.BAD_ADDRESS
_CSRRW = 1
"""funct3 of `csrrw`, and of `csrrwi` without the bit of its immediate."""
_ILLEGAL, _ECALL = int(ExceptionCause.ILLEGAL_INSTRUCTION), int(ExceptionCause.ECALL_FROM_U)
_ACCESS_OF_FAULT = {int(cause): access for access, cause in PAGE_FAULTS.items()}


class FastHart(FastState):
    """A hart that runs at nearly the core's own speed."""

    def __init__(self, ram: Ram, bus: EventBus, platform: "Platform", *, probes: str | None = None) -> None:
        super().__init__(ram, bus, platform, probes=probes)
        self._split = CodeSplit(ram.base, ram.size)
        self._walks = Walks(ram)
        self._paging_begins_at: int | None = None
        self._counter_reads: dict[int, Callable[[], bool]] = {}
        """What reads `time`, `cycle` or `instret`, by the bits of the instruction: guests do it all the time."""
        self.engine.enter_interrupts(lambda: self._due_interrupt() is not None, self._take_interrupt)

    # Exceptions.

    def exception(self, number: int) -> None:
        """See `emu.engine.Guest`."""
        words = self.words
        epc = (words[PC] - 4) & _ALL
        access = _ACCESS_OF_FAULT.get(number)
        if access is not None:
            self._page_fault(epc, access, words[_BAD_ADDRESS])
        elif number == _ECALL:
            self._environment_call(epc)
        elif number == _ILLEGAL:
            try:
                instruction = self.fetch_instruction(epc)
            except MachineError:
                self.rewind(epc)
                self.code_is_gone(epc)
                return
            read = self._counter_reads.get(instruction)
            if not (read() if read else self._emulate(instruction, epc)):
                self.rewind(epc)
                self.trap(_ILLEGAL, instruction, epc)
        else:
            self.raised_by_core(number, epc)

    def _page_fault(self, epc: int, access: Access, address: int) -> None:
        if access is Access.FETCH:
            if self._has_returned(epc) or self._is_late(epc):
                return
            self.between_blocks(epc)
            if self.trapped_as_undecodable(address, epc):
                return
        else:
            self.rewind(epc)
            operand = self.operand_at(epc)
            access = operand.access if operand else access  # the core begins an atomic store with a load
        ram, satp = self.ram, self.words[_SATP]
        if PageFault not in self._listening and satp >> SATP_MODE_SHIFT:  # nobody wants an account of the walk
            outside = leads_outside(ram.words, ram.base, ram.size, satp, address)
            self.trap((ACCESS_FAULTS if outside else PAGE_FAULTS)[access], address, epc)
            return
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
            return
        self.trap(_ECALL + privilege, 0, epc)

    def _emulate(self, instruction: int, epc: int) -> bool:
        """Carry out what the core lacks, or what a listener wants to see; False for an illegal instruction."""
        if instruction & OPCODE != SYSTEM:
            return False
        if (instruction >> 12) & 3:
            number = instruction >> 20
            if number in COUNTERS and not instruction >> 15 & 31 and (instruction >> 12) & 3 != _CSRRW:
                read = self._counter_reads[instruction] = self._counter_read(instruction)
                return read()
            return self._csr_instruction(instruction)
        if instruction != SRET or self.words[PRIVILEGE] != _S or self.words[_STATUS] & _TSR:
            return False
        return self._sret(epc)

    def _counter_read(self, instruction: int) -> Callable[[], bool]:
        """What `csrr` of a counter does; False where the counter may not be read."""
        words, destination = self.words, (instruction >> 7) & 31
        reader = self.csrs.reader(instruction >> 20)
        assert reader is not None

        def read() -> bool:
            value = reader()
            if value is None:
                return False
            if destination:
                words[destination] = value
            return True

        return read

    def _csr_instruction(self, instruction: int) -> bool:
        number, source, destination = instruction >> 20, (instruction >> 15) & 31, (instruction >> 7) & 31
        kind, immediate = (instruction >> 12) & 3, (instruction >> 14) & 1
        words, csrs = self.words, self.csrs
        writes = kind == _CSRRW or source != 0
        if words[PRIVILEGE] < (number >> 8) & 3 or (writes and number >> 10 == 3):
            return False
        old = csrs.read(number)
        if old is None:
            return False
        if writes:
            operand = source if immediate else words[source]
            if kind != _CSRRW:
                # Setting and clearing bits of `mip` starts from what software wrote, without the lines (section 3.1.9).
                before = csrs.values[number] if number == Csr.MIP else old
                operand = before | operand if kind == 2 else before & ~operand
            if not csrs.write(number, operand):
                return False
            if self.tells_of_csr(number):
                self.emit_csr_written(number, operand, csrs.read(number) or 0)
        if destination:
            words[destination] = old
        if self._interrupts_changed:
            self._interrupts_changed = False
            self.deliver_interrupts()
        return True

    def _sret(self, epc: int) -> bool:
        words = self.words
        old = words[_STATUS]
        words[_STATUS], privilege = leave_s(old)
        words[PRIVILEGE] = int(privilege)
        words[PC] = words[_SEPC]
        words[RESERVATION] = _ALL
        self.note_return(epc, SRET, words[PC], words[_SATP])
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
        source = self.privilege
        delegated = source is not _M and self.words[_MEDELEG] >> cause & 1
        to = _S if delegated else _M
        target = self._enter(cause, tval, epc, to, interrupt=False)
        self.note_trap(cause, tval, epc, source, to, target)

    def _enter(self, cause: int, tval: int, epc: int, to: Privilege, *, interrupt: bool) -> int:
        words = self.words
        source, status = self.privilege, words[_STATUS]
        target = enter_handler(words, _INTO_S if to is _S else _INTO_M, cause, tval, epc, source, interrupt=interrupt)
        words[PRIVILEGE], words[PC], words[RESERVATION] = to, target, _ALL
        if status & _MPRV:
            self.flush_translations()
        self.tell_entry(cause, tval, epc, source, to, target, words[_SATP], interrupt=interrupt)
        return target

    def deliver_interrupts(self) -> None:
        """Take an interrupt now if one is due, with pc exact; have the core look for others before each block."""
        words = self.words
        words[_MIP] |= self.csrs.lines
        self._take_interrupt()
        if words[_MIP]:
            self.engine.announce_interrupts()

    def _due_interrupt(self) -> tuple[int, Privilege] | None:
        words = self.words
        pending = words[_MIP] & words[_MIE]
        return next_interrupt(pending, words[_MIDELEG], words[_STATUS], words[PRIVILEGE]) if pending else None

    def _take_interrupt(self) -> None:
        due = self._due_interrupt()
        if due is not None:
            self._enter(due[0], 0, self.words[PC], due[1], interrupt=True)

    def _at_end(self, stop: Stop, deadline: int) -> Stop:
        """See `HartCore`."""
        stop = super()._at_end(stop, deadline)
        if stop is Stop.WAITING:
            self._waited()
        return stop

    def _run_partly(self, instructions: int, last: int | None = None) -> Stop:
        """See `HartCore`; `wfi` at the very end halts as the exit behind it does, and still waits."""
        last = self._behind(self.words[PC], instructions - 1) if last is None else last
        waits = self.fetch_instruction(last) == WFI
        stop = super()._run_partly(instructions, last)
        if waits and stop is Stop.DEADLINE and self.words[PC] == last + 4:
            self.platform.waiting()
        return stop

    def _waited(self) -> None:
        """`wfi` has executed; it does not end its block."""
        pc = self.words[PC]
        self.rewind(pc - 4)
        self.slots[COUNT] += 1
        self.between_blocks(pc)

    # Translation.

    def fill(self, address: int, access: int) -> tuple[int, int] | None:
        """Until paging is on: the core's own walker would make every page executable and writable, which is slow."""
        address &= PAGE_START
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
        return address, self._split.grant(address >> PAGE_BITS, PROT_READ | PROT_WRITE | PROT_EXEC, needed)

    def refused(self) -> None:
        """Paging has been turned on: from now on the core walks by itself."""
        pc = self.words[PC]
        if self._paging_begins_at is None:
            raise unasked(pc)
        if self._paging_begins_at == MEM_FETCH:
            self.fetch_refused(pc)
        else:
            self.rewind(pc)
        self._paging_begins_at = None
        self.engine.translate_in_guest(False)
        self.tables.entered(self.words[_SATP])

    def fetch_refused(self, pc: int) -> None:
        """See `HartCore`; but `sfence.vma` does not end its block, and what follows it there may be at fault."""
        slots = self.slots
        start, length = slots[BLOCK_PC], slots[BLOCK_LENGTH]
        if 0 < pc - start < 4 * length and self.walk(start, Access.FETCH).physical is None:
            slots[COUNT] -= length - self._instructions_once_at(start, pc)
        self.between_blocks(pc)

    def _instructions_once_at(self, start: int, end: int) -> int:
        # Code that has lost its mapping lay at its physical address: before paging, and in kernels that map it so.
        if not (self.ram.contains(start, 2) and self.ram.contains(end, 2)):
            return (end - start) // 4
        count = 0
        while start < end:
            start += instruction_length(self._halves[(start - self.ram.base) >> 1])
            count += 1
        return count

    def walk(self, address: int, access: Access, privilege: Privilege | None = None) -> Walk:
        """The page walk that an access at this moment would make; nothing is changed."""
        status = self.words[_STATUS]
        if privilege is None:
            privilege = self.privilege
            if access is not Access.FETCH:
                privilege = PRIVILEGES[effective_privilege(status, privilege)]
        return walk(
            self.ram.read_word, self.words[_SATP], address, access, privilege,
            sum_bit=bool(status & _SUM), mxr=bool(status & _MXR),
        )  # fmt: skip

    def look_up(self, address: int) -> Walk:
        """The walk of a load that is allowed everything in the current address space."""
        privilege = PRIVILEGES[effective_privilege(self.words[_STATUS], self.words[PRIVILEGE])]
        return walk(
            self.ram.read_word, self.words[_SATP], address, Access.LOAD, privilege or _S, sum_bit=True, mxr=True
        )

    def physical_of(self, address: int) -> int | None:
        """See the base."""
        words = self.words
        privilege = words[PRIVILEGE]
        if privilege == _M and effective_privilege(words[_STATUS], privilege) == _M:
            return address
        found = self._walks.readable(words[_SATP], address)
        return self.look_up(address).physical if found is None else found

    def _physical_code(self, address: int) -> int:
        engine = self.engine
        # The core knows what it has cached, whatever the page table says by now; but asking it can touch its TLB, and
        # while it asks us itself there is nothing that it could know.
        walks = engine.in_memory_hook or engine.in_access or engine.virtual
        physical = self._walk_for_code(address) if walks else engine.translate_code(address)
        if physical is None or not 0 <= physical - self.ram.base < self.ram.size:
            raise no_code(address)
        return physical

    def _walk_for_code(self, address: int) -> int | None:
        satp = self.words[_SATP]
        if self.words[PRIVILEGE] == _M or not satp >> SATP_MODE_SHIFT:
            return address
        leaf = find_leaf(self.ram.words, self.ram.base, self.ram.size, satp, address)
        return None if leaf is None else frame_of(*leaf, address) | address & PAGE_OFFSET
