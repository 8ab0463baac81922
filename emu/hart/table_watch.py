"""Tells of changed page-table entries: table pages are write-protected in the engine, so each store arrives here."""

from collections.abc import Callable
from typing import Protocol

from emu.address import PAGE_SIZE, PhysAddr, VirtAddr
from emu.engine import Engine, Store
from emu.engine.window import Word
from emu.events import PteWritten, TablesLeftOut
from emu.hart.tables import TableMap
from emu.isa.csrs import Csr
from emu.isa.operands import MemoryOperand
from emu.isa.privilege import Privilege
from emu.memory import Ram
from emu.subscriptions import EventBus

_PC = int(Word.PC)
_OPCODE, _ATOMIC = 0x7F, 0x2F


class WatchedHart(Protocol):
    """What the watch needs of its hart."""

    ram: Ram
    bus: EventBus
    engine: Engine
    words: memoryview

    @property
    def retired_count(self) -> int:
        """Instructions retired."""

    @property
    def privilege(self) -> Privilege:
        """The current privilege."""

    def read_csr(self, number: int) -> int | None:
        """The value of a CSR, whatever the guest's privilege."""

    def ask_again(self) -> None:
        """Have the core ask for each translation again."""

    def operand_at(self, pc: int) -> MemoryOperand | None:
        """What the instruction at `pc` accesses."""

    def fetch_instruction(self, address: int) -> int:
        """The instruction at a virtual address."""


class TableWatch:
    """Off, and without any cost, until `start`."""

    def __init__(self, hart: WatchedHart) -> None:
        self._hart = hart
        self._map = TableMap(self._entries)
        self._is_on = False
        self._told_of_limit = False
        self._asks_again = False
        self._remove: dict[int, Callable[[], None]] = {}

    def start(self) -> Callable[[], None]:
        """Watch what `satp` leads to from now on; returns what ends it."""
        self._is_on = True
        self.restart()

        def stop() -> None:
            self._is_on = False
            self._map.forget()
            self._settle_soon()

        return stop

    def restart(self) -> None:
        """Begin again with the present `satp`, as after memory has changed as a whole."""
        if self._is_on:
            self._map.forget()
            self._told_of_limit = False
            self.entered(self._hart.read_csr(Csr.SATP) or 0)

    def entered(self, satp: int) -> None:
        """`satp` has got a value."""
        if self._is_on:
            self._map.enter(satp)
            self._tell_of_limit()
            self._settle_soon()

    def settle(self) -> None:
        """Protect in the engine what is a table now, and nothing else. The core must be stopped."""
        pages = self._map.pages
        if self._remove.keys() == pages.keys():
            if self._asks_again:
                self._asks_again = False
                self._hart.ask_again()
            return
        for page in self._remove.keys() - pages.keys():
            self._remove.pop(page)()
        for page in pages.keys() - self._remove.keys():
            self._remove[page] = self._hart.engine.watch_stores(page)
        self._asks_again = False
        self._hart.ask_again()

    def drop_translations(self) -> None:
        """Have the core ask again for each translation, as soon as it may be told."""
        self._asks_again = True
        if self._hart.engine.running:
            self._hart.engine.stop_after_block()

    def store(self, address: int, size: int, value: int) -> Store:
        """Carry out a store to a protected page, or the part of it that lies there, and tell who listens."""
        hart = self._hart
        ram = hart.ram
        data = value.to_bytes(size, "little")[: PAGE_SIZE - address % PAGE_SIZE]
        places = range(address & -8, address + len(data), 8)
        before = [ram.words[(place - ram.base) >> 3] for place in places]
        ram.view[address - ram.base : address - ram.base + len(data)] = data
        for place, old in zip(places, before, strict=True):
            self._changed(place, old, ram.words[(place - ram.base) >> 3])
        if not self._is_complete(address, size):
            self._settle_soon()
            return Store.DONE
        hart.engine.forget_code(address, len(data))
        is_settled = self._remove.keys() == self._map.pages.keys() and not self._asks_again
        return Store.DONE if is_settled else Store.LEAVE

    def _is_complete(self, address: int, size: int) -> bool:
        """Whether the instruction at pc has nothing left to do after this store."""
        hart = self._hart
        operand = hart.operand_at(hart.words[_PC])
        if operand is None or operand.size != size or address % PAGE_SIZE + size > PAGE_SIZE:
            return False  # it crosses pages, and its bytes come one by one
        return hart.fetch_instruction(hart.words[_PC]) & _OPCODE != _ATOMIC

    def emit(self, address: int, old: int, new: int, pc: int, *, by_walk: bool) -> None:
        """Tell who listens of a change in a known table, with the count of instructions exact."""
        if address & -PAGE_SIZE not in self._map.pages:
            return
        hart = self._hart
        level, first = self._map.place(address)
        hart.bus.emit(
            PteWritten(
                instret=hart.retired_count,
                pc=VirtAddr(pc),
                privilege=hart.privilege,
                pte_address=PhysAddr(address),
                old=old,
                new=new,
                level=level,
                first=first,
                by_walk=by_walk,
            )
        )

    def _changed(self, place: int, old: int, new: int) -> None:
        if old == new or place & -PAGE_SIZE not in self._map.pages:
            return
        self.emit(place, old, new, self._hart.words[_PC], by_walk=False)
        self._map.written(place, old, new)
        self._tell_of_limit()

    def _tell_of_limit(self) -> None:
        hart = self._hart
        if self._map.left_out and not self._told_of_limit:
            self._told_of_limit = True
            if hart.bus.wants(TablesLeftOut):
                hart.bus.emit(
                    TablesLeftOut(
                        instret=hart.retired_count,
                        pc=VirtAddr(hart.words[_PC]),
                        privilege=hart.privilege,
                        watched=len(self._map.pages),
                    )
                )

    def _settle_soon(self) -> None:
        if self._hart.engine.running and self._remove.keys() != self._map.pages.keys():
            self._hart.engine.stop_after_block()

    def _entries(self, page: int) -> list[int] | None:
        ram = self._hart.ram
        if not ram.contains(page, PAGE_SIZE):
            return None
        start = (page - ram.base) >> 3
        return ram.words[start : start + PAGE_SIZE // 8].tolist()
