"""An address space as its page tables have it at one moment: what is mapped where, and what is odd about it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice

from emu.address import PAGE_BITS, PAGE_SIZE, PhysAddr, VirtAddr
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT, SATP_PPN
from emu.lateclass import dataclass
from emu.mmu import pte as bits
from emu.mmu.pte import Pte
from emu.shown import Shown

ReadTable = Callable[[int], memoryview | None]
"""The 512 entries of a table at a physical address, or None where no memory is."""
MOST = 1 << 20
"""Entries that are read at most: as many as map 4 GiB by pages of 4 KiB."""
_INDEX_BITS = 9
_ALL = (1 << 64) - 1
_FLAGS = 0xFF
_PERMISSIONS = "rwxu"
_LETTERS = {"r": bits.R, "w": bits.W, "x": bits.X, "u": bits.U, "g": bits.G, "a": bits.A, "d": bits.D}


@dataclass(frozen=True, slots=True)
class Entry:
    """A valid page-table entry, where it stands and which addresses it decides about."""

    address: PhysAddr
    pte: Pte
    level: int
    """The level of its table: 0 is the last."""
    index: int
    first: VirtAddr
    """The first virtual address."""

    @property
    def size(self) -> int:
        """Bytes of addresses."""
        return PAGE_SIZE << _INDEX_BITS * self.level

    @property
    def is_leaf(self) -> bool:
        """Whether it maps memory instead of leading to a table."""
        return bool(self.pte & bits.LEAF)

    @property
    def physical(self) -> PhysAddr:
        """Where it leads to: the first byte of the memory, or the next table."""
        return self.pte.ppn.address()

    @property
    def last(self) -> int:
        """The last virtual address."""
        return int(self.first) + self.size - 1


@dataclass(frozen=True, slots=True)
class Range:
    """Addresses without a gap, mapped to memory without a gap, with the same flags by leaves of one level."""

    first: VirtAddr
    physical: PhysAddr
    size: int
    """Bytes."""
    flags: int
    """The low eight bits of each leaf."""
    level: int

    @property
    def last(self) -> int:
        """The last virtual address."""
        return int(self.first) + self.size - 1


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a virtual page between two moments; None where it was not mapped."""

    before: Entry | None
    after: Entry | None


class AddressSpace(Shown):
    """All entries that `satp` led to when it was read; later writes don't change it.

    >>> words = [0] * 1024
    >>> words[2] = 0x80000 << 10 | 0xCF                  # the root's entry 2 maps a gigabyte
    >>> read = lambda page: memoryview(b"".join(w.to_bytes(8, "little") for w in words[page >> 3 :][:512])).cast("Q")
    >>> space = AddressSpace(read, 8 << 60)
    >>> [(str(r.first), str(r.physical), r.size >> 20, Pte(r.flags).flags) for r in space.ranges()]
    [('0x80000000', '0x80000000', 1024, 'DA__XWRV')]
    >>> [str(address) for address in space.find(0x80001234)]
    ['0x80001234']
    """

    def __init__(self, read_table: ReadTable, satp: int) -> None:
        """Read the tables; one that is not in memory has no entries."""
        self.satp = satp
        self.levels = PAGING_LEVELS.get(satp >> SATP_MODE_SHIFT, 0)
        """Levels of its tables; 0 while paging is off."""
        self.root = PhysAddr((satp & SATP_PPN) << PAGE_BITS)
        self.entries: tuple[Entry, ...] = ()
        """Every valid entry, each before those of the table that it leads to, else by address."""
        self.is_cut = False
        """Whether there are more than MOST entries, of which these are the first: tables that lead in a circle."""
        if self.levels:
            entries = self._read(read_table, int(self.root), self.levels - 1, 0)
            self.entries = tuple(islice(entries, MOST))
            self.is_cut = next(entries, None) is not None

    def _read(self, read_table: ReadTable, table: int, level: int, base: int) -> Iterator[Entry]:
        words = read_table(table)
        if words is None:
            return
        shift = PAGE_BITS + _INDEX_BITS * level
        for index, word in enumerate(words.tolist()):
            if not word & bits.V:
                continue
            first = canonical(base | index << shift, PAGE_BITS + _INDEX_BITS * self.levels)
            entry = Entry(PhysAddr(table + 8 * index), Pte(word), level, index, VirtAddr(first))
            yield entry
            if level and not entry.is_leaf:
                yield from self._read(read_table, int(entry.physical), level - 1, first)

    @cached_property
    def leaves(self) -> tuple[Entry, ...]:
        """The entries that map memory, by virtual address."""
        return tuple(sorted((entry for entry in self.entries if entry.is_leaf), key=lambda entry: entry.first))

    def walk(self, address: int) -> tuple[Entry, ...]:
        """The valid entries on the way to a virtual address, the root's first."""
        return tuple(entry for entry in self.entries if entry.first <= address <= entry.last)

    def at(self, address: int) -> Entry | None:
        """The leaf that maps a virtual address, None where nothing is mapped."""
        found = self.walk(address)
        return found[-1] if found and found[-1].is_leaf else None

    def find(self, physical: int) -> list[VirtAddr]:
        """The virtual addresses that lead to a physical one."""
        return [
            entry.first + (physical - int(entry.physical))
            for entry in self.leaves
            if int(entry.physical) <= physical < int(entry.physical) + entry.size
        ]

    def ranges(self, letters: str = "", first: int = 0, last: int = _ALL) -> list[Range]:
        """What is mapped from `first` to `last`, neighbours as one, by leaves that `selects` takes for `letters`."""
        return merged(
            entry for entry in self.leaves if entry.last >= first and entry.first <= last and selects(entry, letters)
        )

    # What is odd.

    def writable_and_executable(self) -> list[Range]:
        """Memory that code can be written to and executed from."""
        return self.ranges("wx")

    def user_in_kernel(self) -> list[Range]:
        """User pages in the upper half, which is the kernel's in most systems."""
        return merged(entry for entry in self.leaves if entry.pte & bits.U and entry.first >> 63)

    def aliases(self) -> dict[PhysAddr, list[VirtAddr]]:
        """Frames of 4 KiB that are mapped more than once by leaves of 4 KiB, with all their addresses.

        A leaf of a larger page, such as a linear map of all memory, does not count.
        """
        frames: dict[PhysAddr, list[VirtAddr]] = {}
        for entry in self.leaves:
            if not entry.level:
                frames.setdefault(entry.physical, []).append(entry.first)
        return {frame: addresses for frame, addresses in frames.items() if len(addresses) > 1}

    def holes(self) -> list[tuple[VirtAddr, int]]:
        """First address and bytes of what is not mapped between two mappings of one half of the space."""
        found = []
        before: Entry | None = None
        for entry in self.leaves:
            if before is not None and entry.first > before.last + 1 and entry.first >> 63 == before.first >> 63:
                found.append((VirtAddr(before.last + 1), int(entry.first) - before.last - 1))
            before = entry
        return found

    def permissions(self) -> list[tuple[int, int, str]]:
        """First and last address of what is mapped with the same letters of r w x u, neighbours as one, by address."""
        found: list[tuple[int, int, str]] = []
        for entry in self.leaves:
            letters = "".join(letter for letter in _PERMISSIONS if entry.pte & _LETTERS[letter])
            append_span(found, (int(entry.first), entry.last, letters))
        return found

    def __eq__(self, other: object) -> bool:
        """With another space: the same pages, but for A and D. With a mapping: see `spans`."""
        if isinstance(other, AddressSpace):
            return not self.diff(other)
        return self.permissions() == spans(other) if isinstance(other, Mapping) else NotImplemented

    __hash__ = object.__hash__

    def diff(self, later: "AddressSpace") -> list[Change]:
        """What has changed by a later moment, by virtual address; A and D do not count."""
        ignored = bits.A | bits.D
        old, new = ({(e.first, e.level): e for e in space.leaves} for space in (self, later))
        return [
            Change(old.get(key), new.get(key))
            for key in sorted(old.keys() | new.keys())
            if key not in old or key not in new or (old[key].pte ^ new[key].pte) & ~ignored
        ]


