"""Executes instructions that no memory holds: each at the present pc, as if it had been fetched from there."""

from contextlib import suppress
from typing import NamedTuple

from emu.debug.rvfi.packets import Execution
from emu.errors import EmuError
from emu.events import TrapTaken
from emu.isa import encodings as bits
from emu.isa.causes import ExceptionCause
from emu.isa.dataflow import flow
from emu.isa.operands import MemoryOperand, instruction_length, loaded_register, memory_operand, stored_register
from emu.isa.privilege import Access, Privilege
from emu.isa.results import F0, written_register
from emu.machine import Machine, MachineConfig

START = 0x8000_0000
MEMORY = 1 << 20
"""Bytes of memory."""
_ASIDE = START + MEMORY - 4096
"""Where an instruction is executed whose pc is in no memory."""
_ALL = (1 << 64) - 1
_NO_SOURCES = frozenset({bits.AUIPC, bits.LUI, bits.JAL, *bits.FUSED, bits.OP_FP})
_PC_RELATIVE = frozenset({bits.AUIPC, bits.JALR, bits.JAL})
"""Opcodes that write what they make of pc."""
_TWO_SOURCES = frozenset({bits.STORE, bits.AMO, bits.OP, bits.OP_32, bits.BRANCH})


class _Entered(EmuError):
    """A trap was entered."""


class Touched(NamedTuple):
    """The memory that an instruction is about to access."""

    operand: MemoryOperand
    address: int
    physical: int | None
    before: bytes | None


