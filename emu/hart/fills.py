"""Quick page walks for fidelity `exact`: the common case in few steps, everything else left to `emu.mmu.walk`."""

from collections.abc import Iterator
from functools import cache

from emu.address import PAGE_BITS, PAGE_OFFSET, PAGE_START
from emu.errors import MachineError
from emu.isa.privilege import Privilege
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT, SATP_PPN, Status
from emu.memory.ram import Ram
from emu.mmu import pte as bits

PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
"""The engine's protection bits."""


_ALL = (1 << 64) - 1
_MOST_WALKS = 1 << 12
_NOT_A_PLAIN_TABLE = bits.RESERVED | bits.D | bits.A | bits.U
"""A non-leaf entry with one of these set is refused by the full walk."""


def find_leaf(words: memoryview, base: int, size: int, satp: int, address: int) -> tuple[int, int] | None:
    """The leaf PTE that maps an address, and log2 of the bytes that it maps; None for everything out of the ordinary.

    `words` is the RAM of `size` bytes at `base`. V, permissions, A and D of the leaf are left to the caller.
    """
    levels = PAGING_LEVELS[satp >> SATP_MODE_SHIFT]
    shift = PAGE_BITS - 9 + 9 * levels
    upper = address >> (shift + 8)
    if upper and upper != _ALL >> (shift + 8):
        return None
    table = ((satp & SATP_PPN) << PAGE_BITS) - base
    while 0 <= table < size:
        entry = words[(table >> 3) + ((address >> shift) & 511)]
        if entry & 0xE:
            return (
                None if entry >> 54 or (entry >> bits.PPN_SHIFT) & ((1 << (shift - PAGE_BITS)) - 1) else (entry, shift)
            )
        if not entry & bits.V or entry & _NOT_A_PLAIN_TABLE or shift == PAGE_BITS:
            return None
        table = ((entry >> bits.PPN_SHIFT) << PAGE_BITS) - base
        shift -= 9
    return None


def leads_outside(words: memoryview, base: int, size: int, satp: int, address: int) -> bool:
    """Whether a page table on the way to an address lies outside of RAM: an access fault, not a page fault."""
    levels = PAGING_LEVELS[satp >> SATP_MODE_SHIFT]
    shift = PAGE_BITS - 9 + 9 * levels
    upper = address >> (shift + 8)
    if upper and upper != _ALL >> (shift + 8):
        return False
    table = ((satp & SATP_PPN) << PAGE_BITS) - base
    while 0 <= table < size:
        entry = words[(table >> 3) + ((address >> shift) & 511)]
        if not entry & bits.V or entry & (_NOT_A_PLAIN_TABLE | 0xE) or shift == PAGE_BITS:
            return False
        table = ((entry >> bits.PPN_SHIFT) << PAGE_BITS) - base
        shift -= 9
    return True


def frame_of(entry: int, shift: int, address: int) -> int:
    """The physical address of the page that a leaf maps an address to."""
    return ((entry >> bits.PPN_SHIFT & bits.PPN_MASK) << PAGE_BITS) | (address & ((1 << shift) - 1) & PAGE_START)


def readable(words: memoryview, base: int, size: int, satp: int, address: int) -> int | None:
    """The physical address of a byte that S mode could load with SUM and MXR; None for everything out of the ordinary.

    What it finds, `emu.mmu.walk` would find.
    """
    if not satp >> SATP_MODE_SHIFT:
        return address
    leaf = find_leaf(words, base, size, satp, address)
    if leaf is None:
        return None
    entry, shift = leaf
    if not entry & bits.V or entry & (bits.R | bits.W) == bits.W:
        return None
    return frame_of(entry, shift, address) | address & PAGE_OFFSET