def canonical(address: int, width: int) -> int:
    """The address with the upper bits that belong to it, of a scheme whose addresses have so many bits.

    >>> hex(canonical(0x40_0000_0000, 39)), hex(canonical(0x1000, 39))
    ('0xffffffc000000000', '0x1000')
    """
    return address | _ALL >> width << width if address >> width - 1 & 1 else address


def spans(expected: Mapping[int | range, str]) -> list[tuple[int, int, str]]:
    """What a test says of an address space, as `AddressSpace.permissions` has it.

    Keys are addresses of pages of 4 KiB, or ranges of addresses; values are letters of r, w, x and u.

    >>> spans({range(0x1000, 0x3000): "rx", 0x3000: "xr", 0x8000: "rw"})
    [(4096, 16383, 'rx'), (32768, 36863, 'rw')]
    """
    parts = []
    for place, letters in expected.items():
        if not isinstance(place, range | int):
            raise TypeError(f"{place!r} is no place: keys are addresses of pages, or ranges of addresses")
        if set(letters) - set(_PERMISSIONS):
            raise ValueError(f"{letters!r}: permissions are letters of {_PERMISSIONS}")
        first, last = (place.start, place.stop - 1) if isinstance(place, range) else (place, place + PAGE_SIZE - 1)
        parts.append((int(first), int(last), "".join(letter for letter in _PERMISSIONS if letter in letters)))
    found: list[tuple[int, int, str]] = []
    for part in sorted(parts):
        append_span(found, part)
    return found


def append_span(found: list[tuple[int, int, str]], span: tuple[int, int, str]) -> None:
    """Add a span behind the others, to the last one where it goes on."""
    if found and found[-1][1] + 1 == span[0] and found[-1][2] == span[2]:
        found[-1] = (found[-1][0], span[1], span[2])
    else:
        found.append(span)


def selects(entry: Entry, letters: str) -> bool:
    """Whether a leaf has all that the letters ask for: r, w, x, u, g, a, d, and s for a page that is not U.

    >>> selects(Entry(PhysAddr(0), Pte(0xD7), 0, 0, VirtAddr(0)), "wu")
    True
    """
    return all(not entry.pte & bits.U if letter == "s" else bool(entry.pte & _LETTERS[letter]) for letter in letters)


FILTERS = (*_LETTERS, "s")
"""The letters that `selects` knows."""


def merged(leaves: Iterable[Entry]) -> list[Range]:
    """Leaves in the order of their addresses, neighbours as one."""
    found: list[Range] = []
    for entry in leaves:
        flags = int(entry.pte) & _FLAGS
        if found:
            before = found[-1]
            if (
                before.last + 1 == entry.first
                and int(before.physical) + before.size == entry.physical
                and (before.flags, before.level) == (flags, entry.level)
            ):
                found[-1] = Range(before.first, before.physical, before.size + entry.size, flags, entry.level)
                continue
        found.append(Range(entry.first, entry.physical, entry.size, flags, entry.level))
    return found
