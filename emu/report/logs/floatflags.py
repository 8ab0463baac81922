"""Which exceptions a floating-point instruction of a log raises: it is executed again, with the same operands."""

import struct
from collections.abc import Sequence
from functools import lru_cache

from emu.isa.csrs import Csr
from emu.isa.encodings import FUSED, OP_FP, OPCODE
from emu.isa.privilege import Privilege
from emu.isa.status import FS_DIRTY
from emu.machine import Machine, MachineConfig

_QUIET = (0x04, 0x1C, 0x1E)
"""funct5 of OP-FP that raise nothing: sign injection, fmv.x and fclass, fmv from integers."""
_DYNAMIC = 7
_SET_FCSR, _GET_FFLAGS, _RETURN = 0x00359073, 0x00102573, 0x00008067
"""`fscsr a1`, `frflags a0`, `ret`: what is around the instruction."""
_FUNCTION = struct.Struct("<4I")


def raises_flags(instruction: int) -> bool:
    """Whether an instruction can raise floating-point exceptions (unprivileged manual, section 11.2)."""
    opcode = instruction & OPCODE
    return opcode in FUSED or (opcode == OP_FP and instruction >> 27 not in _QUIET)


class FloatFlags:
    """Computes `fflags` on a small machine of its own, made when it is first needed.

    >>> flags = FloatFlags()
    >>> registers = [0] * 64
    >>> registers[32 + 10], registers[32 + 11] = 0x3FF0000000000000, 0x4008000000000000  # 1.0 and 3.0
    >>> flags.raised(0x1AB57553, 0, registers), flags.raised(0x02B57553, 0, registers)  # fdiv.d, fadd.d fa0, fa0, fa1
    (1, 0)
    """

    def __init__(self) -> None:
        self._machine: Machine | None = None
        self._places: dict[int, int] = {}
        self._raised = lru_cache(maxsize=1 << 16)(self._execute)

    def raised(self, instruction: int, rounding: int, registers: Sequence[int]) -> int:
        """The flags that an instruction with these operands raises; `rounding` is `frm`. x0 to x31, then f0 to f31."""
        is_fused = instruction & OPCODE in FUSED
        from_integer = not is_fused and instruction >> 27 == 0x1A
        first = registers[(instruction >> 15 & 31) + (0 if from_integer else 32)]
        second = registers[32 + (instruction >> 20 & 31)]
        third = registers[32 + (instruction >> 27)] if is_fused else 0
        has_mode = instruction >> 12 & 7 == _DYNAMIC
        return self._raised(instruction, rounding if has_mode else 0, first, second, third)

    def _execute(self, instruction: int, rounding: int, first: int, second: int, third: int) -> int:
        machine = self._machine
        if machine is None:
            machine = self._machine = Machine(MachineConfig(fidelity="fast", ram_size=1 << 20, firmware="none"))
            machine.hart.privilege = Privilege.M
            machine.hart.csr[Csr.MSTATUS] = FS_DIRTY
        # Its registers are replaced: fa0 (or a0), fa1 and fa2 are the operands, and a0 or fa0 is what it writes.
        known = instruction & OPCODE in FUSED
        source = instruction & ~(31 << 15 | 31 << 7) | 10 << 15 | 10 << 7
        if known or instruction >> 27 not in (0x08, 0x0B, 0x18, 0x1A):  # whose rs2 is part of the operation
            source = source & ~(31 << 20) | 11 << 20
        if known:
            source = source & ~(31 << 27) | 12 << 27
        place = self._places.get(source)
        if place is None:
            place = self._places[source] = machine.memory.ram.base + _FUNCTION.size * len(self._places)
            machine.memory.write(place, _FUNCTION.pack(_SET_FCSR, source, _GET_FFLAGS, _RETURN))
        return machine.call(place, first, rounding << 5, floats=(first, second, third))
