"""Where a jump to a place without code came from, as far as the registers still tell."""

from collections.abc import Sequence

from emu.address import VirtAddr
from emu.isa.causes import InterruptCause, cause_label
from emu.isa.encodings import C_JALR, C_REGISTER_MASK, JALR, OPCODE, signed
from emu.isa.privilege import Privilege
from emu.isa.registers import INTEGER_REGISTERS, RA
from emu.observe.code import call_before
from emu.report.places import Places

_INTERRUPTS = frozenset(map(int, InterruptCause))
_ALL = (1 << 64) - 1


def jump_origin(places: Places, target: int, privilege: Privilege, registers: Sequence[int]) -> str | None:
    """What has probably led the hart to `target`: a call, a return or a jump through a register; None if unknown.

    `registers` are the integer registers as they were there.
    """
    entry = _vector_entry(places, target)
    if entry is not None:
        return entry
    ra = registers[RA]
    if ra & ~1 == target:  # a jump clears the lowest bit
        if not target:
            return "ra is 0: a `ret` from what nobody called, or a jump through a null pointer"
        returned = call_before(places.machine, target)
        if returned is not None:
            return (
                f"the call at {places.name(returned)} has returned, and no code stands behind it: is a `ret` missing?"
            )
        return "ra holds this address: a `ret`, after ra was overwritten or never set"
    call = _call_before(places, target, privilege, registers)
    if call is not None:
        return call
    holders = [name for number, name in enumerate(INTEGER_REGISTERS) if number and registers[number] & ~1 == target]
    if target and holders:
        return f"{' and '.join(holders[:3])} hold{'s' if len(holders) == 1 else ''} this address: a jump through it"
    return (
        None
        if target
        else "a jump through a null pointer, or a return from a trap (sret, mret) whose epc was never set"
    )


def _vector_entry(places: Places, target: int) -> str | None:
    """Which interrupt enters at `target`, where a trap vector says that each has an entry of its own."""
    for name in ("stvec", "mtvec"):
        vector = places.machine.hart.csr[name]
        number, beyond = divmod(target - (vector & ~3), 4)
        if vector & 3 == 1 and not beyond and number in _INTERRUPTS:
            what = cause_label(number, interrupt=True)
            return f"{name} is vectored (its lowest bits are 1), and the {what} enters at entry {number} of its table"
    return None


def _call_before(places: Places, target: int, privilege: Privilege, registers: Sequence[int]) -> str | None:
    """The call that stands before the return address, if it leads to the target."""
    ra = registers[RA]
    for length in (4, 2):
        site = ra - length & _ALL
        code = places.code(site, privilege)
        if code is None or len(code) != length:
            continue
        bits = int.from_bytes(code, "little")
        base = _base_of_call(bits)
        if base is None or (registers[base[0]] + base[1]) & _ALL & ~1 != target:
            continue
        text = places.instruction(site, privilege)
        return f"called by `{text}` at {places.name(VirtAddr(site))}"
    return None


def _base_of_call(bits: int) -> tuple[int, int] | None:
    """Register and offset of `jalr ra, offset(register)` and `c.jalr register`; None for anything else."""
    if bits & 3 == 3:
        if bits & OPCODE != JALR or bits >> 7 & 31 != RA or bits >> 15 & 31 == RA:
            return None
        return bits >> 15 & 31, signed(bits >> 20, 12)
    is_jalr = bits & C_REGISTER_MASK == C_JALR and bits >> 7 & 31 not in (0, RA)
    return (bits >> 7 & 31, 0) if is_jalr else None
