"""A hart that counts: it stops behind exactly as many instructions as it is told, and knows how many have retired."""

from emu.address import PAGE_BITS, PAGE_OFFSET, PAGE_START
from emu.engine import Stop
from emu.engine.slots import Slot
from emu.errors import MachineError
from emu.hart.base import HartBase
from emu.hart.words import ALL, BLOCK, BLOCK_LENGTH, BLOCK_PC, COUNT, PC, RETURN_ADDRESS, remember
from emu.isa.csrs import Csr
from emu.isa.encodings import OTHER_STACK, RET
from emu.isa.operands import instruction_length
from emu.isa.privilege import Privilege
from emu.isa.registers import SP
from emu.mmu.stacks import is_other_stack

_SPACES = 256
_CALL, _CALL_BYTES = 0xE7, 4
"""`jalr ra, 0(zero)`."""


class CountingHart(HartBase):
    """What runs, and counts."""

    _has_other_stacks = False
    """Whether a write of `satp` has ever brought another stack."""
    _spaces_seen = 0
    """Writes of `satp` that were looked at for that."""

    def reset(self, power_on: object) -> None:
        """Return to what `save` gave at power-on, with instructions counted on, but not by `instret`."""
        count = self.retired_count
        self.restore(power_on, forget_code=True)
        self.slots[COUNT] = count
        self.between_blocks(self.words[PC])
        self.write_csr(Csr.MCYCLE, 0)
        self.write_csr(Csr.MINSTRET, 0)

    def retired(self) -> int:
        """See `emu.hart.csr_owner.CsrOwner`: the CSR instruction that asks is counted already."""
        return self.slots[COUNT] - 1

    def cycles(self) -> int:
        """See `emu.hart.csr_owner.CsrOwner`."""
        return self.platform.cycles_at(self.slots[COUNT] - 1)

    def time_now(self) -> int:
        """See `emu.hart.csr_owner.CsrOwner`."""
        return self.platform.time_at(self.slots[COUNT] - 1)

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
        return self._moved(self._at_end(engine.run(), deadline))

    def go_on_at(self, pc: int) -> None:
        """In the callback of a watch: leave its instruction out, and return to here: the host has done the function."""
        self._goes_on_at = pc
        self.engine.request_stop()

    def _moved(self, stop: Stop) -> Stop:
        """Do what `go_on_at` has asked for."""
        pc, self._goes_on_at = self._goes_on_at, None
        if pc is not None:
            self.note_return(self.words[PC], RET, pc, 0)
            self.words[PC] = pc
            self.between_blocks(pc)
            self.engine.window.store()
        return stop

    def go_on(self, deadline: int) -> Stop:
        """The same, for a call that the engine has begun without Python (`Engine.call_alone`) and left."""
        return self._moved(self._at_end(self.engine.run(begun=True), deadline))

    def _at_end(self, stop: Stop, deadline: int) -> Stop:
        """Execute what is left before the deadline, less than a block."""
        slots = self.slots
        if stop is not Stop.DEADLINE or slots[Slot.DEADLINE] != deadline or slots[COUNT] >= deadline:
            return stop
        return self._run_partly(deadline - slots[COUNT])

    def _run_partly(self, instructions: int, last: int | None = None) -> Stop:
        """Execute the first instructions of a block that has more: it is translated anew, up to an exit.

        `last` is the address of the last one, where it is known.
        """
        engine, words, slots = self.engine, self.words, self.slots
        start = words[PC]
        end = self._behind(start, instructions) if last is None else self._behind(last, 1)
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

    def _behind(self, start: int, instructions: int) -> int:
        """The address behind so many instructions from `start`, in straight line."""
        halves, base, page, first = self._halves, self.ram.base, -1, 0
        for _ in range(instructions):
            if start >> PAGE_BITS != page:
                page = start >> PAGE_BITS
                first = (self._physical_code(start) - (start & PAGE_OFFSET) - base) >> 1
            start = (start + instruction_length(halves[first + ((start & PAGE_OFFSET) >> 1)])) & ALL
        return start

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
        slots = self.slots  # as in `between_blocks`: a call for each trap would take as long again
        slots[BLOCK_PC], slots[BLOCK_LENGTH] = target, 0

    def note_return(self, epc: int, instruction: int, target: int, satp: int) -> None:
        """Note that `sret`, `mret` or `ret` has been carried out here, and not by the core."""
        if self.engine.looks_at_jumps:
            self.engine.jumped(epc, instruction, target, satp)

    @property
    def minds_stacks(self) -> bool:
        """Whether writes of `satp` may bring other stacks, and somebody wants to know.

        A kernel that does so writes `satp` for that alone: if none of the first writes has, none will.
        """
        return self.engine.looks_at_jumps and (self._has_other_stacks or self._spaces_seen < _SPACES)

    def note_space(self, old: int, new: int) -> None:
        """Note that `satp` was written: in S mode other memory may be at the stack pointer from then on."""
        if self.minds_stacks and self.privilege is Privilege.S:
            self._spaces_seen += 1
            if is_other_stack(self.ram.read_word, old, new, self.words[SP]):
                self._has_other_stacks = True
                self.engine.jumped(self.words[PC], OTHER_STACK, old, new)

    def called_by_host(self, function: int) -> None:
        """Note that the host has called a function, as if by a `jalr` in front of the address that it returns to."""
        if self.engine.looks_at_jumps:
            self.engine.jumped(RETURN_ADDRESS - _CALL_BYTES, _CALL, function, 0)
        self.between_blocks(function)

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
        key = block << PAGE_BITS | (pc - start) & PAGE_OFFSET  # a block is shorter than a page
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
            if start >> PAGE_BITS != page:
                page = start >> PAGE_BITS
                physical = self.code_address(start & PAGE_START)
                if physical is None:  # the block has destroyed the mapping that it executes from
                    return count + (end - start) // 4
                first = (physical - base) >> 1
            start += instruction_length(halves[first + ((start & PAGE_OFFSET) >> 1)])
            count += 1
        return count
