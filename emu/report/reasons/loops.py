"""A loop that a guest never leaves because of one instruction: a function that returns to itself, a jump to itself."""

from emu.isa.dataflow import flow
from emu.isa.encodings import C_JR, C_REGISTER_MASK, JALR, OPCODE, RETURNS
from emu.isa.jumps import compressed_jump_offset, jump_offset
from emu.isa.operands import instruction_length
from emu.isa.registers import RA
from emu.observe.code import call_before
from emu.report.places import Places

_LONGEST = 64
"""Instructions behind a call in which the function's `ret` is looked for."""


def endless_return(places: Places) -> str | None:
    """Why the function that the hart is in returns to itself for ever; None when it does not.

    Behind its last call, ra holds the address behind this call. When nothing puts the caller's back before the `ret`,
    that `ret` leads there again.
    """
    hart = places.machine.hart
    ra = hart.x[RA]
    call = call_before(places.machine, ra)
    if call is None or not _leads_back(places, ra, hart.pc):
        return None
    return (
        f"{places.function(call)} returns to itself, for ever: ra is {ra:#x} still, behind the call at "
        f"{places.name(call)}; keep ra on the stack while others are called (sd ra, 0(sp); ld ra, 0(sp) before `ret`)"
    )


def _leads_back(places: Places, start: int, pc: int) -> bool:
    """Whether the code from `start` on comes to `pc` and to a `ret`, without a jump and without another ra."""
    at, is_met = start, False
    for _ in range(_LONGEST):
        code = places.code(at)
        if code is None:
            return False
        bits = int.from_bytes(code, "little")
        is_met = is_met or at == pc
        if bits in RETURNS:
            return is_met
        length = instruction_length(bits & 0xFFFF)
        written = flow(bits)
        if (written is not None and written.destination == RA) or _jumps(bits, length):
            return False
        at += length
    return False


def _jumps(bits: int, length: int) -> bool:
    """Whether an instruction is a jump or a branch that is no call, which writes ra."""
    if length == 2:
        is_jr = bits & C_REGISTER_MASK == C_JR and bits >> 7 & 31 != 0
        return is_jr or compressed_jump_offset(bits) is not None
    return bits & OPCODE == JALR or jump_offset(bits) is not None
