"""What both fidelities share: the engine, exact instruction counts, code, devices, and the sources of events."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, Unpack

from emu.address import PAGE_BITS, PAGE_SIZE, VirtAddr
from emu.engine import Engine, Fault, Stop, Store, Word
from emu.engine.slots import Slot
from emu.errors import DoubleFault, MachineError
from emu.events import (
    AddressSpaceSwitched,
    Event,
    PageFault,
    PteWritten,
    SyscallMade,
    TablesLeftOut,
    TrapReturned,
    TrapTaken,
)
from emu.hart.platform import Platform
from emu.hart.shadow import SharedShadow
from emu.hart.table_watch import TableWatch
from emu.isa.causes import ACCESS_FAULTS, PAGE_FAULTS, ExceptionCause, cause_label
from emu.isa.csrs import Csr
from emu.isa.operands import MemoryOperand, instruction_length, loaded_register, memory_operand
from emu.isa.privilege import Access, Privilege
from emu.isa.registers import A7
from emu.memory import Ram
from emu.subscriptions import EventBus
from emu.walks import Refusal, Walk

COUNT, BLOCK_PC, BLOCK_LENGTH = int(Slot.COUNT), int(Slot.BLOCK_PC), int(Slot.BLOCK_LENGTH)
BLOCK = int(Slot.BLOCK)
PC, PRIVILEGE, RESERVATION = int(Word.PC), int(Word.PRIVILEGE), int(Word.LOAD_RESERVATION)
RETURN_ADDRESS = 0x7FFF_DEAD_BEEF_0000
"""Where a function called by the host returns to: not canonical in any paging mode, outside memory in none."""
_ALL = (1 << 64) - 1
_TRAPS_WITHOUT_PROGRESS = 1000
_Trap = tuple[int, int, int, Privilege, Privilege, int]
"""Cause, tval, epc, the privilege it came from and the one it went to, and the handler's address."""
_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")
_Fact = TypeVar("_Fact")
_MOST_FACTS = 1 << 18


def remember(facts: dict[int, _Fact], key: int, fact: _Fact) -> None:
    """Note a fact about a block. Blocks that are no more are not told from others: once there are many, all go."""
    if len(facts) >= _MOST_FACTS:
        facts.clear()
    facts[key] = fact


