"""Addresses and page numbers as types of their own, so that bytes and pages cannot be mixed up."""

from emu.hints import Self

PAGE_BITS = 12
PAGE_SIZE = 1 << PAGE_BITS
"""Bytes of a page and of a frame (privileged manual, section 4.3)."""
PAGE_OFFSET = PAGE_SIZE - 1
"""The bits of an address that say where in its page it lies."""
PAGE_START = -PAGE_SIZE
"""The others: those of its page's first address."""

_MASK64 = (1 << 64) - 1


class _Unit(int):
    """An integer that keeps its unit when a plain number is added or subtracted."""

    __slots__ = ()

    def __add__(self, other: int) -> Self:
        return type(self)(int(self) + int(other))

    def __sub__(self, other: int) -> Self:
        return type(self)(int(self) - int(other))

    def __str__(self) -> str:
        return f"{int(self):#x}"


class _Address(_Unit):
    """An address in bytes."""

    __slots__ = ()

    @property
    def page_offset(self) -> int:
        """The offset inside the page, 0 to 4095."""
        return int(self) & PAGE_OFFSET

    @property
    def is_page_aligned(self) -> bool:
        """Whether the address is the first of a page."""
        return self.page_offset == 0


class _PageNumber(_Unit):
    """The number of a page: an address divided by the page size."""

    __slots__ = ()


class PhysAddr(_Address):
    """A physical address (56 bits under Sv39).

    >>> PhysAddr(0x80200fff).floor(), PhysAddr(0x80200fff).ceil()
    (PPN:0x80200, PPN:0x80201)
    >>> PhysAddr(0x80200000) + 8
    PA:0x80200008
    """

    __slots__ = ()

    def floor(self) -> "PhysPageNum":
        """The frame that holds this address."""
        return PhysPageNum(int(self) >> PAGE_BITS)

    def ceil(self) -> "PhysPageNum":
        """The first frame that starts at or after this address."""
        return PhysPageNum((int(self) + PAGE_SIZE - 1) >> PAGE_BITS)

    def __repr__(self) -> str:
        return f"PA:{int(self):#x}"


class VirtAddr(_Address):
    """A virtual address, 64 bits, unsigned.

    >>> VirtAddr(0xffffffffc0201234).floor()
    VPN:0xffffffffc0201
    >>> VirtAddr(0x40201234).indexes()
    (1, 1, 1)
    """

    __slots__ = ()

    def floor(self) -> "VirtPageNum":
        """The page that holds this address."""
        return VirtPageNum((int(self) & _MASK64) >> PAGE_BITS)

    def ceil(self) -> "VirtPageNum":
        """The first page that starts at or after this address."""
        return VirtPageNum(((int(self) & _MASK64) + PAGE_SIZE - 1) >> PAGE_BITS)

    def indexes(self, levels: int = 3) -> tuple[int, ...]:
        """The page-table indexes VPN[levels-1] .. VPN[0], nine bits each (privileged manual, 4.4 to 4.6)."""
        return tuple((int(self) >> (PAGE_BITS + 9 * level)) & 0x1FF for level in reversed(range(levels)))

    def __repr__(self) -> str:
        return f"VA:{int(self):#x}"


class PhysPageNum(_PageNumber):
    """A physical page number (PPN, 44 bits): the number of a frame.

    >>> PhysPageNum(0x80220)
    PPN:0x80220
    >>> PhysPageNum(0x80220).address()
    PA:0x80220000
    """

    __slots__ = ()

    def address(self) -> PhysAddr:
        """The first address of the frame."""
        return PhysAddr(int(self) << PAGE_BITS)

    def __repr__(self) -> str:
        return f"PPN:{int(self):#x}"


class VirtPageNum(_PageNumber):
    """A virtual page number (VPN).

    >>> VirtPageNum(0x10).address()
    VA:0x10000
    """

    __slots__ = ()

    def address(self) -> VirtAddr:
        """The first address of the page."""
        return VirtAddr((int(self) << PAGE_BITS) & _MASK64)

    def __repr__(self) -> str:
        return f"VPN:{int(self):#x}"
