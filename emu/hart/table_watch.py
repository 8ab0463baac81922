"""Tells of changed page-table entries: the core reports each store that changes a page which holds a table."""

from collections.abc import Callable

from emu.address import PAGE_SIZE, PAGE_START, PhysAddr, VirtAddr
from emu.engine import Engine
from emu.events import PteWritten
from emu.hart.shadow import SharedShadow
from emu.hart.tables import TableMap
from emu.hints import TYPE_CHECKING, Protocol
from emu.isa.csrs import Csr
from emu.isa.privilege import Access, Privilege
from emu.memory import Ram
from emu.subscriptions import EventBus
from emu.walks import Walk

if TYPE_CHECKING:
    from emu.engine.translated.features import Access as Stored
    from emu.engine.translated.features.tablestores import TableStores


class WatchedHart(Protocol):
    """What the watch needs of its hart."""

    ram: Ram
    bus: EventBus
    engine: Engine
    shadow: SharedShadow
    slots: memoryview

    @property
    def retired_count(self) -> int:
        """Instructions retired."""

    @property
    def privilege(self) -> Privilege:
        """The current privilege."""

    def instructions_from(self, pc: int) -> int:
        """How many instructions of the current block have not retired when the one at `pc` executes."""

    def read_csr(self, number: int) -> int | None:
        """The value of a CSR, whatever the guest's privilege."""

    def ask_again(self) -> None:
        """Have the core ask for each translation again."""

    def walk(self, address: int, access: Access, privilege: Privilege | None = None) -> Walk:
        """The page walk that an access at this moment would make."""


class TableWatch:
    """Off, and without any cost, until `start`."""

    def __init__(self, hart: WatchedHart) -> None:
        self._hart = hart
        self._stores: TableStores | None = None
        self._map = TableMap(self._entries)
        self.asks_again = False
        """Whether the core is to ask again for each translation, before it runs on."""

    def start(self) -> Callable[[], None]:
        """Watch what `satp` leads to from now on; returns what ends it."""
        from emu.engine.translated.features.tablestores import TableStores

        hart, engine = self._hart, self._hart.engine
        self._stores = stores = TableStores(hart.ram.base, hart.ram.size, self._changed, self._reported)
        self.restart()
        engine.switch_on(stores)
        if engine.running:
            engine.stop_after_block()

        def stop() -> None:
            self._stores, self._map = None, TableMap(self._entries)
            engine.switch_off(stores)
            if engine.running:
                engine.stop_after_block()

        return stop

    def restart(self) -> None:
        """Begin again with the present `satp`, as after memory has changed as a whole."""
        if self._stores is not None:
            self._stores.clear()
            self._map = TableMap(self._entries, self._stores)
            self.entered(self._hart.read_csr(Csr.SATP) or 0)

    def entered(self, satp: int) -> None:
        """`satp` has got a value."""
        if self._stores is not None:
            self._map.enter(satp)

    def settle(self) -> None:
        """Have the core ask again, if that is to be. The core must be stopped."""
        if self.asks_again:
            self.asks_again = False
            self._hart.ask_again()

    def drop_translations(self) -> None:
        """Have the core ask again for each translation, as soon as it may be told: before the store in a report."""
        engine = self._hart.engine
        if engine.in_report and engine.is_native:
            self._hart.ask_again()
            return
        self.asks_again = True
        if engine.running:
            engine.stop_after_block()

    def emit(self, address: int, old: int, new: int, pc: int, *, by_walk: bool) -> None:
        """Tell who listens of a change in a known table, with the count of instructions exact."""
        if address & PAGE_START not in self._map.pages:
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

    def _changed(self, address: int, old: int, new: int, pc: int) -> None:
        """A store has been carried out."""
        if address & PAGE_START in self._map.pages:
            self._hart.shadow.in_access(self._hart, pc, self._tell, address, old, new, pc)

    def _tell(self, address: int, old: int, new: int, pc: int) -> None:
        self.emit(address, old, new, pc, by_walk=False)
        self._map.written(address, old, new)

    def _reported(self, access: "Stored") -> None:
        """A store may be to a table: carry it out, so that who listens sees it done; the guest does it once more."""
        hart, data, at = self._hart, access.value.to_bytes(access.size, "little"), access.address
        parts: list[tuple[int, bytes]] = []
        while data:
            count = min(len(data), PAGE_SIZE - at % PAGE_SIZE)
            place = hart.walk(at, Access.STORE).physical
            if place is None:  # it will be refused, as a whole
                return
            parts.append((int(place), data[:count]))
            at, data = at + count, data[count:]
        for physical, part in parts:
            if physical & PAGE_START in self._map.pages:
                hart.shadow.in_access(hart, access.pc, self._store, physical, part, access.pc)

    def _store(self, address: int, data: bytes, pc: int) -> None:
        ram = self._hart.ram
        places = range(address & -8, address + len(data), 8)
        before = [ram.words[(place - ram.base) >> 3] for place in places]
        ram.view[address - ram.base : address - ram.base + len(data)] = data
        for place, old in zip(places, before, strict=True):
            new = ram.words[(place - ram.base) >> 3]
            if old != new:
                self._tell(place, old, new, pc)

    def _entries(self, page: int) -> list[int] | None:
        ram = self._hart.ram
        if not ram.contains(page, PAGE_SIZE):
            return None
        start = (page - ram.base) >> 3
        return ram.words[start : start + PAGE_SIZE // 8].tolist()
