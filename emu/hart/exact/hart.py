"""Fidelity `exact`: every CSR instruction, trap, return and translation is decided here; the core executes the rest.

The core's own privilege is never M: model M and S run as S with TVM, TW and TSR set, so that `mret`, `sret`, `wfi`,
`sfence.vma` and, with the CSR extension switched off, every CSR instruction arrive as illegal instructions.
"""

from collections.abc import Callable

from emu.address import PAGE_BITS, PAGE_OFFSET, VirtAddr
from emu.engine.csrs.layout import LINES
from emu.engine.traps import fences
from emu.events import SyscallMade, TrapReturned
from emu.hart.exact.state import Choices
from emu.hart.exact.translation import ExactTranslation
from emu.hart.traps import Places, enter_handler, enter_m, enter_s, leave_m, leave_s, next_interrupt
from emu.hart.words import BLOCK, BLOCK_PC, COUNT, PC, RESERVATION, remember
from emu.hints import TYPE_CHECKING
from emu.isa.causes import ExceptionCause
from emu.isa.csrs import Csr
from emu.isa.encodings import MRET, OPCODE, SFENCE_VMA, SFENCE_VMA_MASK, SRET, SYSTEM, WFI
from emu.isa.privilege import Privilege
from emu.isa.status import (
    Status,
)
from emu.memory import Ram
from emu.subscriptions import EventBus

if TYPE_CHECKING:
    from emu.hart.csr_owner import Read, Write
    from emu.hart.platform import Platform

_MSTATUS, _SATP, _SEPC, _MEPC = int(Csr.MSTATUS), int(Csr.SATP), int(Csr.SEPC), int(Csr.MEPC)
_MPRV = int(Status.MPRV)
_TVM, _TW, _TSR = int(Status.TVM), int(Status.TW), int(Status.TSR)
# Plain numbers: looking a member up in its Enum takes longer than the rest of a CSR access.
_MEDELEG, _MIDELEG, _MIE, _MIP = int(Csr.MEDELEG), int(Csr.MIDELEG), int(Csr.MIE), int(Csr.MIP)
_ALL = (1 << 64) - 1
_U, _S, _M = Privilege.U, Privilege.S, Privilege.M
_INTO_S = Places(enter_s, *map(int, (Csr.MSTATUS, Csr.SEPC, Csr.SCAUSE, Csr.STVAL, Csr.STVEC)))
_INTO_M = Places(enter_m, *map(int, (Csr.MSTATUS, Csr.MEPC, Csr.MCAUSE, Csr.MTVAL, Csr.MTVEC)))
_ILLEGAL, _ECALL = int(ExceptionCause.ILLEGAL_INSTRUCTION), int(ExceptionCause.ECALL_FROM_U)

Operation = Callable[[int], None]
"""Carries out one instruction at the given pc, including what it does to pc when it does not just go on behind it."""


