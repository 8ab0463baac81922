"""Which pages of RAM hold the page tables that `satp` leads to, kept up to date while entries are written."""

from collections.abc import Callable

from emu.address import PAGE_BITS, PAGE_OFFSET, PAGE_START, VirtAddr
from emu.hints import Protocol
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT, SATP_PPN
from emu.lateclass import dataclass
from emu.mmu import pte as bits

_INDEX_BITS = 9
_ENTRY_BITS = 3
_ALL = (1 << 64) - 1
_IS_TABLE = bits.V | bits.LEAF


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


class Watch(Protocol):
    """Who is told which pages hold tables."""

    def add(self, page: int) -> None:
        """A page holds one from now on."""

    def remove(self, page: int) -> None:
        """It holds none any more."""


class TableMap:
    """Follows the tables from each value of `satp`; what no entry leads to any more is forgotten, with all below it.

    A root is a table until it is all zero, which is how a kernel leaves it or prepares it for another use. And of what
    the present root does not lead to, a root or a table above the last level is none any more when something that is no
    entry is written to it: a kernel that gives a tree back as it is.

    >>> words = [0] * 1024
    >>> words[3] = 1 << 10 | 1                          # the first page's entry 3 leads to the second page
    >>> tables = TableMap(lambda page: words[page >> 3 : (page >> 3) + 512] if page < 0x2000 else None)
    >>> tables.enter(8 << 60)
    >>> [(hex(page), table.level, hex(table.base)) for page, table in tables.pages.items()]
    [('0x0', 2, '0x0'), ('0x1000', 1, '0xc0000000')]
    """

    def __init__(self, entries: Callable[[int], list[int] | None], watch: Watch | None = None) -> None:
        """`entries(page)` gives the 512 entries at a physical address, None where no RAM is.

        `watch` is told of the tables.
        """
        self._entries = entries
        self._watch = watch
        self.pages: dict[int, Table] = {}
        """By physical address."""
        self._root = -1
        """The one that `satp` holds."""

    def enter(self, satp: int) -> None:
        """`satp` has got a value: its root and everything below it are tables."""
        levels = PAGING_LEVELS.get(satp >> SATP_MODE_SHIFT)
        root = (satp & SATP_PPN) << PAGE_BITS
        self._root = -1 if levels is None else root
        if levels is None:
            return
        self._add(root, Table(levels - 1, 0, PAGE_BITS + _INDEX_BITS * levels))
        if root in self.pages:
            self.pages[root].is_root = True

    def place(self, entry_address: int) -> tuple[int, VirtAddr]:
        """The level of an entry in a known table, and the first virtual address that it maps."""
        table = self.pages[entry_address & PAGE_START]
        index = (entry_address & PAGE_OFFSET) >> _ENTRY_BITS
        return table.level, VirtAddr(_first(table, index))

    def written(self, entry_address: int, old: int, new: int) -> None:
        """An entry of a known table has changed in memory."""
        page = entry_address & PAGE_START
        table = self.pages[page]
        if table.level and _leads_on(new):
            self._refer(table, (entry_address - page) >> _ENTRY_BITS, new)
        if table.level and _leads_on(old):
            self._drop_reference(_target(old))
        if not new:
            if table.is_root and not any(self._entries(page) or ()):
                table.is_root = False
                self._forget_unreachable(page)
        elif table.level and not self._may_be_entry(new) and page in self.pages and page not in self._present():
            self._forget(page)

    def _may_be_entry(self, word: int) -> bool:
        if not word & bits.V or word & bits.RESERVED:
            return False
        return not _leads_on(word) or self._entries(_target(word)) is not None

    def _present(self) -> set[int]:
        """The tables that the root in `satp` leads to, above the last level."""
        found, new = set[int](), [self._root]
        while new:
            page = new.pop()
            table = self.pages.get(page)
            if table is None or page in found or not table.level:
                continue
            found.add(page)
            new += [_target(entry) for entry in self._entries(page) or () if entry and _leads_on(entry)]
        return found

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
        if self._watch is not None:
            self._watch.add(page)
        if table.level and any(entries):
            for index, entry in enumerate(entries):
                if entry and _leads_on(entry):
                    self._refer(table, index, entry)

    def _drop_reference(self, page: int) -> None:
        table = self.pages.get(page)
        if table is not None:
            table.references -= 1
            self._forget_unreachable(page)

    def _forget_unreachable(self, page: int) -> None:
        table = self.pages[page]
        if table.references <= 0 and not table.is_root:
            self._forget(page)

    def _forget(self, page: int) -> None:
        table = self.pages.pop(page)
        if self._watch is not None:
            self._watch.remove(page)
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
