"""Instructions that belong together: branches, jumps, returns, changes of status, code that changes itself."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tests.emu.differential import encodings as e
from tests.emu.differential.encodings import BUDGET, LANDING, Array, Parcel, Source, addi, auipc, csr, i_type, word
from tests.emu.differential.instructions import integer
from tests.emu.differential.layout import STRAY
from tests.emu.differential.places import Places
from tests.emu.differential.states import delegated, float_status
from tests.emu.differential.status import DELEGABLE, INTERRUPTS, MIE, MPP_M, MPRV, SPP, TSR
from tests.emu.differential.traits import S_CODE, U_CODE

_SRET, _MRET, _WFI, _FENCE, _FENCE_I = 0x1020_0073, 0x3020_0073, 0x1050_0073, 0x1200_0073, 0x100F
_SSTATUS, _MSTATUS, _SATP, _MIE_CSR, _MIP = 0x100, 0x300, 0x180, 0x304, 0x344


def branch(s: Source) -> list[Parcel]:
    """A branch forward."""
    return [e.b_type(s.choice(0, 1, 4, 5, 6, 7), s.register(), s.register(), 0)]


def short_branch(s: Source) -> list[Parcel]:
    """The same in 16 bits."""
    return [e.short_branch(s.choice(6, 7), s.between(8, 16), 0)]


def jump(s: Source) -> list[Parcel]:
    """A jump forward."""
    return [e.jal(s.free(), 0)]


def jump_to_register(s: Source) -> list[Parcel]:
    """auipc and jalr, also to what is no multiple of 4, and with bit 0 set."""
    rd = s.free()
    rd = np.where(rd == 0, 5, rd)
    return [auipc(rd), i_type(0x67, s.free(), 0, rd, s.below(2))]


def aim(kind: Callable[..., object], parcels: Sequence[Parcel], distance: Array) -> None:
    """Let a branch or jump of one of the kinds above go so many bytes forward."""
    parcel = parcels[-1]
    if kind is branch:
        parcel |= e.b_type(0, 0, 0, distance).astype(np.uint32) & 0xFE000F80
    elif kind is short_branch:
        parcel |= e.short_branch(0, 8, distance).astype(np.uint16) & 0x1C7C
    elif kind is jump:
        parcel |= e.jal(0, distance).astype(np.uint32) & 0xFFFF_F000
    elif kind is jump_to_register:
        parcel += distance.astype(np.uint32) << np.uint32(20)


AIMED: dict[Callable[..., object], int] = {branch: 8, short_branch: 3, jump: 8, jump_to_register: 8}
"""How many units they go forward at most."""


def bad_jump(s: Places) -> list[Parcel]:
    """To what a register holds, or to what is no instruction; the budget ends the program.

    The register links as well, so that a jump to the jump itself goes on.
    """
    register, paging = 7, s.of(s.traits.paging) != 0
    lui, addiw = e.constant(register, STRAY - (1 << 32) + s.below(2000) * 2)
    shifts = i_type(0x13, register, 1, register, 32), i_type(0x13, register, 5, register, 32)
    address = [
        np.where(paging, addi(register, s.base(), 0), lui),
        *(np.where(paging, word(0x13), parcel) for parcel in (addiw, *shifts)),
    ]
    return [*address, *_spend([i_type(0x67, register, 0, register, s.below(2))])]


def _spend(parcels: list[Parcel]) -> list[Parcel]:
    landing = [auipc(LANDING), addi(LANDING, LANDING, 20 + e.size(parcels))]
    check = [addi(BUDGET, BUDGET, -1), e.b_type(5, BUDGET, 0, 8), word(0)]
    return [*landing, *check, *parcels]


def set_pointer(s: Source) -> list[Parcel]:
    """A good address into a register that compressed instructions and the stack pointer's reach."""
    return [addi(s.choice(2, *range(8, 16)), s.base(), s.mixed(0, 0, 8, s.between(-64, 64)))]


def _write_csr(s: Source, number: e.Numbers, value: Array, kind: e.Numbers) -> list[Parcel]:
    register = s.free()
    register = np.where(register == 0, 6, register)
    return [*e.constant(register, value), csr(kind, s.free(), number, register)]


