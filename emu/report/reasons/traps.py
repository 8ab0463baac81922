"""A trap as a sentence: the cause, its place, what the instruction did, and why the hart refused it."""

from collections.abc import Sequence

from emu.address import VirtAddr
from emu.events import TrapTaken
from emu.firmware.symbols import SymbolKind
from emu.isa.causes import ACCESS_FAULTS, FAULTED_ACCESS, PAGE_FAULTS, ExceptionCause, cause_label
from emu.isa.operands import MemoryOperand, memory_operand
from emu.isa.privilege import Access
from emu.isa.registers import A7, SP
from emu.report.disassembly import disassemble
from emu.report.places import Places
from emu.report.reasons.access import access_reason, unmapped_device
from emu.report.reasons.illegal import illegal_reason
from emu.report.reasons.jumps import jump_origin
from emu.report.reasons.pages import refusal

_PAGE_CAUSES, _ACCESS_CAUSES = (frozenset(map(int, table.values())) for table in (PAGE_FAULTS, ACCESS_FAULTS))
_MISALIGNED = (ExceptionCause.LOAD_MISALIGNED, ExceptionCause.STORE_MISALIGNED)
_ECALLS = (ExceptionCause.ECALL_FROM_U, ExceptionCause.ECALL_FROM_S, ExceptionCause.ECALL_FROM_M)
_WORDS = {Access.LOAD: ("loads", "from"), Access.STORE: ("stores", "to")}
_NEAR_ZERO = 1 << 16
"""Bytes that the stack of a kernel which never set sp may have grown by."""
_GONE = "an instruction that cannot be seen any more"
"""What is said of one whose code was overwritten, or lies in another address space, since it trapped."""


class TrapReasons:
    """Explains traps of one machine by its present state.

    `registers` are the integer registers of the trap, those of now unless given.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._machine = places.machine

    def sentence(self, trap: TrapTaken, registers: Sequence[int] | None = None) -> str:
        """The cause, its place and its reason.

        For example: load access fault at work+0x4 (boot.S:9): `ld a1, 0(a0)` loads 8 bytes from 0x10: outside of
        memory: ...
        """
        label = cause_label(trap.cause, interrupt=trap.interrupt)
        why = self.why(trap, registers)
        return f"{label} at {self._place(trap.pc)}{f': {why}' if why else ''}"

    def _place(self, pc: VirtAddr) -> str:
        return self._places.name(pc) + self._machine.platform.names.inlined.suffix(pc)

    def why(self, trap: TrapTaken, registers: Sequence[int] | None = None) -> str | None:
        """The reason alone; None where the cause says everything."""
        if trap.interrupt:
            return None
        registers = self._machine.hart.x if registers is None else registers
        access = FAULTED_ACCESS.get(trap.cause)
        if access is not None:
            return self._access(trap, access, registers)
        if trap.cause == ExceptionCause.ILLEGAL_INSTRUCTION:
            return self._illegal(trap, registers)
        if trap.cause in _MISALIGNED:
            return self._misaligned(trap, registers)
        if trap.cause == ExceptionCause.BREAKPOINT:
            return "`ebreak`, where a debugger would stop, or an assertion of the program ends"
        if trap.cause in _ECALLS:
            return f"`ecall` with a7 = {registers[A7]:#x}"
        return None

    def is_refused_still(self, trap: TrapTaken) -> bool:
        """Whether what trapped would trap now: False for a page fault whose page is mapped by now."""
        access = FAULTED_ACCESS.get(trap.cause)
        if access is None or trap.cause not in _PAGE_CAUSES:
            return True
        return self._machine.walk(trap.tval, access, trap.privilege).refusal is not None

    def _access(self, trap: TrapTaken, access: Access, registers: Sequence[int]) -> str:
        operand = self._operand(trap, access, registers)
        size = operand.size if operand else 2 if access is Access.FETCH else 1  # of a fetch: the half that was refused
        if trap.cause in _ACCESS_CAUSES:
            reason = access_reason(self._machine, trap.tval, access, trap.privilege, size)
            if operand is not None and operand.base == SP and self._machine.peek(trap.tval, 1) is None:
                reason += _of_the_stack(trap.tval)
        else:
            reason = refusal(self._machine.walk(trap.tval, access, trap.privilege))
            device = unmapped_device(self._machine, trap.tval)
            reason += f"; {device} is at this physical address: map it, too" if device else ""
        if access is Access.FETCH:
            if trap.tval != trap.pc:
                return reason
            origin = jump_origin(self._places, trap.pc, trap.privilege, registers)
            return f"{reason}; {origin}" if origin else reason
        verb, preposition = _WORDS[access]
        if operand is None:
            return f"{_GONE} {verb} {preposition} {trap.tval:#x}: {reason}"
        instruction = self._places.instruction(trap.pc, trap.privilege)
        bytes_ = "a byte" if size == 1 else f"{size} bytes"
        return f"`{instruction}` {verb} {bytes_} {preposition} {trap.tval:#x}: {reason}"

    def _illegal(self, trap: TrapTaken, registers: Sequence[int]) -> str:
        instruction = trap.tval or self._code(trap)
        reason = illegal_reason(self._machine, instruction, trap.privilege)
        is_code = instruction & 0xFFFF and disassemble(instruction.to_bytes(4, "little"), 0) is not None
        if is_code and not self._is_data(trap.pc):
            return reason
        place = self._place_of_no_code(trap.pc)
        origin = jump_origin(self._places, trap.pc, trap.privilege, registers)
        return "; ".join(part for part in (reason, place, origin) if part)

    def _misaligned(self, trap: TrapTaken, registers: Sequence[int]) -> str:
        access = Access.LOAD if trap.cause == ExceptionCause.LOAD_MISALIGNED else Access.STORE
        operand = self._operand(trap, access, registers)
        if operand is None:
            return f"{_GONE} needs an aligned address, and {trap.tval:#x} is none"
        instruction = self._places.instruction(trap.pc, trap.privilege)
        return f"`{instruction}` needs an address that is a multiple of {operand.size}, and {trap.tval:#x} is none"

    def _place_of_no_code(self, pc: VirtAddr) -> str | None:
        """That a place holds no code, as far as the image tells."""
        found = self._machine.symbols.at(pc)
        if found is None:
            return "no symbol is there" if len(self._machine.symbols) else None
        return f"{found[0].label} is data" if self._is_data(pc) else None

    def _is_data(self, pc: VirtAddr) -> bool:
        found = self._machine.symbols.at(pc)
        return found is not None and found[0].kind is SymbolKind.OBJECT

    def _code(self, trap: TrapTaken) -> int:
        return int.from_bytes(self._places.code(trap.pc, trap.privilege) or b"", "little")

    def _operand(self, trap: TrapTaken, access: Access, registers: Sequence[int]) -> MemoryOperand | None:
        """What the instruction that trapped accesses; None when what is there now is not that instruction."""
        operand = memory_operand(self._code(trap))
        if operand is None or operand.access is not access:
            return None
        beyond = (trap.tval - operand.address(registers)) & (1 << 64) - 1  # of an access that crosses a page
        return operand if beyond < operand.size else None


def _of_the_stack(address: int) -> str:
    """What is wrong with a stack that has no memory at an address."""
    if min(address, (1 << 64) - address) < _NEAR_ZERO:
        return "; sp counts from 0: it was never set to the top of a stack"
    return "; sp has left the memory of its stack: does a function call itself without end?"