class Walks:
    """What `readable` has found, for as long as the page tables' entries on the way are the same."""

    def __init__(self, ram: Ram) -> None:
        self._ram = ram
        self._known: dict[tuple[int, int], tuple[int, tuple[tuple[int, int], ...]]] = {}
        """By satp and page: the page's physical address; where in RAM its entries are, and what they were."""

    def readable(self, satp: int, address: int) -> int | None:
        """See `readable`."""
        known, words = self._known.get((satp, address >> PAGE_BITS)), self._ram.words
        if known is not None:
            for place, entry in known[1]:
                if words[place] != entry:
                    break
            else:
                return known[0] | address & PAGE_OFFSET
        found = readable(words, self._ram.base, self._ram.size, satp, address)
        if found is not None:
            if len(self._known) >= _MOST_WALKS:
                self._known.clear()
            self._known[satp, address >> PAGE_BITS] = found & PAGE_START, tuple(self._way(satp, address))
        return found

    def _way(self, satp: int, address: int) -> Iterator[tuple[int, int]]:
        """The entries of a walk that comes to its end."""
        if not satp >> SATP_MODE_SHIFT:
            return
        shift = PAGE_BITS - 9 + 9 * PAGING_LEVELS[satp >> SATP_MODE_SHIFT]
        table, entry = (satp & SATP_PPN) << PAGE_BITS, 0
        while not entry & 0xE:
            place = (table - self._ram.base >> 3) + ((address >> shift) & 511)
            entry = self._ram.words[place]
            yield place, entry
            table, shift = (entry >> bits.PPN_SHIFT) << PAGE_BITS, shift - 9


class CodeSplit:
    """Gives each page of RAM to code or to stores, and both only to a page that is both.

    Stores through a translation that can also be executed are slow in the core: it looks for translated code each time.
    """

    def __init__(self, base: int, size: int) -> None:
        self.fetched = bytearray(size >> PAGE_BITS)
        """An octet for each page of RAM: 1 where code was fetched from; native code looks at it, too."""
        self._first = base >> PAGE_BITS

    def grant(self, page: int, granted: int, needed: int) -> int:
        """What of the protection that the page table grants the core is given now."""
        place = page - self._first
        if needed == PROT_EXEC:
            self.fetched[place] = 1
            return granted & ~PROT_WRITE
        if self.fetched[place]:
            return granted if needed == PROT_WRITE else granted & ~PROT_WRITE
        return granted & ~PROT_EXEC


@cache
def permission_tables() -> dict[int, memoryview]:
    """What `permissions` gives, by `privilege | status & (SUM | MXR)`: one behind the other, as `NUMBERS` has them."""
    keys = {
        privilege | sum_bit | mxr: permissions(privilege, sum_bit=bool(sum_bit), mxr=bool(mxr))
        for mxr in (0, int(Status.MXR)) for sum_bit in (0, int(Status.SUM)) for privilege in (Privilege.U, Privilege.S)
    }  # fmt: skip
    tables = memoryview(bytearray().join(keys.values()))
    return {key: tables[256 * place : 256 * (place + 1)] for place, key in enumerate(keys)}


def permissions(privilege: Privilege, *, sum_bit: bool, mxr: bool) -> bytearray:
    """The protection that a leaf PTE grants, by its low eight bits; 0 where the full walk has to look.

    With A clear nothing is granted, with D clear no store: the full walk either sets the bit or refuses.

    >>> permissions(Privilege.U, sum_bit=False, mxr=False)[0xD7] == PROT_READ | PROT_WRITE
    True
    """
    return bytearray(_granted(flags, privilege, sum_bit=sum_bit, mxr=mxr) for flags in range(256))


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


def unasked(pc: int) -> MachineError:
    """What is said of a translation that the engine refused, and that no hart has refused."""
    return MachineError(f"the engine refused a translation at pc {pc:#x} that nobody was asked for")


def no_code(address: int) -> MachineError:
    """What is said of code that is looked for, and cannot be."""
    return MachineError(f"no code at {address:#x}: the page cannot be fetched from")
