"""Call frame instructions, executed: where each rule of a function begins to hold (DWARF 5, section 6.4)."""

from collections.abc import Mapping
from struct import Struct

from emu.firmware.leb128 import signed, unsigned
from emu.hints import NamedTuple
from emu.lateclass import dataclass

_ADVANCE, _OFFSET, _RESTORE = 1, 2, 3
"""The upper two bits of instructions that have an operand in the lower six."""
_NOP, _SET, _ADVANCE_1, _ADVANCE_2, _ADVANCE_4, _OFFSET_EXTENDED, _RESTORE_EXTENDED, _UNDEFINED = range(8)
_SAME, _REGISTER, _REMEMBER, _RESTORE_STATE, _FRAME, _FRAME_REGISTER, _FRAME_OFFSET, _FRAME_EXPRESSION = range(8, 16)
_EXPRESSION, _OFFSET_SIGNED, _FRAME_SIGNED, _FRAME_OFFSET_SIGNED = range(16, 20)
_VALUE, _VALUE_SIGNED, _VALUE_EXPRESSION = range(20, 23)
_ARGUMENTS_SIZE = 0x2E
_STEPS = {_ADVANCE_1: 1, _ADVANCE_2: 2, _ADVANCE_4: 4}
_PLACE = Struct("<Q")


@dataclass(frozen=True, slots=True)
class FrameRule:
    """What holds at one instruction (DWARF 5, section 6.4.1)."""

    register: int
    """The canonical frame address, the caller's stack pointer, is this register and ..."""
    offset: int
    saved: Mapping[int, int]
    """Registers that are in memory, by their offset from the canonical frame address."""


class Factors(NamedTuple):
    """What a CIE says of the instructions of all its functions."""

    code: int
    data: int


Row = tuple[int, FrameRule | None]


def rows(common: bytes, own: bytes, start: int, factors: Factors) -> list[Row]:
    """What the instructions of a CIE and of one of its FDEs say of a function that begins at `start`.

    IndexError or struct.error where they are cut off, ValueError for what is no instruction.

    >>> program = bytes([0x44, 0x0E, 16, 0x44, 0x81, 1])
    >>> for address, rule in rows(bytes([0x0C, 2, 0]), program, 0x80200000, Factors(1, -8)):
    ...     print(hex(address), rule)
    0x80200000 FrameRule(register=2, offset=0, saved={})
    0x80200004 FrameRule(register=2, offset=16, saved={})
    0x80200008 FrameRule(register=2, offset=16, saved={1: -8})
    """
    initial = _Program(start, factors, (None, 0, {}))
    initial.execute(common)
    program = _Program(start, factors, initial.state)
    program.execute(own)
    return [*program.rows, program.row]


_State = tuple[int | None, int, dict[int, int]]
"""The register of the canonical frame address, or None where it is an expression; the offset; saved registers."""


class _Program:
    def __init__(self, start: int, factors: Factors, initial: _State) -> None:
        self._at, self._factors, self._initial = start, factors, initial
        self._register, self._offset, self._saved = initial[0], initial[1], dict(initial[2])
        self._remembered: list[_State] = []
        self.rows: list[Row] = []
        """Those that are over."""

    @property
    def state(self) -> _State:
        """The rule that holds."""
        return self._register, self._offset, dict(self._saved)

    @property
    def row(self) -> Row:
        """The same, and where it begins to hold."""
        register, offset, saved = self.state
        return self._at, None if register is None else FrameRule(register, offset, saved)

    def _move(self, to: int) -> None:
        self.rows.append(self.row)
        self._at = to

    def execute(self, code: bytes) -> None:
        """Follow instructions to their end."""
        at = 0
        while at < len(code):
            kind, low = code[at] >> 6, code[at] & 0x3F
            at += 1
            if kind == _ADVANCE:
                self._move(self._at + low * self._factors.code)
            elif kind == _OFFSET:
                number, at = unsigned(code, at)
                self._saved[low] = number * self._factors.data
            elif kind == _RESTORE:
                self._restore(low)
            else:
                at = self._extended(low, code, at)

    def _extended(self, opcode: int, code: bytes, at: int) -> int:
        if opcode in _STEPS:
            behind = at + _STEPS[opcode]
            self._move(self._at + int.from_bytes(code[at:behind], "little") * self._factors.code)
            return behind
        if opcode == _SET:
            self._move(*_PLACE.unpack_from(code, at))
            return at + _PLACE.size
        if opcode == _REMEMBER:
            self._remembered.append(self.state)
        elif opcode == _RESTORE_STATE:
            self._register, self._offset, self._saved = self._remembered.pop()
        elif opcode == _FRAME_EXPRESSION:
            self._register, at = None, _behind_block(code, at)
        elif opcode == _FRAME_OFFSET:
            self._offset, at = unsigned(code, at)
        elif opcode == _FRAME_OFFSET_SIGNED:
            number, at = signed(code, at)
            self._offset = number * self._factors.data
        elif opcode not in (_NOP, _ARGUMENTS_SIZE):
            number, at = unsigned(code, at)
            at = self._of_register(opcode, number, code, at)
        elif opcode == _ARGUMENTS_SIZE:
            _, at = unsigned(code, at)
        return at

    def _of_register(self, opcode: int, register: int, code: bytes, at: int) -> int:
        """What names a register first."""
        if opcode == _FRAME:
            self._register, (self._offset, at) = register, unsigned(code, at)
        elif opcode == _FRAME_SIGNED:
            number, at = signed(code, at)
            self._register, self._offset = register, number * self._factors.data
        elif opcode == _FRAME_REGISTER:
            self._register = register
        elif opcode == _RESTORE_EXTENDED:
            self._restore(register)
        elif opcode in (_OFFSET_EXTENDED, _OFFSET_SIGNED):
            number, at = (signed if opcode == _OFFSET_SIGNED else unsigned)(code, at)
            self._saved[register] = number * self._factors.data
        else:
            self._saved.pop(register, None)
            if opcode in (_EXPRESSION, _VALUE_EXPRESSION):
                at = _behind_block(code, at)
            elif opcode in (_REGISTER, _VALUE, _VALUE_SIGNED):
                _, at = unsigned(code, at)
            elif opcode not in (_UNDEFINED, _SAME):
                raise ValueError(opcode)
        return at

    def _restore(self, register: int) -> None:
        if register in self._initial[2]:
            self._saved[register] = self._initial[2][register]
        else:
            self._saved.pop(register, None)


def _behind_block(code: bytes, at: int) -> int:
    size, at = unsigned(code, at)
    return at + size
