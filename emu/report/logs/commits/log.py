"""What Spike's log (`--log-commits`, and with it `-l`) says of an instruction: what it has written, and each trap."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from emu.engine.translated.features import Access, Write, accesses, registerwrites
from emu.errors import RecordingError
from emu.firmware.names import Names
from emu.hart.traps import enter_m, enter_s, leave_m, leave_s
from emu.isa.causes import ExceptionCause
from emu.isa.csrs import MHPM_COUNTERS, Csr, csr_name
from emu.isa.encodings import AMO, MRET, OPCODE, SC, SYSTEM, TRAP_RETURNS
from emu.isa.operands import MemoryOperand, instruction_length, memory_operand, stored_register
from emu.isa.privilege import Access as AccessKind
from emu.isa.privilege import Privilege
from emu.isa.status import FS_DIRTY, SSTATUS_WRITE, Status
from emu.record.csrs import INTERRUPT, Change, ChangeKind
from emu.record.recording import Instruction
from emu.report.disassembly import disassemble
from emu.report.logs.commits.layout import SOURCE, Flag
from emu.report.logs.commits.records import Queue, Records
from emu.report.logs.floatflags import FloatFlags, raises_flags

_FLOAT, _STATUS = 32, 64
CSR = 4
"""The kind of a register in Spike's list of those that an instruction has written; 0 and 1: integer, floating point."""
_SD = int(Status.SD)
_PYTHON, _ACCESSES, _SC_FLAG, _STATUS_FLAG, _SETS, _CLEARS, _IMMEDIATE, _LONG = (
    int(flag)
    for flag in (Flag.PYTHON, Flag.ACCESSES, Flag.SC, Flag.STATUS, Flag.SETS, Flag.CLEARS, Flag.IMMEDIATE, Flag.LONG)
)
_EXCEPTIONS = (
    "instruction_address_misaligned", "instruction_access_fault", "illegal_instruction", "breakpoint",
    "load_address_misaligned", "load_access_fault", "store_address_misaligned", "store_access_fault",
    "user_ecall", "supervisor_ecall", "virtual_supervisor_ecall", "machine_ecall",
    "instruction_page_fault", "load_page_fault", "trap #14", "store_page_fault",
)  # fmt: skip
"""As Spike's riscv/trap.h has them."""
_WITHOUT_TVAL = range(8, 12)
NOT_FETCHED = (0, 1, 12)
"""Causes of traps in front of an instruction that nobody has seen."""


class _Shape(NamedTuple):
    """What is the same each time an instruction is executed."""

    text: str
    """Its pc and code."""
    raises: bool
    operand: MemoryOperand | None
    is_sc: bool
    returns: bool
    writes_status: bool
    """It is a CSR instruction that writes `sstatus`."""


class Reached(NamedTuple):
    """An access of an instruction."""

    address: int
    size: int
    value: int
    """What was stored or loaded; 0 for what a device has answered."""
    is_store: bool


