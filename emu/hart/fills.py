"""Quick page walks for fidelity `exact`: the common case in few steps, everything else left to `emu.mmu.walk`."""

from emu.isa.privilege import Privilege
from emu.mmu import pte as bits

PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
"""The engine's protection bits."""


def permissions(privilege: Privilege, *, sum_bit: bool, mxr: bool) -> tuple[int, ...]:
    """The protection that a leaf PTE grants, by its low eight bits; 0 where the full walk has to look.

    With A clear nothing is granted, with D clear no store: the full walk either sets the bit or refuses.

    >>> permissions(Privilege.U, sum_bit=False, mxr=False)[0xD7] == PROT_READ | PROT_WRITE
    True
    """
    return tuple(_granted(flags, privilege, sum_bit=sum_bit, mxr=mxr) for flags in range(256))


def _granted(flags: int, privilege: Privilege, *, sum_bit: bool, mxr: bool) -> int:
    if not flags & bits.V or not flags & bits.A or (flags & bits.W and not flags & bits.R):
        return 0
    user_page = bool(flags & bits.U)
    if privilege == Privilege.U and not user_page:
        return 0
    if privilege == Privilege.S and user_page and not sum_bit:
        return 0
    granted = 0
    if flags & bits.R or (mxr and flags & bits.X):
        granted |= PROT_READ
    if flags & bits.W and flags & bits.D:
        granted |= PROT_WRITE
    if flags & bits.X and not (privilege == Privilege.S and user_page):
        granted |= PROT_EXEC
    return granted