class ExactHart(ExactTranslation):
    """A hart whose privileged architecture is the Python model."""

    def __init__(self, ram: Ram, bus: EventBus, platform: "Platform", choices: Choices) -> None:
        super().__init__(ram, bus, platform, choices)
        self._operations: dict[int, Operation] = {}
        self._operation_at: dict[int, Operation] = {}
        """The operation of each instruction that arrived so far, by its block and its place in there."""

    def operations_changed(self) -> None:
        """See `ExactState`."""
        self._operations.clear()
        self._operation_at.clear()

    # Exceptions and instructions that arrive as exceptions.

    def exception(self, number: int) -> None:
        """See `emu.engine.Guest`."""
        words = self.words
        epc = (words[PC] - 4) & _ALL
        if number == 2:
            slots = self.slots
            block = slots[BLOCK]
            key = block << PAGE_BITS | (epc - slots[BLOCK_PC]) & PAGE_OFFSET  # a block is shorter than a page
            operation = self._operation_at.get(key)
            if operation is None:
                instruction = self.fetch_instruction(epc)
                operation = self._operation(instruction)
                if block:
                    remember(self._operation_at, key, operation)
                    if instruction == SRET:
                        self.engine.note_return(block, key & PAGE_OFFSET)
                    elif instruction & SFENCE_VMA_MASK == SFENCE_VMA and (register := instruction >> 15 & 31):
                        word = fences.about(self.instructions_from(epc), register)
                        self.engine.note_return(block, key & PAGE_OFFSET, word)
            operation(epc)
        elif number == 8:
            self._environment_call(epc)
        else:
            self.raised_by_core(number, epc)

    def _environment_call(self, epc: int) -> None:
        privilege = self._privilege
        self.slots[COUNT] -= 1
        if privilege is _U and SyscallMade in self._listening:
            self.emit_syscall(epc)
        if privilege is _S and self.platform.supervisor_call():
            self.slots[COUNT] += 1
            self.deliver_interrupts()
            return
        self.trap(_ECALL + privilege, 0, epc)

    def _operation(self, instruction: int) -> Operation:
        operation = self._operations.get(instruction)
        if operation is None:
            operation = self._operations[instruction] = self._decode(instruction)
        return operation

    def _decode(self, instruction: int) -> Operation:
        if instruction & OPCODE == SYSTEM and (instruction >> 12) & 3:
            return self._csr_operation(instruction)
        if instruction == SRET:
            return self._sret
        if instruction == MRET:
            return self._mret
        if instruction == WFI:
            return self._wfi
        if instruction & SFENCE_VMA_MASK == SFENCE_VMA:
            return self._sfence_of(instruction)
        return lambda epc: self._illegal(epc, instruction)

    def _illegal(self, epc: int, instruction: int) -> None:
        self.rewind(epc)
        self.trap(_ILLEGAL, instruction, epc)

    def _csr_operation(self, instruction: int) -> Operation:
        """The operation of a CSR instruction, with everything decoded that does not change (Zicsr, chapter 9)."""
        number, source, kind = instruction >> 20, (instruction >> 15) & 31, (instruction >> 12) & 3
        reader, writer = self.csrs.reader(number), self.csrs.writer(number)
        writes = kind == 1 or source != 0
        if reader is None or (writes and (number >> 10 == 3 or writer is None)):
            return lambda epc: self._illegal(epc, instruction)
        is_told = self.tells_of_csr(number)
        if number in self.csrs.plain and (number >> 8) & 3 == 1 and not is_told:
            return self._plain_csr(instruction, number, self.csrs.plain[number] if writes else 0)
        if writes and writer is not None:
            # Setting and clearing bits of `mip` starts from what software wrote, without the lines (section 3.1.9).
            base = (lambda: self._values[_MIP]) if number == _MIP else None
            told = self._telling(number, reader, writer) if is_told else writer
            return self._csr_read_and_write(instruction, reader, told, base)
        return self._csr_read(instruction, reader)

    def _plain_csr(self, instruction: int, number: int, mask: int) -> Operation:
        """A CSR of S mode that is nothing but its value; of what is written, `mask` is kept."""
        source, destination, words, values = (instruction >> 15) & 31, (instruction >> 7) & 31, self.words, self._values
        kind, immediate = (instruction >> 12) & 3, (instruction >> 14) & 1

        def access(epc: int) -> None:
            if self._privilege is _U:
                return self._illegal(epc, instruction)
            old = values[number]
            if mask:
                operand = source if immediate else words[source]
                if kind != 1:
                    operand = old | operand if kind == 2 else old & ~operand
                values[number] = operand & mask
            if destination:
                words[destination] = old
            return None

        return access

    def _telling(self, number: int, reader: "Read", writer: "Write") -> "Write":
        """A writer that tells who listens what has come of it."""

        def write(value: int) -> bool:
            done = writer(value)
            if done:
                self.emit_csr_written(number, value, reader() or 0)
            return done

        return write

    def _csr_read(self, instruction: int, reader: "Read") -> Operation:
        least, destination, words = (instruction >> 28) & 3, (instruction >> 7) & 31, self.words

        def read(epc: int) -> None:
            value = reader() if self._privilege >= least else None
            if value is None:
                self._illegal(epc, instruction)
            elif destination:
                words[destination] = value

        return read

    def _csr_read_and_write(
        self, instruction: int, reader: "Read", writer: "Write", base: Callable[[], int] | None = None
    ) -> Operation:
        """`base` gives what bits are set and cleared in, where that is not what is read."""
        least, source, destination = (instruction >> 28) & 3, (instruction >> 15) & 31, (instruction >> 7) & 31
        kind, immediate, words = (instruction >> 12) & 3, (instruction >> 14) & 1, self.words

        def read_and_write(epc: int) -> None:
            old = reader() if self._privilege >= least else None
            if old is None:
                return self._illegal(epc, instruction)
            operand = source if immediate else words[source]
            if kind != 1:
                before = old if base is None else base()
                operand = before | operand if kind == 2 else before & ~operand
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
        if self._privilege is _U or (self._privilege is _S and status & _TSR):
            return self._illegal(epc, SRET)
        values[_MSTATUS], privilege = leave_s(status)
        return self._return(epc, SRET, values[_SEPC], status, privilege)

    def _mret(self, epc: int) -> None:
        values = self._values
        if self._privilege is not _M:
            return self._illegal(epc, MRET)
        status = values[_MSTATUS]
        values[_MSTATUS], privilege = leave_m(status)
        return self._return(epc, MRET, values[_MEPC], status, privilege)

    def _return(self, epc: int, instruction: int, target: int, old_status: int, privilege: Privilege) -> None:
        source, values = self._privilege, self._values
        self.words[PC], self.words[RESERVATION] = target, _ALL
        self._change_privilege(privilege)
        self.note_return(epc, instruction, target, values[_SATP])
        if old_status & _MPRV and not values[_MSTATUS] & _MPRV:
            self._change_translations()
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
        if (values[_MIP] | values[LINES]) & values[_MIE]:
            self.deliver_interrupts()

    def _wfi(self, epc: int) -> None:
        privilege = self._privilege
        if privilege is _U or (privilege is _S and self._values[_MSTATUS] & _TW):
            return self._illegal(epc, WFI)
        self._complete(epc)
        if not self.interrupt_is_pending():
            self.platform.waiting()
        return self.deliver_interrupts()

    def _sfence_of(self, instruction: int) -> Operation:
        """`sfence.vma`; of one address where rs1 is not x0, in all address spaces (section 4.2.1)."""
        source, words = instruction >> 15 & 31, self.words

        def sfence(epc: int) -> None:
            privilege = self._privilege
            if privilege is _U or (privilege is _S and self._values[_MSTATUS] & _TVM):
                return self._illegal(epc, instruction)
            address = words[source]
            self._complete(epc)
            if not source or privilege is _M or self.engine.translations.is_in_large(address):
                return self.flush_translations()
            self.stale.fenced(address)
            self._code.pop(address >> PAGE_BITS, None)
            return self.engine.translations.forget_page(address)

        return sfence

    def _complete(self, epc: int) -> None:
        """Retire an instruction that the core takes for one in the middle of its block."""
        self.rewind(epc)
        self.slots[COUNT] += 1
        self.between_blocks(epc + 4)

    # Traps.

    def trap(self, cause: int, tval: int, epc: int) -> None:
        """Enter the handler of a synchronous exception; `instret` is exact already."""
        source = self._privilege
        delegated = source is not _M and self._values[_MEDELEG] >> cause & 1
        to = _S if delegated else _M
        target = self._enter(cause, tval, epc, source, to, interrupt=False)
        self.note_trap(cause, tval, epc, source, to, target)

    def _enter(self, cause: int, tval: int, epc: int, source: Privilege, to: Privilege, *, interrupt: bool) -> int:
        """What hardware does on a trap (privileged manual, sections 3.1.6.1 and 3.1.7)."""
        values = self._values
        target = enter_handler(values, _INTO_S if to is _S else _INTO_M, cause, tval, epc, source, interrupt=interrupt)
        self.words[PC] = target
        self.words[RESERVATION] = _ALL
        if to is not source:
            self._go_to(to)
        self.tell_entry(cause, tval, epc, source, to, target, values[_SATP], interrupt=interrupt)
        return target

    def deliver_interrupts(self) -> None:
        """Take an interrupt now if one is due, with pc exact."""
        values = self._values
        pending = (values[_MIP] | values[LINES]) & values[_MIE]
        if not pending:
            return
        source = self._privilege
        due = next_interrupt(pending, values[_MIDELEG], values[_MSTATUS], source)
        if due is not None:
            number, to = due
            self._enter(number, 0, self.words[PC], source, to, interrupt=True)
