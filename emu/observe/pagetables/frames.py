"""Which frames are mapped more than once in a space: the leaves of 4 KiB that are known, by frame, kept up to date."""

from collections.abc import Callable
from typing import NamedTuple

from emu.address import PAGE_BITS, PAGE_SIZE, VirtAddr
from emu.events import AddressSpaceSwitched, PteWritten, StateRestored
from emu.isa.privilege import Access
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT, SATP_PPN
from emu.machine import Machine
from emu.mmu import pte as bits
from emu.mmu.pte import Pte
from emu.mmu.space import AddressSpace

_LEAF = bits.R | bits.W | bits.X
_INDEX_BITS = 9
_ALL = (1 << 64) - 1


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
        frame = Pte(new).ppn
        places = self._places[int(frame)]
        if len(places) < 2:
            return None
        found = [first for each in places if (first := self._present(each)) is not None]
        if len(found) < 2 or int(write.first) not in found:
            return None
        return f"its frame {frame.address()} is mapped at {' and '.join(str(VirtAddr(each)) for each in sorted(found))}"

    def _present(self, place: int) -> int | None:
        """Where an entry maps its frame in the present space; None if it does not, or for the linear map."""
        table, index = self._tables[place & -PAGE_SIZE], place % PAGE_SIZE >> 3
        first = table.base + index * PAGE_SIZE
        entry = int.from_bytes(table.data[8 * index : 8 * index + 8], "little")
        leaf = self._machine.walk(first, Access.LOAD).leaf
        return None if self._is_linear(entry, first) or leaf is None or leaf.pte_address != place else first

    def _is_linear(self, entry: int, first: int) -> bool:
        distance = first - int(Pte(entry).ppn.address())
        return not entry & bits.U and (distance in self._linear or distance - (1 << 64) in self._linear)

    def _read_space(self, satp: int) -> None:
        levels = PAGING_LEVELS.get(satp >> SATP_MODE_SHIFT)
        if levels is not None:
            self._read((satp & SATP_PPN) << PAGE_BITS, levels - 1, 0, PAGE_BITS + _INDEX_BITS * levels, set())

    def _read_entry(self, entry: int, level: int, first: int) -> None:
        if not entry & bits.V:
            return
        if not entry & _LEAF:
            self._read(int(Pte(entry).ppn.address()), level - 1, first, 64, set())
        elif not entry & bits.U:
            self._linear.add(first - int(Pte(entry).ppn.address()))

    def _read(self, page: int, level: int, base: int, width: int, seen: set[tuple[int, int]]) -> None:
        if not self._machine.memory.contains(page, PAGE_SIZE) or (page, level) in seen:
            return
        seen.add((page, level))
        if not level:
            self._read_last(page, base)
            return
        shift = PAGE_BITS + _INDEX_BITS * level
        for index, entry in enumerate(memoryview(self._machine.memory.read(page, PAGE_SIZE)).cast("Q").tolist()):
            if not entry & bits.V:
                continue
            first = base | index << shift
            if width < 64 and first >> width - 1:
                first |= _ALL >> width << width
            if not entry & _LEAF:
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
            self._places[int(Pte(old).ppn)].discard(place)
        if _maps(new):
            self._places.setdefault(int(Pte(new).ppn), set()).add(place)


def _maps(entry: int) -> bool:
    return bool(entry & bits.V and entry & _LEAF)
