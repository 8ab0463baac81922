"""Which frames are mapped more than once in a space: the leaves of 4 KiB that are known, by frame, kept up to date."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from emu.address import PAGE_BITS, PAGE_SIZE, PhysAddr, VirtAddr
from emu.events import AddressSpaceSwitched, PteWritten, StateRestored
from emu.isa.privilege import Access
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT, SATP_PPN
from emu.machine import Machine
from emu.mmu import pte as bits
from emu.mmu.pte import Pte
from emu.mmu.space import AddressSpace, canonical
from emu.observe.pagetables.tables import Leaves, Tables

_INDEX_BITS = 9
_LAST_INDEX = (1 << _INDEX_BITS) - 1


class _Table(NamedTuple):
    """A table of the last level: the first address that it decides about, and its bytes as they are known."""

    base: int
    data: bytearray


class MappedOnce:
    """Every frame is mapped at most once in a space by pages of 4 KiB; the kernel's linear map does not count.

    That is what its larger pages, the image where it is linked, or physical addresses say. Tables are read when a space
    is entered, or when an entry leads to them, and followed from then on.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._tables: dict[int, _Table] = {}
        self._places: dict[int, set[int]] = {}
        """The addresses of the entries that map a frame, by its number."""
        self._satp = 0
        self._several: set[int] = set()
        """The frames that more than one entry maps."""
        self._read_tables = Tables(machine.memory)
        self._linear = {0, *(virtual - physical for _, loads in machine.platform.names.loaded()
                             for physical, virtual, _ in loads)}  # fmt: skip
        self._subscriptions = [
            machine.on(AddressSpaceSwitched, lambda event: self._read_space(event.new)),
            machine.on(StateRestored, lambda _event: self._read_space(machine.hart.csr["satp"])),
        ]
        self._read_space(machine.hart.csr["satp"])

    def __call__(self, write: PteWritten, _space: Callable[[], AddressSpace]) -> str | None:
        """See `emu.observe.pagetables.invariants.Check`."""
        place, new = int(write.pte_address), write.new
        page, index = place & -PAGE_SIZE, place % PAGE_SIZE >> 3
        if write.level:
            self._read_entry(new, write.level, int(write.first))
            return None
        table = self._tables.get(page)
        if table is None or table.base != write.first - index * PAGE_SIZE:
            self._read_last(page, int(write.first) - index * PAGE_SIZE)
        else:
            self._changed(place, int.from_bytes(table.data[8 * index : 8 * index + 8], "little"), new)
            table.data[8 * index : 8 * index + 8] = new.to_bytes(8, "little")
        if not _maps(new) or self._is_linear(new, int(write.first)):
            return None
        number = new >> bits.PPN_SHIFT & bits.PPN_MASK
        if number not in self._several:
            return None
        places = [each for each in self._places[number] if self._may_reach(each)]
        if len(places) < 2:
            return None
        found = [first for each in places if (first := self._present(each)) is not None]
        if len(found) < 2 or int(write.first) not in found:
            return None
        frame = PhysAddr(number << PAGE_BITS)
        return f"its frame {frame} is mapped at {' and '.join(str(VirtAddr(each)) for each in sorted(found))}"

    def sift(self, leaves: Leaves) -> Iterable[int]:
        """See `emu.observe.pagetables.invariants.Sifting`."""
        page, base, entries = leaves.page, leaves.base, leaves.entries
        if leaves.level:
            return [i for i, entry in entries if not entry & bits.U and not self._is_linear(entry, leaves.first(i))]
        table = self._tables.get(page)
        if table is None or table.base != base or table.data != self._machine.memory.read(page, PAGE_SIZE):
            return [index for index, _ in entries]
        several = self._several
        return [index for index, entry in entries if entry >> bits.PPN_SHIFT & bits.PPN_MASK in several]

    def _present(self, place: int) -> int | None:
        """Where an entry maps its frame in the present space; None if it does not, or for the linear map."""
        table, index = self._tables[place & -PAGE_SIZE], place % PAGE_SIZE >> 3
        first = table.base + index * PAGE_SIZE
        entry = int.from_bytes(table.data[8 * index : 8 * index + 8], "little")
        leaf = self._machine.walk(first, Access.LOAD).leaf
        return None if self._is_linear(entry, first) or leaf is None or leaf.pte_address != place else first

    def _may_reach(self, place: int) -> bool:
        """Whether the tables of the present space lead to an entry for its address, whoever may use them."""
        levels = PAGING_LEVELS.get(self._satp >> SATP_MODE_SHIFT)
        if levels is None:
            return False
        ram = self._machine.memory.ram
        words, begin, end = ram.words, ram.base, ram.base + ram.size
        address = self._tables[place & -PAGE_SIZE].base + (place % PAGE_SIZE >> 3) * PAGE_SIZE
        table, shift = (self._satp & SATP_PPN) << PAGE_BITS, PAGE_BITS + _INDEX_BITS * (levels - 1)
        while (at := table + (address >> shift & _LAST_INDEX) * 8) != place:
            if shift == PAGE_BITS or not begin <= at < end:
                return False
            entry = words[at - begin >> 3]
            if entry & (bits.V | bits.LEAF) != bits.V:
                return False
            table, shift = (entry >> bits.PPN_SHIFT & bits.PPN_MASK) << PAGE_BITS, shift - _INDEX_BITS
        return True

    def _is_linear(self, entry: int, first: int) -> bool:
        distance = first - int(Pte(entry).ppn.address())
        return not entry & bits.U and (distance in self._linear or distance - (1 << 64) in self._linear)

    def _read_space(self, satp: int) -> None:
        self._satp = satp
        levels = PAGING_LEVELS.get(satp >> SATP_MODE_SHIFT)
        if levels is not None:
            self._read((satp & SATP_PPN) << PAGE_BITS, levels - 1, 0, PAGE_BITS + _INDEX_BITS * levels, set())

    def _read_entry(self, entry: int, level: int, first: int) -> None:
        if not entry & bits.V:
            return
        if not entry & bits.LEAF:
            self._read(int(Pte(entry).ppn.address()), level - 1, first, 64, set())
        elif not entry & bits.U:
            self._linear.add(first - int(Pte(entry).ppn.address()))

    def _read(self, page: int, level: int, base: int, width: int, seen: set[tuple[int, int]]) -> None:
        if (page, level) in seen or not self._machine.memory.contains(page, PAGE_SIZE):
            return
        seen.add((page, level))
        if not level:
            self._read_last(page, base)
            return
        shift = PAGE_BITS + _INDEX_BITS * level
        for index, entry in self._read_tables.entries(page):
            first = canonical(base | index << shift, width)
            if not entry & bits.LEAF:
                self._read(int(Pte(entry).ppn.address()), level - 1, first, 64, seen)
            elif not entry & bits.U:
                self._linear.add(first - int(Pte(entry).ppn.address()))

    def _read_last(self, page: int, base: int) -> None:
        data, known = self._machine.memory.read(page, PAGE_SIZE), self._tables.get(page)
        if known is not None and known.base == base and known.data == data:
            return
        before = memoryview(known.data).cast("Q").tolist() if known is not None else [0] * (PAGE_SIZE // 8)
        for index, (old, new) in enumerate(zip(before, memoryview(data).cast("Q").tolist(), strict=True)):
            if old != new:
                self._changed(page + 8 * index, old, new)
        self._tables[page] = _Table(base, bytearray(data))

    def _changed(self, place: int, old: int, new: int) -> None:
        if _maps(old):
            number = old >> bits.PPN_SHIFT & bits.PPN_MASK
            places = self._places[number]
            places.discard(place)
            if len(places) == 1:
                self._several.discard(number)
        if _maps(new):
            number = new >> bits.PPN_SHIFT & bits.PPN_MASK
            places = self._places.setdefault(number, set())
            places.add(place)
            if len(places) == 2:
                self._several.add(number)


def _maps(entry: int) -> bool:
    return bool(entry & bits.V and entry & bits.LEAF)