def _status_value(s: Places) -> Array:
    value = s.below(1 << 23) & ~(3 << 9 | 3 << 13 | TSR) | np.where(s.chance(0.1), TSR, 0)
    return value | float_status(s, s.of(s.traits.clean) != 0)


def supervisor_status(s: Places) -> list[Parcel]:
    """Write `sstatus`."""
    return _write_csr(s, _SSTATUS, _status_value(s), s.choice(1, 2, 3))


def machine_status(s: Places) -> list[Parcel]:
    """Set or clear bits of `mstatus`, where MPP gets no mode that does not exist."""
    value = _status_value(s) & ~MPP_M | s.choice(0, MPP_M)
    value = np.where(s.chance(0.6), value & ~MPRV, value)
    return _write_csr(s, _MSTATUS, value, s.choice(2, 3))


def supervisor_interrupts(s: Places) -> list[Parcel]:
    """Write `sie` or `sip`."""
    return _interrupts(s, 0x104, 0x144)


def machine_interrupts(s: Places) -> list[Parcel]:
    """Write `mie` or `mip`."""
    return _interrupts(s, _MIE_CSR, _MIP)


def _interrupts(s: Places, enabled: int, pending: int) -> list[Parcel]:
    line = s.of(s.traits.line) & INTERRUPTS
    which = s.below(2)
    value = np.where(which, s.mixed(0, line, line), s.below(1 << 12) & 0xAAA)
    return _write_csr(s, np.where(which, pending, enabled), value, s.choice(1, 2, 3))


def delegate_exceptions(s: Source) -> list[Parcel]:
    """Write `medeleg`."""
    return _write_csr(s, 0x302, s.below(1 << 16) & DELEGABLE, s.choice(1, 2, 3))


def delegate_interrupts(s: Source) -> list[Parcel]:
    """Write `mideleg`."""
    return _write_csr(s, 0x303, delegated(s), 1)


def machine_address_space(s: Places) -> list[Parcel]:
    """Any `satp`, for MPRV."""
    mine = s.of(s.traits.satp)
    mode, root, other = s.mixed(0, mine >> 60 & 15, mine >> 60 & 15, 1, 7, 13), 7, 28
    parts = [addi(other, 0, mode), i_type(0x13, other, 1, other, 60), *e.constant(root, mine & 0xFFFF_FFFF)]
    parts += [e.r_type(0x33, other, 6, other, root, 0), csr(1, root, _SATP, other), word(_FENCE)]
    return _unless(s.returned, parts)  # in S mode it would unmap the program


def supervisor_address_space(s: Places) -> list[Parcel]:
    """The same tables with another ASID, or a mode that does not exist: what would become another real one is left out.

    A mode that does not exist is made from Sv39's.
    """
    rd, other = 7, 28
    paging = s.of(s.traits.paging)
    mode = (paging == 8) & s.chance(0.5)
    value = np.where(mode, s.choice(3, 5, 7), np.where(paging == 0, 0, s.below(2048)))
    shift = np.where(mode, 60, 44)
    bits = [addi(other, 0, value), i_type(0x13, other, 1, other, shift)]
    change = [e.r_type(0x33, rd, 4, rd, other, 0), csr(1, other, _SATP, rd), word(_FENCE)]
    return [csr(2, rd, _SATP, 0), *bits, *change]


def sret(s: Places) -> list[Parcel]:
    """To S or U mode."""
    return _return(s, 0x141, _SSTATUS, SPP, _SRET, s.choice(0, SPP))


def mret(s: Places) -> list[Parcel]:
    """To any mode."""
    return _return(s, 0x341, _MSTATUS, MPP_M, _MRET, s.choice(0, 1, 3) << 11)


