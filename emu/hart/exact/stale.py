"""Finds accesses by translations whose page-table entry was changed and not fenced since, in fidelity `exact`."""

from collections.abc import Callable

from emu.address import PAGE_SIZE, PAGE_START
from emu.events import PteWritten
from emu.lateclass import dataclass
from emu.subscriptions import EventBus, Stop


@dataclass(slots=True)
class Kept:
    """What a walk has answered for a page, as a TLB keeps it."""

    frame: int
    granted: int
    """The engine's protection bits."""
    change: PteWritten | None = None
    """The first write to an entry that the walk had read."""
    told: bool = False
    """Whether the access by it was told of since."""


class StaleTranslations:
    """Plays the TLB while somebody listens: what was answered holds until a fence, whatever the tables say by then.

    Otherwise it depends on the core, which may ask again at any time, whether an old translation is in use still.
    """

    def __init__(self, bus: EventBus, drop: Callable[[], None]) -> None:
        """`drop` makes the core ask again for each translation, soon."""
        self._bus = bus
        self._drop = drop
        self._pages: dict[tuple[int, int], Kept] = {}
        self.is_on = False

    def start(self) -> Stop:
        """Begin to keep translations; returns what ends it."""
        self.is_on = True
        subscription = self._bus.on(PteWritten, self._written)
        self._drop()

        def stop() -> None:
            subscription.cancel()
            self.is_on = False
            self._pages.clear()
            self._drop()

        return stop

    def keep(self, page: int, context: int, frame: int, granted: int) -> None:
        """A walk has answered for the page at a virtual address, under circumstances that `context` stands for."""
        known = self._pages.get((page, context))
        if known is None or known.change is not None or known.frame != frame:
            self._pages[page, context] = Kept(frame, granted)
        else:
            known.granted |= granted

    def find(self, page: int, context: int, needed: int) -> Kept | None:
        """What is kept and allows the access."""
        known = self._pages.get((page, context))
        return known if known is not None and known.granted & needed else None

    def fenced(self, address: int | None) -> None:
        """`sfence.vma` for the page of an address, or for all of them."""
        if address is None:
            self._pages.clear()
            return
        page = address & PAGE_START
        for key in [key for key in self._pages if key[0] == page]:
            del self._pages[key]

    def _written(self, write: PteWritten) -> None:
        if write.by_walk:
            return
        first, size = int(write.first), PAGE_SIZE << 9 * write.level
        found = False
        for (page, _), kept in self._pages.items():
            if 0 <= page - first < size:
                kept.change = kept.change or write
                kept.told = False
                found = True
        if found:
            self._drop()
