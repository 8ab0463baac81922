"""Follows values that were never written through registers and memory, one instruction after the other."""

from collections.abc import Callable, Sequence

from emu.address import PAGE_OFFSET, PAGE_SIZE, VirtAddr
from emu.errors import MachineError
from emu.hart.words import PC
from emu.hints import NamedTuple, Protocol
from emu.isa import encodings as bits
from emu.isa.arithmetic import atomic, binary, immediate, taken
from emu.isa.encodings import signed
from emu.isa.expansion import expanded
from emu.isa.privilege import Privilege
from emu.isa.results import F0, registers_written
from emu.machine import Machine
from emu.mmu.pte import Pte
from emu.observe.sanitizer.bugs import Use
from emu.observe.sanitizer.inside import Inside
from emu.observe.sanitizer.uninit.fresh import Fresh
from emu.observe.sanitizer.uninit.values import OTHERS, Cell, Origin, Value, combined, each, is_open, made, other_bytes

_ALL = (1 << 64) - 1
_BOXED = 0xFFFF_FFFF_0000_0000
"""What stands above a single-precision number in a register."""
_MOVES = {0x70: (F0, 0), 0x71: (F0, 0), 0x78: (0, F0), 0x79: (0, F0)}
"""fmv.x.w, fmv.x.d, fmv.w.x, fmv.d.x by funct7: added to the number of the register that is read, and of that which is
written."""


class Told(Protocol):
    """Gets what has been decided by values that were never written."""

    def __call__(self, use: Use, value: int, origin: Origin) -> None:
        """The instruction at pc uses the value so."""


class _Access(NamedTuple):
    """A load, store or both of the instruction that is about to be executed."""

    address: int
    size: int
    places: tuple[int, ...]
    """The physical address of each byte; none outside of RAM."""
    real: bytes
    """What is there before it."""


