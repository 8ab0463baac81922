"""What both fidelities do alike: devices, faults, and what leads to a trap."""

from collections.abc import Callable
from struct import Struct

from emu.address import PAGE_BITS, PAGE_OFFSET, PAGE_SIZE, VirtAddr
from emu.engine import Fault, Store, Word
from emu.engine.slots import Slot
from emu.errors import DoubleFault
from emu.events import PageFault, TrapTaken
from emu.hart.counting import CountingHart
from emu.hart.words import (
    ALL,
    COUNT,
    FIRST_TRAP,
    LAST_TRAP,
    PC,
    RESERVATION,
    RETURN_ADDRESS,
    TRAPPED,
    TRAPPED_AT,
    TRAPS,
    Trap,
)
from emu.hints import TypeVar, TypeVarTuple, Unpack
from emu.isa.causes import ACCESS_FAULTS, PAGE_FAULTS, ExceptionCause, cause_label
from emu.isa.operands import instruction_length, loaded_register
from emu.isa.privilege import Access, Privilege
from emu.walks import Refusal, Walk

_TRAPS_WITHOUT_PROGRESS = 1000
_FIRST = Struct("6Q")
_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")


class HartCore(CountingHart):
    """One hart on one engine: the base of `ExactHart` and `FastHart`."""

    def device_read(self, address: int, size: int) -> int | None:
        """See `emu.engine.Guest`."""
        return self.in_mid_block(self.words[PC], self.platform.device_read, address, size)

    def load_raised(self, value: int) -> None:
        """In `Platform.device_read`: the load of `value` has raised a line, which is looked at right behind it."""
        place = self.code_address(self.words[PC])
        self._loaded = None if place is None else loaded_register(self.fetch_instruction(self.words[PC]), value)
        if self._loaded is None:  # an atomic or a floating-point instruction: when its block has ended
            self.engine.stop_after_block()
        else:
            self.engine.leave_load()

    def device_write(self, address: int, size: int, value: int) -> Store:
        """See `emu.engine.Guest`."""
        slots = self.slots
        ahead = self.instructions_from(self.words[PC])
        slots[COUNT] -= ahead
        try:
            return self.platform.device_write(address, size, value)
        finally:
            slots[COUNT] += ahead  # even after an exception: the store has happened, and `access_done` counts it

    def in_mid_block(
        self, pc: int, action: Callable[[Unpack[_Arguments]], _Result], *arguments: *_Arguments
    ) -> _Result:
        """Do something with an exact count inside a block that goes on afterwards, unless it raises or stops."""
        slots = self.slots
        ahead = self.instructions_from(pc)
        slots[COUNT] -= ahead
        try:
            result = action(*arguments)
        except BaseException:
            self.between_blocks(pc)  # the instruction has not executed: it will when the machine goes on
            raise
        if self.engine.stop_is_requested:
            self.between_blocks(pc)
        else:
            slots[COUNT] += ahead
        return result

    def not_begun(self, *, fetch: bool) -> None:
        """See `emu.engine.Guest`."""
        pc = self.words[PC]
        if fetch:
            self.fetch_refused(pc)
        else:
            self.rewind(pc)

    def access_done(self) -> None:
        """See `emu.engine.Guest`: the access at pc has happened, so its instruction has retired."""
        pc = self.words[PC]
        self.rewind(pc)
        loaded, self._loaded = self._loaded, None
        if loaded is not None and loaded[0]:
            self.words[loaded[0]] = loaded[1]
        if self.code_address(pc) is None:
            self.code_is_gone(pc)
            return
        following = (pc + instruction_length(self.fetch_half(pc))) & ALL
        self.words[PC] = following
        self.slots[COUNT] += 1
        self.between_blocks(following)
        self.engine.window.store()  # protecting pages makes the core ask, and a copied window is loaded then
        self.tables.settle()
        self.deliver_interrupts()

    def save_registers(self) -> bytes:
        """Integer and floating-point registers and pc, for `restore_registers`."""
        self.engine.window.load()
        return bytes(self.engine.window.octets[: (PC + 1) * 8])

    def restore_registers(self, state: bytes) -> None:
        """Put back integer and floating-point registers and pc."""
        window = self.engine.window
        window.octets[: len(state)] = state
        window.words[RESERVATION] = ALL
        window.store()

    def breakpoint(self) -> None:
        """See `emu.engine.Guest`."""
        pc = self.words[PC]
        self.rewind(pc)
        if not self.platform.breakpoint():
            self.trap(ExceptionCause.BREAKPOINT, pc, pc)

    def retire_breakpoint(self) -> None:
        """Go on behind the `ebreak` at pc: the host has answered it."""
        following = (self.words[PC] + 4) & ALL
        self.words[PC] = following
        self.slots[COUNT] += 1
        self.between_blocks(following)

    def raised_by_core(self, number: int, epc: int) -> None:
        """Trap for what the core finds out by itself: a misaligned LR, SC or AMO.

        The core begins an atomic store with a load, and says so.
        """
        self.rewind(epc)
        operand = self.operand_at(epc)
        if number == ExceptionCause.LOAD_MISALIGNED and operand and operand.access is Access.STORE:
            number = ExceptionCause.STORE_MISALIGNED
        self.trap(number, self.words[Word.BAD_ADDRESS], epc)

    def code_is_gone(self, pc: int) -> None:
        """Trap for the fetch of an instruction that is mapped no more: the core still had it in its block."""
        seen = self.walk(pc, Access.FETCH)
        if seen.refusal is None or seen.refusal is Refusal.TABLE_OUTSIDE_MEMORY:
            self.trap(ACCESS_FAULTS[Access.FETCH], pc, pc)
        else:
            self.page_fault(seen, pc)

    def access_fault(self, fault: Fault) -> None:
        """See `emu.engine.Guest`."""
        pc = self.words[PC]
        if fault.access is Access.FETCH:
            if self._has_returned(pc) or self._is_late(pc):
                return
            self.between_blocks(pc)
            physical = self.walk(pc, Access.FETCH).physical
            is_readable = physical is not None and self.ram.contains(int(physical), 2)
            if not (is_readable and self.trapped_as_undecodable(pc - 1, pc)):
                self.trap(ACCESS_FAULTS[Access.FETCH], (pc + 2) & ALL if is_readable else pc, pc)
            return
        self.rewind(pc)
        operand = self.operand_at(pc)
        access = operand.access if operand else fault.access  # the core begins an atomic store with a load
        address = operand.address(self.words) if operand else fault.physical
        is_split = operand is not None and (address & PAGE_OFFSET) + operand.size > PAGE_SIZE
        if operand and is_split and fault.physical & PAGE_OFFSET < operand.size:
            address = (address | PAGE_OFFSET) + 1 & ALL  # the part in the second page faults (section 3.1.16)
        self.trap(ACCESS_FAULTS[access], address, pc)

    def refused_access(self, page: int, access: Access) -> tuple[int, Access]:
        """The address for `stval`, and the access of the instruction at pc, when the core was refused a page for it.

        The core asks by page only, and begins an atomic store with a load.
        """
        pc = self.words[PC]
        if access is Access.FETCH:
            return (pc if pc >> PAGE_BITS == page >> PAGE_BITS else page), access
        operand = self.operand_at(pc)
        if operand is None:
            return page, access
        address = operand.address(self.words)
        return (address if address >> PAGE_BITS == page >> PAGE_BITS else page), operand.access

    def _has_returned(self, pc: int) -> bool:
        if pc != RETURN_ADDRESS:
            return False
        self.returned = True
        self.between_blocks(pc)
        self.engine.request_stop()
        return True

    def fetch_refused(self, pc: int) -> None:
        """Note that the last block has run to its end, and the instruction at `pc` behind it cannot be fetched."""
        self.between_blocks(pc)

    def _is_late(self, pc: int) -> bool:
        """Whether the run was to end before the fetch from `pc`: an interrupt that is due by then comes first."""
        self.fetch_refused(pc)
        count = self.slots[COUNT]
        if count < self.slots[Slot.DEADLINE] or count == self.engine.started_at:
            return False
        self.words[PC] = pc
        self.engine.request_stop()
        return True

    def trapped_as_undecodable(self, page: int, pc: int) -> bool:
        """Trap for an instruction at the start of a page that the core cannot decode, if that is what was refused.

        The core then takes the block for empty, and asks for the page before it as well, which no fetch needs.
        """
        if pc & PAGE_OFFSET or page >> PAGE_BITS != (pc - 1 & ALL) >> PAGE_BITS:
            return False
        self.trap(ExceptionCause.ILLEGAL_INSTRUCTION, self.fetch_instruction(pc), pc)
        return True

    def page_fault(self, walk: Walk, pc: int) -> None:
        """Tell who listens, and trap."""
        if PageFault in self._listening:
            self.bus.emit(
                PageFault(
                    instret=self.retired_count,
                    pc=VirtAddr(pc),
                    privilege=self.privilege,
                    access=walk.access,
                    address=walk.address,
                    walk=walk,
                )
            )
        self.trap(PAGE_FAULTS[walk.access], int(walk.address), pc)

    def forget_chain(self) -> None:
        """What comes next is no consequence of the last trap."""
        self.slots[TRAPPED_AT] = ALL

    def note_trap(self, cause: int, tval: int, epc: int, source: Privilege, to: Privilege, target: int) -> None:
        """Raise DoubleFault for a hart that only traps and never executes an instruction again."""
        slots = self.slots
        retired = slots[COUNT]
        if slots[TRAPPED_AT] != retired:
            slots[TRAPPED_AT], slots[TRAPPED] = retired, 1
            _FIRST.pack_into(slots, 8 * FIRST_TRAP, cause, tval, epc, source, to, target)
            return
        slots[TRAPPED] += 1
        if epc == target or slots[TRAPPED] > _TRAPS_WITHOUT_PROGRESS:
            raise self._double_fault((cause, tval, epc, source, to, target))

    def _double_fault(self, last: Trap) -> DoubleFault:
        cause, tval, epc, source, to, target = _FIRST.unpack_from(self.slots, 8 * FIRST_TRAP)
        # A chain that began before the machine returned to a snapshot has lost its first.
        first: Trap = (cause, tval, epc, Privilege(source), Privilege(to), target) if to else last
        locate = self.platform.locate
        vector = "mtvec" if last[4] is Privilege.M else "stvec"
        first_cause, last_cause = (cause_label(trap[0], interrupt=False) for trap in (first, last))
        advice = (
            f"{vector} is 0: it was not written since the reset, or with an address that is no multiple of 4"
            if not last[5]
            else f"check what the kernel wrote to {vector}, and that this page is mapped and executable"
        )
        return DoubleFault(
            f"{first_cause} at {locate(first[2])}, tval {first[1]:#x}; double fault: its handler at {locate(last[5])} "
            f"cannot execute its first instruction: {last_cause} at pc {last[2]:#x}, tval {last[1]:#x}, again and "
            f"again; {advice}",
            self._trap_event(*first),
            self._trap_event(*last),
        )

    def tell_entry(
        self, cause: int, tval: int, epc: int, source: Privilege, to: Privilege, target: int, satp: int,
        *, interrupt: bool,
    ) -> None:  # fmt: skip
        """A trap has been entered: tell who listens, and count it."""
        self.note_entry(epc, target, satp)
        if TrapTaken in self._listening:
            self.emit_trap(cause, tval, epc, source, to, target, interrupt=interrupt)
        slots = self.slots
        slots[TRAPS] = taken = slots[TRAPS] + 1
        if taken == slots[LAST_TRAP] and self.engine.running:
            self.engine.stop_after_block()
