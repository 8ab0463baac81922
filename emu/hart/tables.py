"""Which pages of RAM hold the page tables that `satp` leads to, kept up to date while entries are written."""

from collections.abc import Callable

from emu.address import PAGE_BITS, PAGE_SIZE, VirtAddr
from emu.hart.aliases import Aliases
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT, SATP_PPN
from emu.lateclass import dataclass
from emu.mmu import pte as bits

_INDEX_BITS = 9
_ENTRY_BITS = 3
_ALL = (1 << 64) - 1
_IS_TABLE = bits.V | bits.R | bits.W | bits.X
_IS_LEAF = bits.R | bits.W | bits.X


@dataclass(slots=True)
class Table:
    """A page of entries: its level, the first virtual address that it decides about, and what points to it."""

    level: int
    base: int
    address_bits: int
    """Bits of a virtual address in its scheme: 39, 48 or 57."""
    references: int = 0
    """Entries of other tables that lead here."""
    is_root: bool = False
    """Whether `satp` held it."""


class TableMap:
    """Follows the tables from each value of `satp`; what no entry leads to any more is forgotten, with all below it.

    A root is a table until it is all zero: that is how a kernel leaves it, or prepares it for another use.

    >>> words = [0] * 1024
    >>> words[3] = 1 << 10 | 1                          # the first page's entry 3 leads to the second page
    >>> tables = TableMap(lambda page: words[page >> 3 : (page >> 3) + 512] if page < 0x2000 else None)
    >>> tables.enter(8 << 60)
    >>> [(hex(page), table.level, hex(table.base)) for page, table in tables.pages.items()]
    [('0x0', 2, '0x0'), ('0x1000', 1, '0xc0000000')]
    """

    def __init__(self, entries: Callable[[int], list[int] | None], aliases: Aliases | None = None) -> None:
        """`entries(page)` gives the 512 entries at a physical address, None where no RAM is.

        `aliases` is told of the tables, and of what the kernel's leaves map.
        """
        self._entries = entries
        self._aliases = aliases
        self.pages: dict[int, Table] = {}
        """By physical address."""

    def enter(self, satp: int) -> None:
        """`satp` has got a value: its root and everything below it are tables."""
        levels = PAGING_LEVELS.get(satp >> SATP_MODE_SHIFT)
        root = (satp & SATP_PPN) << PAGE_BITS
        if levels is None:
            return
        self._add(root, Table(levels - 1, 0, PAGE_BITS + _INDEX_BITS * levels))
        if root in self.pages:
            self.pages[root].is_root = True

    def place(self, entry_address: int) -> tuple[int, VirtAddr]:
        """The level of an entry in a known table, and the first virtual address that it maps."""
        table = self.pages[entry_address & -PAGE_SIZE]
        index = (entry_address & PAGE_SIZE - 1) >> _ENTRY_BITS
        return table.level, VirtAddr(_first(table, index))

    def written(self, entry_address: int, old: int, new: int) -> None:
        """An entry of a known table has changed in memory."""
        page = entry_address & -PAGE_SIZE
        table = self.pages[page]
        if table.level and _leads_on(new):
            self._refer(table, (entry_address - page) >> _ENTRY_BITS, new)
        if table.level and _leads_on(old):
            self._drop_reference(_target(old))
        self._note_leaf(table, (entry_address - page) >> _ENTRY_BITS, new)
        if not new and table.is_root and not any(self._entries(page) or ()):
            table.is_root = False
            self._forget_unreachable(page)

    def _refer(self, table: Table, index: int, entry: int) -> None:
        """An entry of a table leads to another."""
        page = _target(entry)
        self._add(page, Table(table.level - 1, _first(table, index), table.address_bits))
        if (child := self.pages.get(page)) is not None:
            child.references += 1

    def _add(self, page: int, table: Table) -> None:
        entries = None if page in self.pages else self._entries(page)
        if entries is None:
            return
        self.pages[page] = table
        if self._aliases is not None:
            self._aliases.add(page)
        for index, entry in enumerate(entries):
            if not entry & bits.V:
                continue
            if entry & _IS_LEAF:
                self._note_leaf(table, index, entry)
            elif table.level:
                self._refer(table, index, entry)

    def _note_leaf(self, table: Table, index: int, entry: int) -> None:
        """Users do not write tables: what is mapped for them is not followed."""
        if self._aliases is not None and entry & bits.V and entry & bits.W and not entry & bits.U:
            self._aliases.mapped(_first(table, index), _target(entry), table.level)

    def _drop_reference(self, page: int) -> None:
        table = self.pages.get(page)
        if table is not None:
            table.references -= 1
            self._forget_unreachable(page)

    def _forget_unreachable(self, page: int) -> None:
        table = self.pages[page]
        if table.references > 0 or table.is_root:
            return
        del self.pages[page]
        if self._aliases is not None:
            self._aliases.remove(page)
        if table.level:
            for entry in self._entries(page) or ():
                if entry and _leads_on(entry):
                    self._drop_reference(_target(entry))


def _leads_on(entry: int) -> bool:
    return entry & _IS_TABLE == bits.V


def _target(entry: int) -> int:
    return ((entry >> bits.PPN_SHIFT) & bits.PPN_MASK) << PAGE_BITS


def _first(table: Table, index: int) -> int:
    address = table.base + (index << (PAGE_BITS + _INDEX_BITS * table.level))
    return address | _ALL >> table.address_bits << table.address_bits if address >> table.address_bits - 1 else address
