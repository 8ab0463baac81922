"""Physical memory protection: which bytes its entries let each privilege access (privileged manual, section 3.7)."""

from collections.abc import Sequence
from itertools import pairwise

from emu.address import PAGE_SIZE
from emu.isa.privilege import Access, Privilege
from emu.lateclass import dataclass

ENTRIES = 16
"""Entries of this hart, as many as QEMU's `virt` has."""
R, W, X = 1, 2, 4
"""Permissions in a configuration byte."""
LOCKED = 0x80
"""L: the entry cannot be written until reset, and binds M mode as well."""
OFF, TOR, NA4, NAPOT = range(4)
"""How an entry matches addresses (table 3.10)."""
ADDRESS_MASK = (1 << 54) - 1
"""`pmpaddr` holds bits 55 to 2 of an address (section 3.7.1)."""
_A_SHIFT = 3
_PERMISSIONS = R | W | X
_END = 1 << 56
_NEEDED = {Access.LOAD: R, Access.STORE: W, Access.FETCH: X}


@dataclass(frozen=True, slots=True)
class Region:
    """The bytes from `start` up to, not including, `end`, and what an entry that is on says about them."""

    start: int
    end: int
    permissions: int
    locked: bool
    entry: int = 0
    """Which entry it is, counted from 0."""

    def granted(self, privilege: int) -> int:
        """What a privilege may do here: M mode anything, unless the entry is locked."""
        return _PERMISSIONS if privilege == Privilege.M and not self.locked else self.permissions


def legal_config(value: int) -> int:
    """What a configuration byte holds after `value` was written: W without R is reserved and becomes neither.

    >>> hex(legal_config(0x7A)), hex(legal_config(0x9F))
    ('0x18', '0x9f')
    """
    value &= LOCKED | 0x1F
    return value if value & R else value & ~W


def matching(config: int) -> int:
    """The A field of a configuration byte.

    >>> matching(0x1F) == NAPOT
    True
    """
    return (config >> _A_SHIFT) & 3


def is_address_locked(configs: Sequence[int], index: int) -> bool:
    """Whether `pmpaddr` of an entry is locked: by itself, or as the bottom of a locked TOR entry behind it.

    >>> is_address_locked([0, LOCKED | TOR << 3], 0), is_address_locked([0, LOCKED | NA4 << 3], 0)
    (True, False)
    """
    if configs[index] & LOCKED:
        return True
    if index + 1 == len(configs):
        return False
    following = configs[index + 1]
    return bool(following & LOCKED) and matching(following) == TOR


def decode(configs: Sequence[int], addresses: Sequence[int]) -> tuple[Region, ...]:
    """The regions of all entries that are on, in the order of their priority. Empty ones are left out.

    >>> decode([NAPOT << 3 | R], [0x2000_01FF])
    (Region(start=2147483648, end=2147487744, permissions=1, locked=False, entry=0),)
    """
    regions = []
    below = 0
    for entry, (config, address) in enumerate(zip(configs, addresses, strict=True)):
        mode = matching(config)
        start = end = 0
        if mode == TOR:
            start, end = below << 2, address << 2
        elif mode == NA4:
            start, end = address << 2, (address << 2) + 4
        elif mode == NAPOT:
            size = (address ^ (address + 1)) + 1  # in units of 4 bytes: twice the lowest zero bit's weight
            start = (address & ~(size - 1)) << 2
            end = start + (size << 2)
        if start < end:
            regions.append(Region(start, min(end, _END), config & _PERMISSIONS, bool(config & LOCKED), entry))
        below = address
    return tuple(regions)


def granted(regions: Sequence[Region], address: int, size: int, privilege: int) -> int:
    """The permissions of an access of `size` bytes. The first entry that matches any of them must match them all.

    >>> four = Region(0x1000, 0x1004, R, False)
    >>> granted([four], 0x1000, 4, Privilege.S), granted([four], 0x1000, 8, Privilege.S)
    (1, 0)
    >>> granted([four], 0x2000, 4, Privilege.S), granted([four], 0x2000, 4, Privilege.M)
    (0, 7)
    """
    for region in regions:
        if address < region.end and region.start < address + size:
            if region.start <= address and address + size <= region.end:
                return region.granted(privilege)
            return 0
    return _PERMISSIONS if privilege == Privilege.M else 0


def deciding(regions: Sequence[Region], address: int, size: int) -> Region | None:
    """The entry that decides about an access of `size` bytes: the first that matches any of them; None without one.

    >>> deciding([Region(0x1000, 0x1004, R, False), Region(0x1000, 0x2000, R | W, False, 1)], 0x1004, 4).entry
    1
    """
    return next((region for region in regions if address < region.end and region.start < address + size), None)


def allows(regions: Sequence[Region], address: int, size: int, access: Access, privilege: int) -> bool:
    """Whether an access of `size` bytes may happen. `privilege` is the effective one (MPRV already applied)."""
    return bool(granted(regions, address, size, privilege) & _NEEDED[access])


def page_permissions(regions: Sequence[Region], page: int, privilege: int) -> int | None:
    """What every access inside a page of 4 KiB may do; None when that depends on its bytes.

    >>> page_permissions([Region(0x1000, 0x1004, R, False)], 0x1000, Privilege.S) is None
    True
    """
    end = page + PAGE_SIZE
    for region in regions:
        if page < region.end and region.start < end:
            return region.granted(privilege) if region.start <= page and end <= region.end else None
    return _PERMISSIONS if privilege == Privilege.M else 0


def open_range(regions: Sequence[Region], start: int, end: int, privilege: int) -> tuple[int, int]:
    """The largest part of `start` up to `end` in which everything is allowed, in whole pages; (start, start) if none.

    >>> firmware = Region(0x8000_0000, 0x8008_0000, 0, False)
    >>> rest = Region(0, 1 << 56, R | W | X, False)
    >>> [hex(bound) for bound in open_range([firmware, rest], 0x8000_0000, 0x8800_0000, Privilege.S)]
    ['0x80080000', '0x88000000']
    """
    # Between two neighbouring edges, rounded to pages on both sides, no entry begins or ends.
    edges = {start, end}
    for region in regions:
        for edge in (region.start, region.end):
            down = edge & -PAGE_SIZE
            edges.update(bound for bound in (down, down + PAGE_SIZE if edge != down else down) if start < bound < end)
    ordered = sorted(edges)
    best = open_start = start
    best_end = start
    for low, high in pairwise(ordered):
        if page_permissions(regions, low, privilege) != _PERMISSIONS:
            open_start = high
        elif high - open_start > best_end - best:
            best, best_end = open_start, high
    return best, best_end