class Injector:
    """One machine in fidelity `exact`, in M mode at 0x8000_0000, with everything zero.

    >>> injector = Injector()
    >>> done = injector.execute(0x00108093)  # addi ra, ra, 1
    >>> done.rd_addr, done.rd_wdata, hex(done.pc_wdata), done.order
    (1, 1, '0x80000004', 1)
    """

    def __init__(self) -> None:
        self._machine = Machine(MachineConfig(firmware="none", fidelity="exact", ram_size=MEMORY, reboot=False))
        self._machine.hart.privilege, self._machine.hart.pc = Privilege.M, START
        self._clean = self._machine.snapshot()
        self._traps: list[TrapTaken] = []
        self._was_trap = False
        self._machine.on(TrapTaken, self._trapped)

    def close(self) -> None:
        """Give the machine back."""
        self._machine.close()

    def reset(self) -> None:
        """Everything as in the beginning."""
        self._machine.restore(self._clean)
        self._was_trap = False

    def _trapped(self, trap: TrapTaken) -> None:
        """End the run before anybody asks for the handler's first instruction, which may be in no memory."""
        self._traps.append(trap)
        raise _Entered

    def execute(self, word: int) -> Execution:
        """Execute one instruction, of 16 bits if that is what its lower bits begin."""
        hart = self._machine.hart
        size = instruction_length(word & 0xFFFF)
        insn = word & (1 << 8 * size) - 1
        for _ in range(2):  # an interrupt comes first, and its handler begins with this instruction
            pc, registers, mode = int(hart.pc), hart.x[:], int(hart.privilege)
            self._traps.clear()
            touched = self._touched(insn, registers)
            self._step(insn, size, pc, touched)
            is_intr, self._was_trap = self._was_trap, bool(self._traps)
            if not (self._traps and self._traps[-1].interrupt):
                break
        return self._told(insn, pc, registers, mode, touched, is_intr)

    def _step(self, insn: int, size: int, pc: int, touched: Touched | None) -> None:
        """Have the machine execute it."""
        machine, hart = self._machine, self._machine.hart
        places = self._places(pc, size)
        is_aside = places is None
        if places is None:
            places, hart.pc = [(_ASIDE + at, at) for at in range(0, size, 2)], _ASIDE
        code = insn.to_bytes(size, "little")
        kept = [(place, bytes(machine.memory.view(place, 2))) for place, _ in places]
        for place, at in places:
            machine.memory.write(place, code[at : at + 2])
        machine.platform.is_asleep = False
        machine.core.forget_chain()
        with suppress(_Entered):
            machine.step()
        self._put_back(insn, kept, touched)
        if is_aside:
            self._move(insn, pc)

    def _places(self, pc: int, size: int) -> list[tuple[int, int]] | None:
        """Where the halves of the instruction lie in RAM; none where the fetch faults; None where there is no RAM."""
        machine, found = self._machine, list[tuple[int, int]]()
        for at in range(0, size, 2):
            physical = machine.walk(pc + at & _ALL, Access.FETCH).physical
            if physical is None:
                return found  # the core finds the fault
            if not machine.memory.ram.contains(int(physical), 2):
                return None
            found.append((int(physical), at))
        return found

    def _put_back(self, insn: int, kept: list[tuple[int, bytes]], touched: Touched | None) -> None:
        """Let memory have what it had where the instruction was, but for what it has stored; and loads find that."""
        memory = self._machine.memory
        stored = range(0)
        if touched is not None and touched.physical is not None and not self._traps:
            accessed = range(touched.physical, touched.physical + touched.operand.size)
            if touched.operand.access is Access.STORE:
                stored = accessed
            elif touched.before is not None and any(place in accessed or place + 1 in accessed for place, _ in kept):
                loaded = loaded_register(insn, int.from_bytes(touched.before, "little"))
                if loaded is not None:
                    self._machine.hart.x[loaded[0]] = loaded[1]
        for place, data in kept:
            for at in (0, 1):
                if place + at not in stored:
                    memory.write(place + at, data[at : at + 1])

    def _move(self, insn: int, pc: int) -> None:
        """Correct what an instruction executed elsewhere has made of its pc."""
        hart, by = self._machine.hart, pc - _ASIDE
        if self._traps:
            trap = self._traps[-1]
            letter = "m" if trap.to_privilege is Privilege.M else "s"
            hart.csr[f"{letter}epc"] = pc
            if trap.cause == ExceptionCause.BREAKPOINT and trap.tval == _ASIDE:
                hart.csr[f"{letter}tval"] = pc
            return
        opcode = insn & bits.OPCODE if insn & 3 == 3 else 0
        is_c_jr = opcode == 0 and insn & bits.C_JR_MASK == bits.C_JR and insn >> 7 & 31
        register = written_register(insn)
        links = opcode in _PC_RELATIVE or (opcode == 0 and insn & bits.C_REGISTER_MASK == bits.C_JALR)
        if register and register < F0 and links:
            hart.x[register] = hart.x[register] + by & _ALL
        if not (opcode == bits.JALR or is_c_jr or insn in bits.TRAP_RETURNS):
            hart.pc = int(hart.pc) + by & _ALL

    def _touched(self, insn: int, registers: tuple[int, ...]) -> Touched | None:
        operand = memory_operand(insn)
        if operand is None:
            return None
        machine, address = self._machine, operand.address(registers)
        physical = machine.core.look_up(address).physical
        return Touched(
            operand, address, None if physical is None else int(physical), machine.peek(address, operand.size)
        )

    def _told(
        self, insn: int, pc: int, registers: tuple[int, ...], mode: int, touched: Touched | None, is_intr: bool
    ) -> Execution:  # fmt: skip
        hart = self._machine.hart
        first, second = _sources(insn)
        trapped = bool(self._traps)
        written = written_register(insn)
        rd = 0 if trapped or written is None or written >= F0 else written
        done = Execution(
            order=self._machine.instret, pc_rdata=pc, pc_wdata=int(hart.pc), insn=insn,
            rs1_data=registers[first], rs2_data=registers[second], rs1_addr=first, rs2_addr=second,
            rd_addr=rd, rd_wdata=hart.x[rd] if rd else 0, trap=int(trapped), intr=int(is_intr), mode=mode,
        )  # fmt: skip
        if touched is None or trapped or touched.before is None:
            return done
        mask = (1 << touched.operand.size) - 1
        is_atomic = insn & bits.OPCODE == bits.AMO
        is_sc = is_atomic and insn >> 27 == bits.SC
        loads = touched.operand.access is Access.LOAD or (is_atomic and not is_sc)
        stores = touched.operand.access is Access.STORE and not (is_sc and hart.x[rd])
        after = self._machine.peek(touched.address, touched.operand.size) or b""
        return done._replace(
            mem_addr=touched.address,
            mem_rmask=mask if loads else 0, mem_rdata=int.from_bytes(touched.before, "little") if loads else 0,
            mem_wmask=mask if stores else 0, mem_wdata=int.from_bytes(after, "little") if stores else 0,
        )  # fmt: skip


def _sources(insn: int) -> tuple[int, int]:
    """The integer registers that it reads; 0 for none."""
    if insn & 3 != 3:
        operand, stored = memory_operand(insn), stored_register(insn)
        if operand is not None:
            return operand.base, stored if stored and stored < F0 else 0
        if insn & bits.C_JUMP_MASK in (bits.C_BEQZ, bits.C_BNEZ):
            return 8 + (insn >> 7 & 7), 0
        if insn & bits.C_JR_MASK == bits.C_JR:  # c.jr, c.jalr
            return insn >> 7 & 31, 0
        found = flow(insn)
        first, second = ((*found.sources, 0, 0) if found else (0, 0))[:2]
        return first, second
    opcode = insn & bits.OPCODE
    if opcode in _NO_SOURCES or (opcode == bits.SYSTEM and insn >> 14 & 1):
        return 0, 0
    return insn >> 15 & 31, insn >> 20 & 31 if opcode in _TWO_SOURCES else 0