class CommitLog:
    """The lines of one run, in order. It follows the registers and CSRs that are not told of each time.

    Without the changes of CSRs (`emu.record.csrs`) lines have neither CSRs nor accesses to devices.
    """

    def __init__(self, names: Names | None = None, *, execution: bool = False, hart: int = 0) -> None:
        """`execution`: each instruction in assembly language, the symbols and the traps, too, as with Spike's `-l`."""
        self.writes: Records[Write] = Records(registerwrites.RECORD.size, registerwrites.decode)
        self.accesses: Records[Access] = Records(accesses.RECORD.size, accesses.decode)
        self.changes: Queue[Change] = Queue()
        self.is_native = True
        """Whether native code may make the lines of most instructions by their `beginning`."""
        self._names, self._execution = names, execution
        self._head = f"core{hart:>4}: "
        self._first = self._head.encode()
        self._known = False
        self.registers = array("Q", bytes(8 * 65))
        """x0 to x31, f0 to f31, and `mstatus` without SD, as the log has followed them."""
        self._flags = self._rounding = 0
        self._privilege = Privilege.M
        self._floats = FloatFlags()
        self._texts: dict[tuple[int, bytes], str] = {}
        self._shapes: dict[tuple[int, bytes], _Shape] = {}

    def clear(self) -> None:
        """Forget what has not been taken: the machine was put back."""
        self.writes.clear()
        self.accesses.clear()
        self.changes.clear()

    def changed(self, change: Change) -> None:
        """Take a change, in the order of time."""
        self.changes.feed([change])

    @property
    def next_change(self) -> int | None:
        """`instret` of the first instruction that is not like its `beginning`."""
        return self.changes.next

    @property
    def knows_status(self) -> bool:
        """Whether the log has been told `mstatus`: else it says nothing of it."""
        return self._known

    @property
    def plain(self) -> int:
        """The registers below this number change nothing else when they are written."""
        return _STATUS if not self._known or self._status & FS_DIRTY == FS_DIRTY else _FLOAT

    @property
    def _status(self) -> int:
        return self.registers[_STATUS]

    @_status.setter
    def _status(self, status: int) -> None:
        self.registers[_STATUS] = status

    @property
    def head(self) -> bytes | None:
        """What each line has before its pc, with `?` for the privilege; None where `beginning` has all of it."""
        return None if self._execution else self._first + b"? 0x"

    def beginning(self, pc: int, code: bytes) -> tuple[bytes, int]:
        """What a line begins with, and lines before it; where in it the privilege is."""
        before = "".join(f"{line}\n" for line in self._executed(pc, code)).encode() + self._first
        return before + f"?{_place(pc, code)}".encode(), len(before)

    def text(self, one: Instruction, codes: Mapping[int, bytes]) -> Iterator[tuple[int, str]]:
        """The pc and text of each line. `codes` has instructions that may trap, by address."""
        instret, pc, code, privilege = one
        written = self.changes.until(instret)
        if written:
            for change in written:
                if change.kind is not ChangeKind.WRITE:
                    for text in self._change(change, codes):
                        yield change.value, text
            written = [change for change in written if change[:2] == (ChangeKind.WRITE, instret)]
        self._privilege = privilege
        if self._execution:
            for text in self._executed(pc, code):
                yield pc, text
        yield pc, self._line(one, written)

    def _change(self, change: Change, codes: Mapping[int, bytes]) -> Iterator[str]:
        if change.kind is ChangeKind.START:
            self._known = True
            self.registers[:_STATUS] = array("Q", change.registers)
            self._status = change.value & ~_SD
            self._flags, self._rounding, self._privilege = change.second & 31, change.second >> 5, change.privilege
        elif change.kind is ChangeKind.TRAP:
            enter = enter_s if change.privilege is Privilege.S else enter_m
            self._status = enter(self._status, self._privilege)
            self._privilege = change.privilege
            if self._execution:
                yield from self._trapped(change, codes)

    def _trapped(self, trap: Change, codes: Mapping[int, bytes]) -> Iterator[str]:
        if trap.number & INTERRUPT:
            yield f"{self._head}exception interrupt #{trap.number & ~INTERRUPT}, epc {trap.value:#018x}"
            return
        code = codes.get(trap.value)
        if trap.number == ExceptionCause.ILLEGAL_INSTRUCTION:
            code = trap.second.to_bytes(8, "little")[: instruction_length(trap.second)]
        if trap.number not in NOT_FETCHED and code is not None:
            yield from self._executed(trap.value, code)
        name = _EXCEPTIONS[trap.number] if trap.number < len(_EXCEPTIONS) else f"#{trap.number}"
        yield f"{self._head}exception trap_{name}, epc {trap.value:#018x}"
        if trap.number not in _WITHOUT_TVAL:
            yield f"{self._head}          tval {trap.second:#018x}"

    def _executed(self, pc: int, code: bytes) -> Iterator[str]:
        text = self._texts.get((pc, code))
        if text is None:
            mnemonic, _, operands = (disassemble(code, pc) or "unknown").partition(" ")
            word = int.from_bytes(code, "little")
            text = f"{self._head}{pc:#018x} ({word:#010x}) {mnemonic:<7} {operands}".rstrip()
            found = self._names.symbols.at(pc) if self._names is not None else None
            if found is not None and not found[1]:
                text = f"{self._head}>>>>  {found[0].name}\n{text}"
            self._texts[pc, code] = text
        yield from text.split("\n")

    def _shape(self, pc: int, code: bytes) -> _Shape:
        known = self._shapes.get((pc, code))
        if known is not None:
            return known
        word = int.from_bytes(code, "little")
        shape = self._shapes[pc, code] = _Shape(
            _place(pc, code), raises_flags(word), memory_operand(word),
            word & OPCODE == AMO and word >> 27 == SC, word in TRAP_RETURNS, _writes_status(word),
        )  # fmt: skip
        return shape

    def _line(self, one: Instruction, changes: Sequence[Change]) -> str:
        _, pc, code, privilege = one
        shape = self._shape(pc, code)
        written, accesses = self._step(one, shape, changes)
        text = f"{self._head}{int(privilege)}{shape.text}"
        for key in sorted(written) if len(written) > 1 else written:  # Spike's order
            number, kind = key >> 4, key & 15
            if kind == CSR:
                text += f" c{number}_{_name(number)} {written[key]:#018x}"
            else:
                text += f" {'xf'[kind]}{number:<2} {written[key]:#018x}"
        for address, size, value, is_store in accesses:
            text += f" mem {address:#018x} {value:#0{2 + 2 * size}x}" if is_store else f" mem {address:#018x}"
        return text

    def _step(self, one: Instruction, shape: _Shape, changes: Sequence[Change]) -> tuple[dict[int, int], list[Reached]]:
        """What an instruction has written, by number << 4 | kind; and the accesses."""
        instret, _, code, _ = one
        registers = self.registers
        found: dict[int, int] = {}
        if shape.raises and self._known:
            raised = self._floats.raised(int.from_bytes(code, "little"), self._rounding, registers)
            if raised:
                self._flags |= raised
                self._csr(found, Csr.FFLAGS, self._flags)
                self._make_dirty(found)
        accesses = self._accesses(instret, code, shape)
        if shape.writes_status and self._known and all(change.number != Csr.SSTATUS for change in changes):
            changes = [self._status_written(one)]
        for write in self.writes.until(instret):
            number, value = write.register, write.value
            if write.instret != instret:
                continue
            if number >= _STATUS:
                raise RecordingError(f"the recording is damaged: at instruction {instret:,} it names register {number}")
            if number >= _FLOAT:
                found[number - _FLOAT << 4 | 1] = value
                self._make_dirty(found)
            else:
                found[number << 4] = value
            registers[number] = value
        for change in changes:
            self._written(found, change)
        if shape.returns and self._known:
            leave = leave_m if int.from_bytes(code, "little") == MRET else leave_s
            self._status, self._privilege = leave(self._status)
            self._csr(found, Csr.MSTATUS, self._shown_status)
        return found, accesses

    def _status_written(self, one: Instruction) -> Change:
        """What an instruction writes to `sstatus`, by the registers before it."""
        word = int.from_bytes(one.code, "little")
        source, kind = word >> 15 & 31, word >> 12 & 3
        operand = source if word >> 14 & 1 else self.registers[source]
        value = (operand, self._status | operand, self._status & ~operand)[kind - 1]
        return Change(ChangeKind.WRITE, one.instret, value, 0, Csr.SSTATUS, one.privilege)

    def _accesses(self, instret: int, code: bytes, shape: _Shape) -> list[Reached]:
        """Before the instruction's registers are written: they have the address of what is not recorded."""
        operand = shape.operand
        found: list[Reached] = []
        if operand is None:
            return found
        any_access = False
        for access in self.accesses.until(instret):
            if access.instret == instret:
                any_access = True
                if access.is_store or not shape.is_sc:
                    found.append(Reached(access.address, access.size, access.value, access.is_store))
        if self._known and not any_access and not shape.is_sc:  # a device's
            is_store = operand.access is AccessKind.STORE
            register = stored_register(int.from_bytes(code, "little"))
            value = 0 if register is None else self.registers[register]
            address, size = operand.address(self.registers), operand.size
            found.append(Reached(address, size, value & (1 << 8 * size) - 1, is_store))
        return found

    def _written(self, found: dict[int, int], change: Change) -> None:
        """The CSRs that Spike says are written, of a CSR instruction."""
        number, value = change.number, change.value
        if number in (Csr.FFLAGS, Csr.FRM, Csr.FCSR):
            if number != Csr.FRM:
                self._flags = value & 31
                self._csr(found, Csr.FFLAGS, self._flags)
            if number != Csr.FFLAGS:
                self._rounding = value >> 5 if number == Csr.FCSR else value
                self._csr(found, Csr.FRM, self._rounding)
            self._make_dirty(found)
        elif number in (Csr.MSTATUS, Csr.SSTATUS):
            mask = SSTATUS_WRITE if number == Csr.SSTATUS else ~_SD
            self._status = self._status & ~mask & ~_SD | value & mask
            self._csr(found, Csr.MSTATUS, self._shown_status)
        elif number == Csr.SIE:
            self._csr(found, Csr.SIE, value)
            self._csr(found, Csr.MIE, change.second)
        elif number == Csr.SIP:
            self._csr(found, Csr.MIP, change.second)
        elif number not in MHPM_COUNTERS:
            self._csr(found, number, value)

    @property
    def _shown_status(self) -> int:
        return self._status | (_SD if self._status & FS_DIRTY == FS_DIRTY else 0)

    def _make_dirty(self, found: dict[int, int]) -> None:
        if self._known and self._status & FS_DIRTY != FS_DIRTY:
            self._status |= FS_DIRTY
            self._csr(found, Csr.MSTATUS, self._shown_status)

    @staticmethod
    def _csr(found: dict[int, int], number: int, value: int) -> None:
        found[number << 4 | CSR] = value


_name = cache(csr_name)


def _place(pc: int, code: bytes) -> str:
    """What a line has behind the privilege, before registers and accesses."""
    return f" {pc:#018x} ({int.from_bytes(code, 'little'):#0{2 + 2 * len(code)}x})"


def flags_of(code: bytes) -> int:
    """The `Flag`s of an instruction, as a number: sums of members are slow to make."""
    word = int.from_bytes(code, "little")
    flags = _LONG if len(code) == 4 else 0
    if raises_flags(word) or word in TRAP_RETURNS:
        flags |= _PYTHON
    elif _writes_status(word):
        kind = (0, _SETS, _CLEARS)[(word >> 12 & 3) - 1]
        flags |= _STATUS_FLAG | kind | (_IMMEDIATE if word >> 14 & 1 else 0) | (word >> 15 & 31) << SOURCE
    elif memory_operand(word) is not None:
        flags |= _ACCESSES | (_SC_FLAG if word & OPCODE == AMO and word >> 27 == SC else 0)
    return flags


def _writes_status(word: int) -> bool:
    kind = word >> 12 & 3
    return word & OPCODE == SYSTEM and kind != 0 and word >> 20 == Csr.SSTATUS and (kind == 1 or word >> 15 & 31 != 0)
