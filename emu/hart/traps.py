"""How `mstatus` changes when a trap is entered and left, and which interrupt comes first: pure functions."""

from collections.abc import Callable

from emu.hints import NamedTuple
from emu.isa.causes import INTERRUPT_BIT
from emu.isa.privilege import Privilege
from emu.isa.status import MEIP, MPP_SHIFT, MSIP, MTIP, SEIP, SSIP, STIP, Status

_SIE, _MIE = int(Status.SIE), int(Status.MIE)
_SPIE, _MPIE = int(Status.SPIE), int(Status.MPIE)
_SPP, _MPP, _MPRV = int(Status.SPP), int(Status.MPP), int(Status.MPRV)

_U, _S, _M = Privilege.U, Privilege.S, Privilege.M  # looking a member up in its Enum is slow

INTERRUPT_PRIORITY = (MEIP, MSIP, MTIP, SEIP, SSIP, STIP)
"""Simultaneous interrupts for one privilege level are taken in this order (privileged manual, section 3.1.9)."""


def enter_s(status: int, privilege: int) -> int:
    """`mstatus` after a trap into S mode from `privilege` (section 3.1.6.1).

    >>> Status(enter_s(int(Status.SIE), 1)) == Status.SPP | Status.SPIE
    True
    """
    stacked = _SPIE if status & _SIE else 0
    return (status & ~(_SIE | _SPIE | _SPP)) | stacked | (_SPP if privilege else 0)


def enter_m(status: int, privilege: int) -> int:
    """`mstatus` after a trap into M mode from `privilege`."""
    stacked = _MPIE if status & _MIE else 0
    return (status & ~(_MIE | _MPIE | _MPP)) | stacked | (privilege << MPP_SHIFT)


class Places(NamedTuple):
    """Where a hart keeps what a trap into one mode reads and writes, and how `mstatus` changes."""

    entered: Callable[[int, int], int]
    status: int
    epc: int
    cause: int
    tval: int
    tvec: int


def enter_handler(
    state: memoryview, places: Places, cause: int, tval: int, epc: int, source: int, *, interrupt: bool
) -> int:
    """What hardware does to CSRs on a trap (sections 3.1.6.1 and 3.1.7); the address of the handler."""
    entered, at_status, at_epc, at_cause, at_tval, at_tvec = places
    state[at_status] = entered(state[at_status], source)
    state[at_epc], state[at_cause], state[at_tval] = epc, cause | INTERRUPT_BIT if interrupt else cause, tval
    tvec = state[at_tvec]
    return trap_target(tvec, cause, interrupt=True) if interrupt else tvec & ~3


def leave_s(status: int) -> tuple[int, Privilege]:
    """`mstatus` after `sret`, and the privilege that execution goes on with."""
    privilege = _S if status & _SPP else _U
    unstacked = _SIE if status & _SPIE else 0
    return (status & ~(_SIE | _SPP | _MPRV)) | unstacked | _SPIE, privilege


def leave_m(status: int) -> tuple[int, Privilege]:
    """`mstatus` after `mret`, and the privilege that execution goes on with."""
    privilege = Privilege((status & _MPP) >> MPP_SHIFT)
    unstacked = _MIE if status & _MPIE else 0
    status = (status & ~(_MIE | _MPP)) | unstacked | _MPIE
    return (status if privilege == _M else status & ~_MPRV), privilege


def trap_target(tvec: int, cause: int, *, interrupt: bool) -> int:
    """The address of the handler: the base, or in vectored mode base + 4 * cause for interrupts (section 3.1.7).

    >>> hex(trap_target(0x80000001, 5, interrupt=True)), hex(trap_target(0x80000001, 5, interrupt=False))
    ('0x80000014', '0x80000000')
    """
    base = tvec & ~3
    return (base + 4 * cause) & (1 << 64) - 1 if interrupt and tvec & 3 == 1 else base


def next_interrupt(pending: int, mideleg: int, status: int, privilege: int) -> tuple[int, Privilege] | None:
    """The interrupt to take now (its number, and the mode that takes it), or None.

    `pending` is `mip & mie`. An interrupt for a higher mode comes first, whatever its number (section 3.1.9).

    >>> next_interrupt(STIP | MTIP, STIP, 0, 1)
    (7, <Privilege.M: 3>)
    >>> next_interrupt(STIP | SEIP, STIP | SEIP, int(Status.SIE), 1)
    (9, <Privilege.S: 1>)
    """
    for_m = pending & ~mideleg
    if for_m and (privilege < _M or status & _MIE):
        return _first(for_m), _M
    for_s = pending & mideleg
    if for_s and (privilege < _S or (privilege == _S and status & _SIE)):
        return _first(for_s), _S
    return None


def _first(interrupts: int) -> int:
    for bit in INTERRUPT_PRIORITY:
        if interrupts & bit:
            return bit.bit_length() - 1
    return (interrupts & -interrupts).bit_length() - 1
