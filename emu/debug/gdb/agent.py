"""Conditions of breakpoints, which gdb sends as bytecode so that a false one costs no round trip (GDB manual, F)."""

from collections.abc import Callable

from emu.debug.gdb.registers import RegisterFile
from emu.lateclass import dataclass
from emu.machine import Machine

_MASK = (1 << 64) - 1
_MOST_STEPS = 10_000
_DEEPEST = 256


class _Unknown(Exception):
    """The bytecode cannot be evaluated: gdb is to look itself."""


def _signed(value: int, bits: int = 64) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def _divide(dividend: int, divisor: int, *, remainder: bool) -> int:
    if not divisor:
        raise _Unknown
    quotient = abs(dividend) // abs(divisor) * (1 if (dividend < 0) == (divisor < 0) else -1)
    return dividend - quotient * divisor if remainder else quotient


def _rearrange(operation: int, stack: list[int]) -> None:
    if operation == _DUP:
        stack.append(stack[-1])
    elif operation == _POP:
        stack.pop()
    elif operation == _SWAP:
        stack[-1], stack[-2] = stack[-2], stack[-1]
    else:
        raise _Unknown


_BINARY: dict[int, Callable[[int, int], int]] = {
    0x02: lambda a, b: a + b,
    0x03: lambda a, b: a - b,
    0x04: lambda a, b: a * b,
    0x05: lambda a, b: _divide(_signed(a), _signed(b), remainder=False),
    0x06: lambda a, b: _divide(a, b, remainder=False),
    0x07: lambda a, b: _divide(_signed(a), _signed(b), remainder=True),
    0x08: lambda a, b: _divide(a, b, remainder=True),
    0x09: lambda a, b: a << b if b < 64 else 0,
    0x0A: lambda a, b: _signed(a) >> min(b, 63),
    0x0B: lambda a, b: a >> b if b < 64 else 0,
    0x0F: lambda a, b: a & b,
    0x10: lambda a, b: a | b,
    0x11: lambda a, b: a ^ b,
    0x13: lambda a, b: int(a == b),
    0x14: lambda a, b: int(_signed(a) < _signed(b)),
    0x15: lambda a, b: int(a < b),
}
_UNARY: dict[int, Callable[[int], int]] = {0x0E: lambda a: int(not a), 0x12: lambda a: ~a}
_LOADS = {0x17: 1, 0x18: 2, 0x19: 4, 0x1A: 8}
_CONSTANTS = {0x22: 1, 0x23: 2, 0x24: 4, 0x25: 8}
_EXTEND, _ZERO_EXTEND, _REGISTER = 0x16, 0x2A, 0x26
_IF_GOTO, _GOTO, _END, _DUP, _POP, _SWAP = 0x20, 0x21, 0x27, 0x28, 0x29, 0x2B


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression in the bytecode of GDB's agents, all of whose operations but tracing are known.

    >>> Condition(bytes.fromhex("2205 2203 15 27")).value(None)  # 5 < 3
    0
    """

    code: bytes

    def holds(self, machine: Machine) -> bool:
        """Whether it is true now; also where it cannot be evaluated, so that gdb itself looks."""
        try:
            return bool(self.value(machine))
        except (_Unknown, IndexError):
            return True

    def value(self, machine: Machine | None) -> int:
        """What it comes to, unsigned."""
        stack: list[int] = []
        at = 0
        for _ in range(_MOST_STEPS):
            operation = self.code[at]
            at += 1
            if operation == _END:
                return stack[-1]
            if operation in (_IF_GOTO, _GOTO):
                if operation == _GOTO or stack.pop():
                    at = self._number(at, 2)
                else:
                    at += 2
                continue
            at = self._execute(operation, at, stack, machine)
            if len(stack) > _DEEPEST:
                raise _Unknown
        raise _Unknown

    def _execute(self, operation: int, at: int, stack: list[int], machine: Machine | None) -> int:
        """Execute what is no jump; returns where the next operation is."""
        if operation in _BINARY:
            right, left = stack.pop(), stack.pop()
            stack.append(_BINARY[operation](left, right) & _MASK)
        elif operation in _UNARY:
            stack.append(_UNARY[operation](stack.pop()) & _MASK)
        elif operation in _CONSTANTS:
            size = _CONSTANTS[operation]
            stack.append(self._number(at, size))
            return at + size
        elif operation in (_EXTEND, _ZERO_EXTEND):
            bits, value = self._number(at, 1), stack.pop()
            if not 0 < bits <= 64:
                raise _Unknown
            stack.append((_signed(value, bits) if operation == _EXTEND else value & (1 << bits) - 1) & _MASK)
            return at + 1
        elif operation in _LOADS and machine is not None:
            data = machine.peek(stack.pop(), _LOADS[operation])
            if data is None:
                raise _Unknown
            stack.append(int.from_bytes(data, "little"))
        elif operation == _REGISTER and machine is not None:
            digits = RegisterFile(machine).read(self._number(at, 2))
            if digits is None:
                raise _Unknown
            stack.append(int.from_bytes(bytes.fromhex(digits), "little"))
            return at + 2
        else:
            _rearrange(operation, stack)
        return at

    def _number(self, at: int, size: int) -> int:
        if at + size > len(self.code):
            raise _Unknown
        return int.from_bytes(self.code[at : at + size], "big")