def _return(s: Places, epc: int, status: int, field: int, instruction: int, to: Array) -> list[Parcel]:
    """Go on behind the return, in a privilege that may be lower; U mode has an alias of the code."""
    rd, other = 5, 6
    alias = np.where((s.of(s.traits.paging) != 0) & (to == 0), U_CODE - S_CODE, 0)
    machine = s.of(s.traits.privilege) == 3
    clear = [csr(1, 0, _SATP, 0), *e.constant(other, MPRV), csr(3, 0, _MSTATUS, other)]
    before = [np.where(machine, parcel, word(0x13)) for parcel in clear]
    head = [*e.constant(other, field), csr(3, 0, status, other), *e.constant(other, to), csr(2, 0, status, other)]
    back = [auipc(rd, alias << 12), addi(rd, rd, 16), csr(1, 0, epc, rd), word(instruction)]
    return _spend([*before, *head, *back])


def wait(s: Places) -> list[Parcel]:
    """`wfi` with something pending, so that it does not wait."""
    parts = [csr(7, 0, _MSTATUS, MIE), csr(6, 0, _MIP, 2), csr(6, 0, _MIE_CSR, 2), word(_WFI)]
    return _unless(s.returned | (s.of(s.traits.line) != 2), parts)


def software_interrupt(s: Places) -> list[Parcel]:
    """The CLINT's register for it."""
    parts = [word(0x0200_0000 | 5 << 7 | 0x37), addi(6, 0, s.below(2)), e.s_type(0x23, 2, 5, 6, 0)]
    return _unless((s.of(s.traits.line) != 8) | (not s.traits.interrupts_anywhere), parts)


def _unless(never: npt.NDArray[np.bool_], parcels: list[Parcel]) -> list[Parcel]:
    return [np.where(never, word(0x13), parcel) for parcel in parcels]


def change_ahead(s: Source) -> list[Parcel]:
    """Write an instruction over the one behind the fence."""
    (new,), (old,) = integer(s), integer(s)
    store = [*e.constant(5, _signed(new)), auipc(6), e.s_type(0x23, 2, 6, 5, 12), word(_FENCE_I)]
    return [*store, old]


def change_behind(s: Source) -> list[Parcel]:
    """Execute an instruction, write another one over it, and execute that."""
    (new,), (old,) = _sparing(s), _sparing(s)
    again = [*e.constant(5, _signed(new)), auipc(6), e.s_type(0x23, 2, 6, 5, -20), word(_FENCE_I)]
    once = [addi(7, 0, 1), old, e.b_type(0, 7, 0, 32), addi(7, 0, 0)]
    return [*once, *again, e.jal(0, -32)]


def _sparing(s: Source) -> list[Parcel]:
    """Instructions that do not write x7."""

    def draw(s: Source) -> Array:
        return integer(s)[0].astype(np.int64)

    return [word(s.until(draw, lambda value: value >> 7 & 31 != 7))]


def _signed(parcel: Parcel) -> Array:
    return parcel.astype(np.uint32).view(np.int32).astype(np.int64)


def end(s: Source) -> list[Parcel]:
    """The last trap."""
    return [np.broadcast_to(parcel, s.size).copy() for parcel in (addi(BUDGET, 0, -1), word(0))]


Unit = Callable[[Places], list[Parcel]]
CONTROL: Sequence[tuple[Unit, float, str]] = (
    (branch, 4.8, "MSU"), (short_branch, 3.2, "MSU"), (jump, 3, "MSU"), (jump_to_register, 3, "MSU"),
    (set_pointer, 4, "MSU"), (bad_jump, 1, "MSU"), (change_ahead, 0.8, "MSU"), (change_behind, 0.8, "MSU"),
    (supervisor_status, 1, "M"), (supervisor_status, 3, "S"), (machine_status, 2, "M"),
    (supervisor_interrupts, 0.6, "M"), (supervisor_interrupts, 2, "S"), (machine_interrupts, 1.4, "M"),
    (sret, 2, "MS"), (mret, 2, "M"), (delegate_exceptions, 1, "M"), (delegate_interrupts, 1, "M"), (wait, 1, "M"),
    (machine_address_space, 1, "M"), (supervisor_address_space, 1, "S"), (software_interrupt, 1, "M"),
)  # fmt: skip
"""Every unit with its weight, and the modes in which a program that has it may begin."""
