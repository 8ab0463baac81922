"""Where a function has saved its caller's registers, read from its instructions."""

from collections.abc import Iterator

from emu.firmware.framerows import FrameRule
from emu.isa.encodings import (
    AUIPC,
    C_JR,
    C_MV,
    C_REGISTER_MASK,
    JAL,
    JALR,
    LOAD,
    LUI,
    OP,
    OP_IMM,
    OP_IMM_32,
    OPCODE,
    STORE,
    SYSTEM,
    signed,
)  # fmt: skip
from emu.isa.jumps import jump_offset
from emu.lateclass import dataclass, field, replace
from emu.machine import Machine

_RA, _SP, _T0, _S0 = 1, 2, 5, 8
_WRITES = frozenset((LOAD, OP_IMM, AUIPC, OP_IMM_32, OP, LUI, SYSTEM))
"""Opcodes of loads, sums, `lui`, `auipc` and CSR instructions, which write rd."""
_JAL_T0, _JR_T0 = 0x2EF, 0x8282
_LONGEST_ROUTINE = 64
_FARTHEST = 1 << 14
"""Bytes from a function's beginning that are read."""


@dataclass(frozen=True, slots=True)
class _State:
    """What the instructions up to here have done."""

    depth: int | None = 0
    """Bytes from the stack pointer to the one at the function's entry; None when a register decides."""
    frame: int | None = None
    """Bytes from s0 to the stack pointer at the entry, once it is the frame pointer."""
    saved: dict[int, int] = field(default_factory=dict)
    elsewhere: bool = False
    """The return address has gone to another register or another place in memory."""


def frame_rule(machine: Machine, start: int, pc: int) -> FrameRule | None:
    """The rule for the instruction at `pc` of the function that begins at `start`; None when the code does not tell.

    A rule without ra is one of a function that has called another and kept no return address: nobody called it.

    Follows the instructions in their order in memory; behind the end of a branch of the function (a return or a jump)
    it goes on with the frame as it was before that branch took it down.
    """
    size = pc - start
    code = machine.peek(start, size) if 0 < size <= _FARTHEST else b""
    state = body = _State()
    for change in _changes(machine, start, code or b""):
        if change is None:
            state = body
            continue
        kind, register, amount = change
        if kind == "move":
            if amount > 0:
                body = state
            state = replace(state, depth=None if state.depth is None else state.depth - amount)
            body = state if amount < 0 else body
        elif kind == "take":
            state = body = replace(state, depth=None)
        elif kind == "frame" and state.depth is not None:
            state = body = replace(state, frame=state.depth - amount)
        elif kind == "keep" or (kind == "save" and register == _RA and state.depth is None):
            state = body = replace(state, elsewhere=True)
        elif kind == "save" and state.depth is not None and register not in state.saved:
            state = body = replace(state, saved={**state.saved, register: amount - state.depth})
    if _RA not in state.saved:
        return None if state.elsewhere or not code else FrameRule(_SP, 0, {})
    if state.depth is not None:
        return FrameRule(_SP, state.depth, state.saved)
    return None if state.frame is None else FrameRule(_S0, state.frame, state.saved)


_Change = tuple[str, int, int] | None


def _changes(machine: Machine, start: int, code: bytes) -> Iterator[_Change]:
    """What matters of the instructions: None for the end of a branch."""
    at = 0
    while at + 2 <= len(code):
        half = int.from_bytes(code[at : at + 2], "little")
        if half & 3 == 3:
            word = int.from_bytes(code[at : at + 4], "little")
            if word & 0xFFF == _JAL_T0:  # psABI, section 8.4.7: a routine that saves registers
                yield from _routine(machine, start + at + (jump_offset(word & ~0xF80) or 0))
            change, at = _long(word), at + 4
        else:
            change, at = _compressed(half), at + 2
        if change != ("", 0, 0):
            yield change


def _routine(machine: Machine, address: int) -> Iterator[_Change]:
    """What a routine that saves registers for its callers does (`__riscv_save_0`), if it is a straight line of code."""
    code, at, found = machine.peek(address, _LONGEST_ROUTINE) or b"", 0, list[_Change]()
    while at + 2 <= len(code):
        half = int.from_bytes(code[at : at + 2], "little")
        if half == _JR_T0:
            yield from found
            return
        if half & 3 == 3:
            change, at = _long(int.from_bytes(code[at : at + 4], "little")), at + 4
        else:
            change, at = _compressed(half), at + 2
        if change is None:
            break
        if change != _NOTHING:
            found.append(change)
    yield _KEPT_ELSEWHERE


_NOTHING = ("", 0, 0)
_KEPT_ELSEWHERE = ("keep", 0, 0)


def _long(word: int) -> _Change:
    opcode, rd, rs1, funct3 = word & OPCODE, word >> 7 & 0x1F, word >> 15 & 0x1F, word >> 12 & 7
    immediate = signed(word >> 20, 12)
    if opcode == OP_IMM and funct3 == 0 and rs1 == _SP and rd in (_SP, _S0):
        return "move" if rd == _SP else "frame", 0, immediate
    if rd == _SP and opcode in _WRITES:
        return "take", 0, 0
    if opcode == SYSTEM and funct3 in (1, 2, 3) and rs1 == _RA:
        return _KEPT_ELSEWHERE
    if rd == _T0 and opcode == JALR:
        return _KEPT_ELSEWHERE
    if (rs1 == _RA and opcode in (OP_IMM, OP)) or (opcode == STORE and word >> 20 & 0x1F == _RA and rs1 != _SP):
        return _KEPT_ELSEWHERE
    if opcode == STORE and funct3 == 3 and rs1 == _SP:
        return "save", word >> 20 & 0x1F, signed(word >> 25 << 5 | rd, 12)
    if opcode in (JALR, JAL) and rd == 0:
        return None
    return _NOTHING


def _compressed(half: int) -> _Change:
    quadrant, funct3, rd = half & 3, half >> 13, half >> 7 & 0x1F
    if (quadrant, funct3, rd) == (1, 0, _SP):  # c.addi
        return "move", 0, signed((half >> 12 & 1) << 5 | half >> 2 & 0x1F, 6)
    if (quadrant, funct3, rd) == (1, 3, _SP):  # c.addi16sp
        value = (
            (half >> 12 & 1) << 9 | (half >> 6 & 1) << 4 | (half >> 5 & 1) << 6 | (half >> 3 & 3) << 7
            | (half >> 2 & 1) << 5
        )  # fmt: skip
        return "move", 0, signed(value, 10)
    if (quadrant, funct3, half >> 2 & 7) == (0, 0, 0) and half:  # c.addi4spn s0
        value = (half >> 11 & 3) << 4 | (half >> 7 & 0xF) << 6 | (half >> 6 & 1) << 2 | (half >> 5 & 1) << 3
        return "frame", 0, value
    is_sum = (quadrant, funct3, rd) == (2, 4, _SP) and half >> 2 & 0x1F  # c.mv, c.add to the stack pointer
    if is_sum or (quadrant, funct3, rd) in ((2, 3, _SP), (1, 2, _SP)):  # c.ldsp, c.li
        return "take", 0, 0
    if (quadrant, funct3) == (2, 7):  # c.sdsp
        return "save", half >> 2 & 0x1F, (half >> 10 & 7) << 3 | (half >> 7 & 7) << 6
    if half & C_REGISTER_MASK == C_MV | _RA << 2:
        return _KEPT_ELSEWHERE
    if (quadrant, funct3) == (1, 5) or (half & C_REGISTER_MASK == C_JR and rd):  # c.j, c.jr
        return None
    return _NOTHING
