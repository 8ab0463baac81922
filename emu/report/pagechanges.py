"""What a store did to a page-table entry, in words: which right it took, which it gave, what it mapped."""

from emu.mmu.pte import Pte
from emu.observe.pagetables.changes import PteChange

_LETTERS = "VRWXU"
"""The rights, from bit 0 on."""


def change_text(change: PteChange) -> str:
    """A change without its place.

    >>> from emu.address import PhysAddr, VirtAddr
    >>> from emu.machine.history.moment import Moment
    >>> at = (Moment(9, 0), VirtAddr(0x80200000), (), PhysAddr(0x80400000), 0)
    >>> change_text(PteChange(*at, Pte(0x201000d7), Pte(0x201000d3)))
    'W taken away (PPN:0x80400 DA_U_WRV -> PPN:0x80400 DA_U__RV)'
    >>> change_text(PteChange(*at, Pte(0), Pte(0x201000d7)))
    'mapped (0 -> PPN:0x80400 DA_U_WRV)'
    """
    old, new = change.old, change.new
    taken, given = _rights(change.taken), _rights(new & ~old)
    if change.maps:
        words = ["mapped"]
    elif not new.v:
        words = ["unmapped"]
    else:
        words = [f"{taken} taken away"] * bool(taken) + [f"{given} given"] * bool(given)
        words += ["led to another frame"] * (old.ppn != new.ppn)
    return f"{' and '.join(words) or 'changed'} ({_entry(old)} -> {_entry(new)})"


def _rights(bits: int) -> str:
    return "".join(letter for bit, letter in enumerate(_LETTERS) if bits >> bit & 1)


def _entry(pte: Pte) -> str:
    return str(pte).partition(": ")[2] if pte else "0"