class Following:
    """Follows what some registers and bytes of memory might hold else, until no register is one of them.

    A value is known by four others that it might be: it decides something where one of them decides otherwise.
    """

    def __init__(self, machine: Machine, fresh: Fresh, inside: Inside, tell: Told) -> None:
        self._machine, self._fresh, self._inside, self._tell = machine, fresh, inside, tell
        self._core = machine.core
        self.registers: dict[int, Value] = {}
        """1 to 31 for x1 to x31, 32 to 63 for f0 to f31."""
        self.steps = 0
        """How many instructions were looked at."""
        self.most = 20_000
        """Instructions for which values are followed from one load on."""
        self.given_up = 0
        """How often there was more to follow."""
        self._left = 0
        self._instruction = 0
        self._at = 0, 0
        self._result: Callable[[], None] = _nothing

    def begin(self) -> None:
        """The next instruction loads what was never written."""
        self._left = self.most

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to follow."""
        return self._left <= 0

    # Snapshots.

    def save(self) -> object:
        """What is followed."""
        return dict(self.registers), self._left

    def restore(self, saved: tuple[dict[int, Value], int] | None) -> None:
        """Return to that; to nothing with None."""
        registers, self._left = saved or ({}, 0)
        self.registers = dict(registers)

    # One instruction.

    def before(self) -> None:
        """See `emu.machine.running.Stepped`."""
        core = self._core
        pc = core.words[PC]
        self._at = core.retired_count, core.traps_taken
        self._result = _nothing
        for register in [at for at, value in self.registers.items() if value.real != core.words[at]]:
            del self.registers[register]
        try:
            self._instruction = instruction = expanded(core.fetch_instruction(pc))
        except MachineError:
            self._instruction = 0
            return
        rs1, rs2 = instruction >> 15 & 31, instruction >> 20 & 31
        match instruction & bits.OPCODE:
            case bits.LOAD | bits.LOAD_FP:
                self._load(instruction, rs1, signed(instruction >> 20, 12))
            case bits.STORE | bits.STORE_FP:
                offset = signed(instruction >> 25 << 5 | instruction >> 7 & 31, 12)
                self._store(instruction, rs1, rs2 + F0 * (instruction & bits.OPCODE == bits.STORE_FP), offset)
            case bits.AMO:
                self._atomic(instruction, rs1, rs2)
            case bits.BRANCH:
                self._branch(instruction, rs1, rs2)
            case bits.JALR if rs1 in self.registers:
                self._decide(Use.JUMP, rs1)
            case bits.OP_FP if (way := _MOVES.get(instruction >> 25)) and not instruction >> 12 & 7:
                self._move(rs1 + way[0], (instruction >> 7 & 31) + way[1], narrow=not instruction >> 25 & 1)
            case _:
                self._compute(instruction, rs1, rs2)

    def after(self) -> None:
        """See `emu.machine.running.Stepped`."""
        core = self._core
        self._left -= 1
        retired = core.retired_count - self._at[0]
        if retired == 1 and core.traps_taken == self._at[1]:
            self.steps += 1
            for register in registers_written(self._instruction):
                self.registers.pop(register, None)
            self._result()
        elif retired:
            self.registers.clear()
        if not self.registers:
            self._left = 0
        elif self._left <= 0:
            self.registers.clear()
            self.given_up += 1

    def _real(self, register: int) -> int:
        return self._core.words[register] if register else 0

    def _put(self, register: int, others: Sequence[int], origin: Origin) -> None:
        """The instruction has retired: what its register might hold else."""
        value = made(self._core.words[register], others, origin) if register else None
        if value is not None:
            self.registers[register] = value

    def _decide(self, use: Use, register: int) -> None:
        """Tell, and go on as if the value had been written: all that comes of it has one cause."""
        value = self.registers.pop(register)
        self._tell(use, self._real(register), value.origin)

    def _compute(self, instruction: int, rs1: int, rs2: int) -> None:
        make = binary(instruction)
        if make is None:
            return
        second = immediate(instruction)
        values = self.registers.get(rs1), None if second is not None else self.registers.get(rs2)
        found = values[0] or values[1]
        if found is None:
            return
        right = (second,) * OTHERS if second is not None else each(values[1], self._real(rs2))
        left = each(values[0], self._real(rs1))
        others = combined(make, left, right)
        if _asks_for_zero(instruction, rs1, second) and is_open(real := self._real(rs1 or rs2), left if rs1 else right):
            others = [int(bool(real) is bool(rs1))] * OTHERS
        self._result = lambda: self._put(instruction >> 7 & 31, others, found.origin)

    def _move(self, source: int, target: int, *, narrow: bool) -> None:
        value = self.registers.get(source)
        if value is None:
            return
        others: Sequence[int] = value.others
        if narrow:
            to_float = target >= F0
            others = [other & 0xFFFF_FFFF | _BOXED if to_float else signed(other, 32) & _ALL for other in others]
        self._result = lambda: self._put(target, others, value.origin)

    def _branch(self, instruction: int, rs1: int, rs2: int) -> None:
        values, decides = (self.registers.get(rs1), self.registers.get(rs2)), taken(instruction)
        if decides is None or values == (None, None):
            return
        left, right = self._real(rs1), self._real(rs2)
        others = list(zip(each(values[0], left), each(values[1], right), strict=True))
        is_equality = instruction >> 13 & 3 == 0
        if any(decides(a, b) != decides(left, right) for a, b in others) or (
            is_equality and is_open(left ^ right, [a ^ b for a, b in others])
        ):
            for register in {rs1, rs2} & self.registers.keys():
                self._decide(Use.BRANCH, register)

    # Memory.

    def _accessed(self, rs1: int, offset: int, size: int) -> _Access:
        """Raises nothing: an access that cannot be carried out traps by itself."""
        if rs1 in self.registers:
            self._decide(Use.ADDRESS, rs1)
        address = self._real(rs1) + offset & _ALL
        first, ram = self._core.physical_of(address), self._machine.memory.ram
        room = PAGE_SIZE - (address & PAGE_OFFSET)
        places = [] if first is None else list(range(int(first), int(first) + min(size, room)))
        if size > room and first is not None:
            second = self._core.physical_of(address + room & _ALL)
            places += [] if second is None else range(int(second), int(second) + size - room)
        if len(places) != size or not all(ram.contains(place) for place in places):
            return _Access(address, size, (), b"")
        return _Access(address, size, tuple(places), b"".join(self._machine.memory.read(at, 1) for at in places))

    def _found(self, access: _Access) -> tuple[list[int], Origin] | None:
        """What these bytes might be else, as a number; None where all are known."""
        if not access.places or self._inside.calls.marks_here & self._inside.marks:
            return None
        marked = [bool(self._fresh.at(place, 1)) for place in access.places]
        if not any(marked):
            return None
        first, last = marked.index(True), access.size - 1 - marked[::-1].index(True)
        origin = Origin(access.places[first], VirtAddr(access.address), access.size, first, last)
        others = [int.from_bytes(access.real, "little")] * OTHERS
        for index, (place, is_marked) in enumerate(zip(access.places, marked, strict=True)):
            if not is_marked:
                self._fresh.cells.pop(place, None)
                continue
            cell, octet = self._fresh.cells.get(place), access.real[index]
            if cell is not None:
                origin = cell.origin
            octets = other_bytes(octet, place) if cell is None else cell.others
            others = [other ^ (octet ^ instead) << 8 * index for other, instead in zip(others, octets, strict=True)]
        return others, origin

    def _load(self, instruction: int, rs1: int, offset: int) -> None:
        access = self._accessed(rs1, offset, 1 << (instruction >> 12 & 3))
        self._result = lambda: self._loaded(instruction, access)

    def _loaded(self, instruction: int, access: _Access) -> None:
        """The load has retired: only then a call that returned to it is sure to have been told of."""
        found = self._found(access)
        if found is None:
            return
        others, width = found[0], 8 * access.size
        is_float = instruction & bits.OPCODE == bits.LOAD_FP
        if is_float and width < 64:
            others = [other | _BOXED for other in others]
        elif not is_float and not instruction >> 12 & 4:
            others = [signed(other, width) & _ALL for other in others]
        self._put((instruction >> 7 & 31) + F0 * is_float, others, found[1])

    def _store(self, instruction: int, rs1: int, source: int, offset: int) -> None:
        access = self._accessed(rs1, offset, 1 << (instruction >> 12 & 3))
        value = self.registers.get(source)
        if value is not None:
            self._put_in_memory(access, self._real(source), value.others, value.origin)

    def _put_in_memory(self, access: _Access, real: int, others: Sequence[int], origin: Origin) -> None:
        """What a store leaves there might be something else; a process may read what is in its own pages."""
        mask = (1 << 8 * access.size) - 1
        if not access.places or all(not (other ^ real) & mask for other in others):
            return
        if self._is_for_user(access.address):
            self._tell(Use.USER, real & mask, origin)
            return
        pc = VirtAddr(self._core.words[PC])
        origin = origin._replace(stored=(pc, *map(VirtAddr, self._inside.callers())))

        def stored() -> None:
            if not self._core.engine.is_native:
                self._core.engine.flush_features()  # the store is told of then, and its marks are taken off
            for index, place in enumerate(access.places):
                octets = tuple(other >> 8 * index & 0xFF for other in others)
                if any(octet != real >> 8 * index & 0xFF for octet in octets):
                    self._fresh.mark(place, 1)
                    self._fresh.cells[place] = Cell(octets, origin)

        self._result = stored

    def _is_for_user(self, address: int) -> bool:
        if self._machine.hart.privilege is Privilege.U:
            return False
        walk = self._machine.walk(VirtAddr(address))
        return bool(walk.steps) and Pte(walk.steps[-1].pte).u

    def _atomic(self, instruction: int, rs1: int, rs2: int) -> None:
        access, rd = self._accessed(rs1, 0, 1 << (instruction >> 12 & 3)), instruction >> 7 & 31
        width, funct5 = 8 * access.size, instruction >> 27
        if funct5 == bits.SC:
            self._store_conditionally(access, rd, rs2)
            return
        found, value = self._found(access), self.registers.get(rs2)
        make, old = atomic(instruction), signed(int.from_bytes(access.real, "little"), width) & _ALL
        if found is None and value is None:
            return
        before = [old] * OTHERS if found is None else [signed(other, width) & _ALL for other in found[0]]
        origin = found[1] if found is not None else value.origin if value is not None else None
        assert origin is not None
        if make is not None:
            second = self._real(rs2)
            after = combined(make, before, each(value, second))
            self._put_in_memory(access, make(old, second), after, origin)
        stores = self._result

        def done() -> None:
            stores()
            self._put(rd, before, origin)

        self._result = done

    def _store_conditionally(self, access: _Access, rd: int, rs2: int) -> None:
        value = self.registers.get(rs2)
        if value is None:
            return
        self._put_in_memory(access, self._real(rs2), value.others, value.origin)
        stores = self._result
        self._result = lambda: stores() if not self._real(rd) else None


def _asks_for_zero(instruction: int, rs1: int, second: int | None) -> bool:
    """`seqz`, which is `sltiu rd, rs, 1`; and `snez`, `sltu rd, x0, rs`."""
    if instruction >> 12 & 7 != 3 or (instruction >> 25 & 1 and second is None):
        return False
    opcode = instruction & bits.OPCODE
    return (opcode == bits.OP_IMM and second == 1) or (opcode == bits.OP and not rs1)


def _nothing() -> None:
    return
