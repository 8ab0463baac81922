"""A page-table entry and its fields (privileged manual, section 4.4.1)."""

from functools import cache

from emu.address import PhysPageNum

V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
LEAF = R | W | X
"""Bits of which an entry has one at least that maps a page instead of pointing to the next table."""
PPN_SHIFT = 10
PPN_MASK = (1 << 44) - 1
RESERVED = 0x3FF << 54
"""Bits 63 to 54: N and PBMT belong to extensions that this machine does not have, the rest is reserved."""

_FLAG_LETTERS = "DAGUXWRV"


class Pte(int):
    """A page-table entry of Sv39, Sv48 or Sv57: 64 bits with names.

    >>> pte = Pte(0x2008d0cf)
    >>> pte
    0x2008d0cf: PPN:0x80234 DA__XWRV
    >>> pte.ppn, pte.w, pte.u, pte.is_leaf
    (PPN:0x80234, True, False, True)
    """

    __slots__ = ()

    @classmethod
    def of(cls, ppn: int, flags: int) -> "Pte":
        """The entry with this PPN and these flag bits.

        >>> Pte.of(0x80234, V | R | A)
        0x2008d043: PPN:0x80234 _A____RV
        """
        return cls(((ppn & PPN_MASK) << PPN_SHIFT) | flags)

    @property
    def ppn(self) -> PhysPageNum:
        """The frame that the entry points to."""
        return PhysPageNum((int(self) >> PPN_SHIFT) & PPN_MASK)

    @property
    def v(self) -> bool:
        """Valid."""
        return bool(self & V)

    @property
    def r(self) -> bool:
        """Readable."""
        return bool(self & R)

    @property
    def w(self) -> bool:
        """Writable."""
        return bool(self & W)

    @property
    def x(self) -> bool:
        """Executable."""
        return bool(self & X)

    @property
    def u(self) -> bool:
        """Belongs to user mode."""
        return bool(self & U)

    @property
    def g(self) -> bool:
        """Global: in every address space."""
        return bool(self & G)

    @property
    def a(self) -> bool:
        """Accessed since the bit was cleared."""
        return bool(self & A)

    @property
    def d(self) -> bool:
        """Written since the bit was cleared."""
        return bool(self & D)

    @property
    def is_leaf(self) -> bool:
        """Whether it maps a page instead of pointing to the next table."""
        return bool(self & LEAF)

    @property
    def flags(self) -> str:
        """The eight flags from D to V, with `_` for those that are 0."""
        return _flags(int(self) & 0xFF)

    def __repr__(self) -> str:
        return f"{int(self):#x}: {self.ppn!r} {self.flags}"

    __str__ = __repr__


@cache
def _flags(octet: int) -> str:
    return "".join(
        letter if octet >> bit & 1 else "_" for letter, bit in zip(_FLAG_LETTERS, range(7, -1, -1), strict=True)
    )
