"""Why a page table refused an access: which PTE on which level, which of its bits, and what would be right."""

from emu.address import PAGE_BITS
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT
from emu.mmu import pte as bits
from emu.mmu.pte import Pte
from emu.walks import Refusal, Walk, WalkStep

_NAPOT, _MEMORY_TYPE, _UPPER = 1 << 63, 3 << 61, 0x7F << 54
_SIZES = ("4 KiB", "2 MiB", "1 GiB", "512 GiB", "256 TiB")
"""What a leaf maps, by its level."""
_INDEX_BITS = 9


def pte_text(level: int, pte_address: int, pte: int) -> str:
    """A PTE with its place and value.

    >>> pte_text(0, 0x80235008, 0x20090007), pte_text(1, 0x80235010, 0)
    ('the level-0 PTE at 0x80235008 (0x20090007: PPN:0x80240 _____WRV)', 'the level-1 PTE at 0x80235010 (all zero)')
    """
    return f"the level-{level} PTE at {pte_address:#x} ({Pte(pte) if pte else 'all zero'})"


def refusal(walk: Walk) -> str:
    """Which PTE on which level refused the access, why, and what would be right where the bits tell."""
    if walk.refusal is None:
        return "nothing refuses it now: the PTE has changed, and no sfence.vma has told the hart"
    if walk.refusal is Refusal.NOT_CANONICAL:
        return f"the address is not canonical, so no PTE was read{_canonical(walk)}"
    leaf = walk.leaf
    if leaf is None:
        return f"paging is off, and it {walk.refusal.value}"
    return f"{pte_text(leaf.level, leaf.pte_address, leaf.pte)} {walk.refusal.value}{_detail(walk.refusal, leaf)}"


def _canonical(walk: Walk) -> str:
    levels = PAGING_LEVELS.get(walk.satp >> SATP_MODE_SHIFT)
    if levels is None:
        return ""
    width = PAGE_BITS + _INDEX_BITS * levels
    return f": bits 63 to {width} must equal bit {width - 1} (Sv{width})"


def _detail(reason: Refusal, leaf: WalkStep) -> str:
    if reason is Refusal.RESERVED_BITS:
        return f": {_reserved(leaf.pte)}"
    if reason is Refusal.MISALIGNED_SUPERPAGE:
        return f": {_misaligned(leaf)}"
    if reason in (Refusal.NOT_ACCESSED, Refusal.NOT_DIRTY):
        return ": this hart leaves A and D to software (menvcfg.ADUE = 0), so set them in the PTE"
    return ""


def _reserved(pte: int) -> str:
    named = []
    if pte & _NAPOT:
        named.append("N (bit 63, Svnapot)")
    if pte & _MEMORY_TYPE:
        named.append(f"PBMT = {pte >> 61 & 3} (bits 62 to 61, Svpbmt)")
    upper = [str(bit) for bit in range(54, 61) if pte >> bit & 1]
    if upper:
        named.append(f"bit{'s' if len(upper) > 1 else ''} {', '.join(upper)}")
    if named:
        return f"{' and '.join(named)} must be 0 here; a PTE is PPN << 10 | flags, with the PPN in bits 53 to 10"
    flags = [name for name, bit in (("U", bits.U), ("A", bits.A), ("D", bits.D)) if pte & bit]
    return f"{', '.join(flags)} must be 0 where R, W and X are 0, as in a PTE that points to the next table"


def _misaligned(leaf: WalkStep) -> str:
    ppn, level = int(Pte(leaf.pte).ppn), leaf.level
    parts = [
        f"PPN[{part}] = {value:#x}"
        for part in range(level)
        if (value := ppn >> _INDEX_BITS * part & (1 << _INDEX_BITS) - 1)
    ]
    aligned = ppn >> _INDEX_BITS * level << _INDEX_BITS * level
    return (
        f"{' and '.join(parts)} must be 0 for {_SIZES[level]}, so PPN {aligned:#x} would be right; "
        "or, if it is to point to a table, R, W and X must be 0"
    )
