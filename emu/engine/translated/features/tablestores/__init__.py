"""Tells of each store that changes a page of a set, when it has been carried out; other stores cost nothing."""

import ctypes
from collections.abc import Callable, Mapping, Sequence

from emu.address import PAGE_BITS
from emu.engine import library
from emu.engine.slots import Slot
from emu.engine.translated.features import Access, Core, Feature
from emu.engine.translated.features.shadow_probes import STORES
from emu.engine.translated.features.tablestores.layout import CALLED, DIVERTED, ENTRIES, Word
from emu.engine.translated.features.tablestores.probes import WATCHES
from emu.engine.translated.installation import replace_table
from emu.engine.translated.operations import Operation
from emu.engine.translated.plan import Part

_Told = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)
_Mark = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_uint64)

Changed = Callable[[int, int, int, int], None]
"""Told of the physical address of 8 bytes, what they were, what they are, and the pc of the store.

It may raise, and stop the run: both come to pass when the current block has ended.
"""


class TableStores(Feature):
    """Pages of RAM by their physical addresses. What devices, page walks and the host write is not seen.

    Without native probes each store is told of before it is carried out, whatever it is to.
    """

    works_alone = True  # native code leaves the core in front of what is to be told

    def __init__(self, base: int, size: int, changed: Changed, stores: Callable[[Access], None]) -> None:
        """`base` and `size` are those of RAM. `stores` is told instead of `changed` without native probes."""
        self._base, self._changed, self._stores = base, changed, stores
        self._pages = (ctypes.c_uint8 * (size >> PAGE_BITS))()
        self._words = (ctypes.c_uint64 * len(Word))()
        self._told = _Told(self._tell)
        self._mark: Callable[[int, int], None] | None = None
        self._core: Core | None = None

    def add(self, page: int) -> None:
        """Tell of a page from now on, from the next store on."""
        number = page - self._base >> PAGE_BITS
        self._pages[number] = 1
        if self._mark is not None and self._core is not None:
            self._mark(self._core.state_address, self._core.host_address + (number << PAGE_BITS))

    def remove(self, page: int) -> None:
        """Tell of it no more."""
        self._pages[page - self._base >> PAGE_BITS] = 0

    def clear(self) -> None:
        """Tell of no page any more."""
        ctypes.memset(self._pages, 0, len(self._pages))

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`: no block does anything for it."""
        if self._core is None and core.state_address:
            address = replace_table(WATCHES, CALLED, tuple(STORES.values()), diverted=(DIVERTED,), innermost=True)
            self._mark = _Mark(address + 8 * (len(CALLED) + ENTRIES.index("mark")))
            self._words[Word.HOST], self._words[Word.SIZE] = core.host_address, core.size
            self._words[Word.MAP] = ctypes.addressof(self._pages)
            self._words[Word.TELL] = library.address_of(self._told)
            core.slots[Slot.TABLES] = ctypes.addressof(self._words)
            for number, is_watched in enumerate(self._pages):
                if is_watched:
                    self._mark(core.state_address, core.host_address + (number << PAGE_BITS))
        self._core = core
        return {}

    def switched_off(self) -> None:
        """See `Feature`."""
        if self._core is not None:
            self._core.slots[Slot.TABLES] = 0

    def _tell(self, offset: int, old: int, new: int, pc: int) -> None:
        try:
            self._changed(self._base + offset, old, new, pc)
        except BaseException as error:  # noqa: BLE001  # kept for `run` to raise: ctypes would swallow it
            assert self._core is not None
            self._core.fail(error)

    def stores(self, access: Access, /) -> None:
        """See `Feature`."""
        self._stores(access)
