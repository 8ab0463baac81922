"""The page walk of Sv39, Sv48 and Sv57, step by step, with the reason when it is refused."""

from collections.abc import Callable
from enum import Enum

from emu.address import PAGE_BITS, PhysAddr, VirtAddr
from emu.isa.privilege import Access, Privilege
from emu.isa.status import PAGING_LEVELS, SATP_BARE, SATP_MODE_SHIFT, SATP_PPN
from emu.mmu import pte as bits
from emu.walks import Refusal, Walk, WalkStep

ReadPte = Callable[[int], int | None]
"""The 64 bits at a physical address, or None where no memory is."""


class AdUpdate(Enum):
    """Who sets a PTE's A and D bits (privileged manual, section 4.3.1)."""

    HARDWARE = "hardware"
    """The walk sets them (Svadu, and QEMU 7.2's `virt`)."""
    FAULT = "fault"
    """A page fault asks software to set them (Svade)."""
    SELECTED = "selected"
    """`menvcfg.ADUE` chooses between the two, and is 0 after a reset (Svadu as it was ratified)."""


def satp_mode(satp: int) -> int:
    """The MODE field of `satp`: 0 is Bare, 8 Sv39, 9 Sv48, 10 Sv57."""
    return satp >> SATP_MODE_SHIFT


def walk(
    read_pte: ReadPte,
    satp: int,
    address: int,
    access: Access,
    privilege: Privilege,
    *,
    sum_bit: bool = False,
    mxr: bool = False,
    ad_update: AdUpdate = AdUpdate.HARDWARE,
) -> Walk:
    """Translate a virtual address as the privileged manual's algorithm does (section 4.3.2).

    `privilege` is the effective one (MPRV already applied). Memory is not changed: with AdUpdate.HARDWARE a leaf whose
    A or D bit has to be set counts as success, and the caller writes `needed_flags` back. AdUpdate.SELECTED is for the
    caller to look up.

    >>> table = {0x80001008: 0x200000ef}
    >>> seen = walk(lambda pa: table.get(pa, 0), 8 << 60 | 0x80001, 0x40000123, Access.LOAD, Privilege.S)
    >>> seen.physical, [(step.level, step.pte_address) for step in seen.steps]
    (PA:0x80000123, [(2, PA:0x80001008)])
    >>> walk(lambda pa: 0, 8 << 60 | 0x80001, 0x1000, Access.LOAD, Privilege.S).refusal.value
    'is invalid (V = 0)'
    """
    va = VirtAddr(address & (1 << 64) - 1)
    mode = satp_mode(satp)

    def result(steps: list[WalkStep], physical: int | None, refusal: Refusal | None) -> Walk:
        translated = None if physical is None else PhysAddr(physical)
        return Walk(va, access, privilege, satp, tuple(steps), translated, refusal)

    if privilege == Privilege.M or mode == SATP_BARE:
        return result([], int(va), None)
    levels = PAGING_LEVELS[mode]
    upper = int(va) >> (PAGE_BITS + 9 * levels - 1)
    if upper not in (0, (1 << (64 - (PAGE_BITS + 9 * levels - 1))) - 1):
        return result([], None, Refusal.NOT_CANONICAL)

    steps: list[WalkStep] = []
    table = (satp & SATP_PPN) << PAGE_BITS
    for level, index in zip(reversed(range(levels)), va.indexes(levels), strict=True):
        pte_address = table + index * 8
        read = read_pte(pte_address)
        entry = 0 if read is None else read
        steps.append(WalkStep(level, PhysAddr(pte_address), entry))
        refusal = Refusal.TABLE_OUTSIDE_MEMORY if read is None else _refusal_of_entry(entry, level)
        if refusal is not None:
            return result(steps, None, refusal)
        table = ((entry >> bits.PPN_SHIFT) & bits.PPN_MASK) << PAGE_BITS
        if entry & (bits.R | bits.X):
            break
    refusal = _refusal_of_leaf(entry, level, access, privilege, sum_bit=sum_bit, mxr=mxr)
    if refusal is None and ad_update is AdUpdate.FAULT:
        refusal = _refusal_of_ad(entry, access)
    if refusal is not None:
        return result(steps, None, refusal)
    offset = int(va) & ((1 << (PAGE_BITS + 9 * level)) - 1)
    return result(steps, table | offset, None)


def needed_flags(access: Access) -> int:
    """The A and D bits that an access of this kind leaves set in its leaf PTE."""
    return bits.A | bits.D if access is Access.STORE else bits.A


def _refusal_of_entry(entry: int, level: int) -> Refusal | None:
    """Steps 3 and 4 of the algorithm: is the entry valid, and does it lead on."""
    if not entry & bits.V:
        return Refusal.INVALID
    if entry & bits.W and not entry & bits.R:
        return Refusal.RESERVED_WRITE_ONLY
    if entry & bits.RESERVED:
        return Refusal.RESERVED_BITS
    if not entry & (bits.R | bits.X):
        if entry & (bits.U | bits.A | bits.D):
            return Refusal.RESERVED_BITS
        if level == 0:
            return Refusal.NOT_A_LEAF
    return None


def _refusal_of_leaf(
    entry: int, level: int, access: Access, privilege: Privilege, *, sum_bit: bool, mxr: bool
) -> Refusal | None:
    """Steps 5 and 6: may this access use the leaf, and is it aligned."""
    if privilege == Privilege.U and not entry & bits.U:
        return Refusal.SUPERVISOR_PAGE
    if privilege == Privilege.S and entry & bits.U:
        if access is Access.FETCH:
            return Refusal.USER_CODE
        if not sum_bit:
            return Refusal.USER_PAGE
    if access is Access.FETCH and not entry & bits.X:
        return Refusal.NOT_EXECUTABLE
    if access is Access.LOAD and not (entry & bits.R or (mxr and entry & bits.X)):
        return Refusal.NOT_READABLE
    if access is Access.STORE and not entry & bits.W:
        return Refusal.NOT_WRITABLE
    if (entry >> bits.PPN_SHIFT) & ((1 << 9 * level) - 1):
        return Refusal.MISALIGNED_SUPERPAGE
    return None


def _refusal_of_ad(entry: int, access: Access) -> Refusal | None:
    """Step 7 where software keeps A and D."""
    if not entry & bits.A:
        return Refusal.NOT_ACCESSED
    if access is Access.STORE and not entry & bits.D:
        return Refusal.NOT_DIRTY
    return None