class HartCore(ABC):
    """One hart on one engine: the base of `ExactHart` and `FastHart`."""

    def __init__(self, ram: Ram, bus: EventBus, platform: Platform, *, probes: str | None = None) -> None:
        self.ram = ram
        self.bus = bus
        self.platform = platform
        self._halves = ram.view.cast("H")
        self._last_trap, self._traps = -1, 0
        """At how many instructions retired the last exception was, and how many there were at that."""
        self._first_trap: _Trap | None = None
        """The first of those."""
        self._positions: dict[int, int] = {}
        """How many instructions stand before one that was asked for, by its block and its place in there."""
        self.traps_taken = 0
        """Traps entered since power-on: with `instret`, which a trap does not change, it names a moment."""
        self.last_trap = 0
        """The run ends behind the trap of this number; 0: behind none."""
        self.is_between = False
        """Whether a callback is called just before an instruction, of which nothing is carried out yet."""
        self.returned = False
        """Whether a function that the host called has returned to RETURN_ADDRESS."""
        self.repeated_at: tuple[int, int] | None = None
        """`instret` and pc of an instruction that began, and begins again because a page had to be asked for."""
        self._loaded: tuple[int, int] | None = None
        """The register and value of a load that has left the core."""
        self._runs_partly = False
        """Whether the current block is the first part of one: a trap that it leads to does not begin to be handled."""
        self.asks_again = False
        """Whether the instruction at pc was stopped before it did anything, only to be executed again."""
        self._listening: set[type[Event]] = set()
        self.engine = Engine(self, ram.base, ram.size, ram.host_address, probes=probes)
        self.words = self.engine.words
        self.slots = self.engine.slots
        self.shadow = SharedShadow(self.engine)
        self.tables = TableWatch(self)
        for kind in (TrapTaken, TrapReturned, PageFault, AddressSpaceSwitched, SyscallMade, PteWritten, TablesLeftOut):
            self.add_source(kind)
        bus.add_source(PteWritten, self.tables.start)

    # What the fidelities do each in its own way.

    @property
    @abstractmethod
    def privilege(self) -> Privilege:
        """The current privilege."""

    @abstractmethod
    def set_privilege(self, privilege: Privilege) -> None:
        """Change the current privilege, outside of `run`."""

    @abstractmethod
    def read_csr(self, number: int) -> int | None:
        """The value of a CSR for the host, whatever the guest's privilege; None when there is no such CSR."""

    @abstractmethod
    def write_csr(self, number: int, value: int) -> bool:
        """Write a CSR by its WARL rules as M mode would; False when there is no such CSR."""

    @abstractmethod
    def set_line(self, bit: int, level: bool) -> None:
        """Set the level of an interrupt line into `mip`; the machine sees to it that the hart looks at it."""

    @abstractmethod
    def interrupt_is_pending(self) -> bool:
        """Whether an enabled interrupt is pending, which ends `wfi` whatever `mstatus` says."""

    @abstractmethod
    def deliver_interrupts(self) -> None:
        """Take an interrupt now if one is due, with pc exact."""

    @abstractmethod
    def walk(self, address: int, access: Access, privilege: Privilege | None = None) -> Walk:
        """The page walk that an access at this moment would make; nothing is changed."""

    @abstractmethod
    def exception(self, number: int) -> None:
        """See `emu.engine.Guest`."""

    @abstractmethod
    def fill(self, address: int, access: int) -> tuple[int, int] | None:
        """See `emu.engine.Guest`."""

    @abstractmethod
    def refused(self) -> None:
        """See `emu.engine.Guest`."""

    @abstractmethod
    def trap(self, cause: int, tval: int, epc: int) -> None:
        """Enter the handler of a synchronous exception; `instret` is exact already."""

    @abstractmethod
    def flush_translations(self) -> None:
        """Forget cached translations, with the core stopped or in an exception."""

    def ask_again(self) -> None:
        """Have the core ask for each translation again, of those that still hold; with the core stopped."""
        self.flush_translations()

    @property
    @abstractmethod
    def lines(self) -> int:
        """The bits of `mip` that devices hold up."""

    @abstractmethod
    def supervisor_timecmp(self) -> int:
        """What `mtime` is to reach for Sstc's timer interrupt; 2**64-1 while Sstc is off."""

    @abstractmethod
    def set_supervisor_timecmp(self, time: int) -> None:
        """Write `stimecmp`, also in the middle of a run."""

    @abstractmethod
    def look_up(self, address: int) -> Walk:
        """The walk of a load that is allowed everything in the current address space."""

    @abstractmethod
    def save(self) -> object:
        """All state of the hart, for `restore`."""

    @abstractmethod
    def restore(self, state: object, *, forget_code: bool) -> None:
        """Return to a saved state, after memory has; `forget_code` when memory that held code has changed."""

    def reset(self, power_on: object) -> None:
        """Return to what `save` gave at power-on, with instructions counted on, but not by `instret`."""
        count = self.retired_count
        self.restore(power_on, forget_code=True)
        self.slots[COUNT] = count
        self.between_blocks(self.words[PC])
        self.write_csr(Csr.MCYCLE, 0)
        self.write_csr(Csr.MINSTRET, 0)

    @abstractmethod
    def add_device(self, base: int, size: int) -> None:
        """Send accesses to a range of physical addresses to the platform."""

    @abstractmethod
    def _physical_code(self, address: int) -> int:
        """The physical address that an instruction is fetched from; MachineError where it cannot be."""

    # Running and counting.

    @property
    def retired_count(self) -> int:
        """Instructions retired; exact while the core is stopped, and in every event."""
        return self.slots[COUNT]

    def run(self, deadline: int) -> Stop:
        """Execute until `deadline` instructions have retired, and not one more, or something stops the hart before."""
        engine, slots = self.engine, self.slots
        engine.window.load()
        self.deliver_interrupts()
        engine.window.store()
        slots[Slot.DEADLINE] = deadline
        # A listener may have been told of an interrupt, and it may have been the last trap that was wanted.
        if slots[COUNT] >= deadline or self.bus.error is not None or self.traps_taken == self.last_trap != 0:
            return Stop.DEADLINE
        stop = engine.run()
        if stop is not Stop.DEADLINE or slots[Slot.DEADLINE] != deadline or slots[COUNT] >= deadline:
            return stop
        return self._run_partly(deadline - slots[COUNT])

    def _run_partly(self, instructions: int) -> Stop:
        """Execute the first instructions of a block that has more: it is translated anew, up to an exit."""
        engine, words, slots = self.engine, self.words, self.slots
        start = words[PC]
        end = start
        for _ in range(instructions):
            end = (end + instruction_length(self.fetch_half(end))) & _ALL
        before = slots[COUNT]
        self.between_blocks(start)
        places = [place for place in map(self.code_address, (start, end)) if place is not None]
        self._forget(places)
        try:
            self.asks_again = self._runs_partly = True
            while self.asks_again and (slots[COUNT], words[PC]) == (before, start):
                self.asks_again = False
                engine.set_exits([end])
                stop = engine.run_block(before + instructions + 1)  # the engine counts the exit as an instruction
        finally:
            self._runs_partly = False
            engine.set_exits([])
            self._forget(places)
        after = before + instructions
        passed = slots[COUNT] > after  # the exit is counted, and must not be
        if passed:
            slots[COUNT] = after
        # An exit halts the core as wfi does; or it is refused, when the code before it has unmapped it.
        if words[PC] == end and (stop is not Stop.REQUESTED or passed):
            slots[COUNT] = after
            self.between_blocks(end)
            return Stop.DEADLINE
        if stop is Stop.DEADLINE and slots[COUNT] == before and words[PC] == start:
            raise MachineError(f"the engine does not execute the instruction at pc {self.platform.locate(start)}")
        return stop

    def _forget(self, places: list[int]) -> None:
        for place in places:
            self.engine.forget_code(place, 2)

    def rewind(self, pc: int) -> None:
        """Correct the count in the middle of a block: the instruction at `pc` is the first that has not retired."""
        slots = self.slots
        slots[COUNT] -= self.instructions_from(pc)
        slots[BLOCK_PC], slots[BLOCK_LENGTH] = pc, 0

    def note_entry(self, epc: int, target: int, satp: int) -> None:
        """Note that a trap has been entered, so that the last block goes no further."""
        if self.engine.looks_at_jumps:
            self.engine.jumped(epc, 0, target, satp)
        if self._runs_partly:
            self.engine.stop_after_block()
        self.between_blocks(target)

    def note_return(self, epc: int, instruction: int, target: int, satp: int) -> None:
        """Note that `sret` or `mret` has been carried out here, and not by the core."""
        if self.engine.looks_at_jumps:
            self.engine.jumped(epc, instruction, target, satp)

    def between_blocks(self, pc: int) -> None:
        """Note that the last block has run to its end and nothing of the next has."""
        self.slots[BLOCK_PC], self.slots[BLOCK_LENGTH] = pc, 0

    def instructions_from(self, pc: int) -> int:
        """How many instructions of the current block have not retired when the one at `pc` executes."""
        slots = self.slots
        length, start = slots[BLOCK_LENGTH], slots[BLOCK_PC]
        if not length:
            return -self.instructions_between(start, pc)
        block = slots[BLOCK]
        key = block << 12 | (pc - start) & 0xFFF  # a block is shorter than a page
        position = self._positions.get(key)
        if position is None:
            # A block that has written over its own code is counted by what is there now.
            position = min(self.instructions_between(start, pc), length)
            # Without its mapping, which the block has destroyed, that was an estimate.
            if block and self.code_address(pc) is not None:
                remember(self._positions, key, position)
        return length - position

    def instructions_between(self, start: int, end: int) -> int:
        """Instructions from `start` up to `end`, in straight line."""
        halves, base, count, page, first = self._halves, self.ram.base, 0, -1, 0
        while start < end:
            if start >> 12 != page:
                page = start >> 12
                physical = self.code_address(start & ~0xFFF)
                if physical is None:  # the block has destroyed the mapping that it executes from
                    return count + (end - start) // 4
                first = (physical - base) >> 1
            start += instruction_length(halves[first + ((start & 0xFFF) >> 1)])
            count += 1
        return count

    def code_address(self, address: int) -> int | None:
        """See `emu.engine.Guest`."""
        try:
            return self._physical_code(address)
        except MachineError:
            return None

    def fetch_half(self, address: int) -> int:
        """Sixteen bits of code."""
        return self._halves[(self._physical_code(address) - self.ram.base) >> 1]

    def fetch_instruction(self, address: int) -> int:
        """The instruction at a virtual address: 32 bits, or 16 for a compressed one."""
        index = (self._physical_code(address) - self.ram.base) >> 1
        low = self._halves[index]
        if low & 3 != 3:
            return low
        high = self.fetch_half(address + 2) if address & 0xFFE == 0xFFE else self._halves[index + 1]
        return low | high << 16

    def operand_at(self, pc: int) -> MemoryOperand | None:
        """What the instruction at `pc` accesses; None where it accesses nothing or cannot be read."""
        try:
            return memory_operand(self.fetch_instruction(pc))
        except MachineError:
            return None

    # Devices.

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
            if self.ram.contains(address):  # a page that is watched
                return self.tables.store(address, size, value)
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
        following = (pc + instruction_length(self.fetch_half(pc))) & _ALL
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
        window.words[RESERVATION] = _ALL
        window.store()

    # Faults.

    def breakpoint(self) -> None:
        """See `emu.engine.Guest`."""
        pc = self.words[PC]
        self.rewind(pc)
        if not self.platform.breakpoint():
            self.trap(ExceptionCause.BREAKPOINT, pc, pc)

    def retire_breakpoint(self) -> None:
        """Go on behind the `ebreak` at pc: the host has answered it."""
        following = (self.words[PC] + 4) & _ALL
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
                self.trap(ACCESS_FAULTS[Access.FETCH], (pc + 2) & _ALL if is_readable else pc, pc)
            return
        self.rewind(pc)
        operand = self.operand_at(pc)
        access = operand.access if operand else fault.access  # the core begins an atomic store with a load
        address = operand.address(self.words) if operand else fault.physical
        if operand and (address & 0xFFF) + operand.size > PAGE_SIZE and fault.physical & 0xFFF < operand.size:
            address = (address | 0xFFF) + 1 & _ALL  # the part in the second page faults (section 3.1.16)
        self.trap(ACCESS_FAULTS[access], address, pc)

    def refused_access(self, page: int, access: Access) -> tuple[int, Access]:
        """The address for `stval`, and the access of the instruction at pc, when the core was refused a page for it.

        The core asks by page only, and begins an atomic store with a load.
        """
        pc = self.words[PC]
        if access is Access.FETCH:
            return (pc if pc >> 12 == page >> 12 else page), access
        operand = self.operand_at(pc)
        if operand is None:
            return page, access
        address = operand.address(self.words)
        return (address if address >> 12 == page >> 12 else page), operand.access

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
        if pc & (PAGE_SIZE - 1) or page >> PAGE_BITS != (pc - 1 & _ALL) >> PAGE_BITS:
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

    def note_trap(self, cause: int, tval: int, epc: int, source: Privilege, target: int) -> None:
        """Raise DoubleFault for a hart that only traps and never executes an instruction again."""
        retired = self.slots[COUNT]
        if self._last_trap != retired:
            self._last_trap = retired
            self._traps = 1
            self._first_trap = cause, tval, epc, source, self.privilege, target
            return
        self._traps += 1
        if epc == target or self._traps > _TRAPS_WITHOUT_PROGRESS:
            raise self._double_fault((cause, tval, epc, source, self.privilege, target))

    def _double_fault(self, last: _Trap) -> DoubleFault:
        first = self._first_trap or last
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

    def count_trap(self) -> None:
        """A trap has been entered, and who listens has been told."""
        self.traps_taken += 1
        if self.traps_taken == self.last_trap and self.engine.running:
            self.engine.stop_after_block()

    # Events.

    def listens(self, kind: type[Event]) -> bool:
        """Whether anybody listens to events of this kind."""
        return kind in self._listening

    def emit_trap(
        self, cause: int, tval: int, epc: int, source: Privilege, to: Privilege, target: int, *, interrupt: bool
    ) -> None:
        """Tell who listens that a trap was entered."""
        self.bus.emit(self._trap_event(cause, tval, epc, source, to, target, interrupt=interrupt))

    def _trap_event(
        self, cause: int, tval: int, epc: int, source: Privilege, to: Privilege, target: int, *, interrupt: bool = False
    ) -> TrapTaken:
        return TrapTaken(
            instret=self.retired_count,
            pc=VirtAddr(epc),
            privilege=source,
            cause=int(cause),
            interrupt=interrupt,
            tval=tval,
            to_privilege=to,
            handler=VirtAddr(target),
        )

    def emit_syscall(self, epc: int) -> None:
        """Tell who listens that a user program executed `ecall`."""
        words = self.words
        self.bus.emit(
            SyscallMade(
                instret=self.retired_count,
                pc=VirtAddr(epc),
                privilege=Privilege.U,
                number=words[A7],
                args=tuple(words[10:16]),
            )
        )

    @abstractmethod
    def listening_changed(self, kind: type[Event]) -> None:
        """A kind of event has got its first listener or lost its last."""

    def add_source(self, kind: type[Event]) -> None:
        """Say that this hart makes events of a kind, while somebody listens."""
        self.bus.add_source(kind, self._listen(kind))

    def _listen(self, kind: type[Event]) -> Callable[[], Callable[[], None]]:
        def start() -> Callable[[], None]:
            self._listening.add(kind)
            self.listening_changed(kind)

            def stop() -> None:
                self._listening.discard(kind)
                self.listening_changed(kind)

            return stop

        return start
