"""A second level behind the core's TLB: translations that the guest has given and still stands by, in native code.

What the guest answers to a fill is kept when the guest says so, and given again to the same question under the same
circumstances, whose number is the context; the guest forgets by page, or all. Ordinary pages are found by native code
in the guest's page tables, once the guest has said where they begin; whatever is out of the ordinary is asked for.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from emu.address import PAGE_BITS, PAGE_START
from emu.buffers import words_type
from emu.engine import library, native
from emu.engine.assembled import ASSEMBLED
from emu.engine.fills.datapages import DATA_FILL
from emu.engine.fills.filling import FILL, TLB_FILL
from emu.engine.fills.table import (
    ASK,
    BITS,
    CLOCK,
    CONTEXT,
    CONTEXT_SHIFT,
    ENTRIES,
    FETCHED,
    KEEP,
    LARGE,
    LARGE_PLACES,
    MARK,
    MARKED,
    MARKS,
    MOST_MARKS,
    NUMBERS,
    PERMISSIONS,
    ROOT,
    SHIFT,
    SIZE,
    SLOTS,
    START,
    TABLES,
    USER,
    WORDS,
)
from emu.engine.library import Handle
from emu.engine.native import Probe
from emu.engine.translated.layout import CORE_STATE, ENGINE_CPU, STATE_FILLS
from emu.errors import MachineError

_PAGES = (1 << 52) - 1


class Translations:
    """The table, for one core. Without native code the engine looks into it before it asks the guest."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._core = ctypes.c_uint64.from_address((handle.value or 0) + ENGINE_CPU).value
        self._memory = words_type(WORDS)()
        octets = memoryview(self._memory).cast("B")
        self.words = octets.cast("Q")
        """The table, by word."""
        self._large = octets[8 * LARGE : 8 * MARKS]

    def serve(self, ask: int, slots: int) -> None:
        """Answer the core's fills by native code, which calls `ask`, a callback like it, for what is not here.

        Unless the slots at an address of the host say that nobody may be called.
        """
        self.words[ASK], self.words[CLOCK] = ask, slots
        library.add_hook(self._handle, library.HOOK_FILL, native.load(FILL), ctypes.addressof(self._memory))

    def stand_before_core(self, *, walks: bool) -> None:
        """Have fills answered by native code before the core gets them; again whenever the mode of its TLB was set.

        Where the core `walks` by itself, native code only sees that stores to data stay quick.
        """
        function, probe = ("riscv_cpu_tlb_fill", DATA_FILL) if walks else ("unicorn_fill_tlb", TLB_FILL)
        place = ctypes.c_uint64.from_address(self._core + CORE_STATE[native.architecture() or ""] + STATE_FILLS)
        known = library.function_address(function)
        if place.value != known:
            raise MachineError(f"this build of unicorn {library.VERSION} fills its TLB in a way that is not known here")
        place.value = _before(probe, known)

    def walk(self, start: int, size: int, tables: int, fetched: int) -> None:
        """From now on find ordinary pages natively, where the tables and the pages they lead to lie in a range.

        `size` bytes at the physical address `start`, which the host has at `tables`; at `fetched` it has an octet for
        each page of RAM, which is not 0 where code was fetched from (see `CodeSplit`), the first for `start`.
        """
        words = self.words
        words[START], words[SIZE], words[TABLES] = start, size, tables
        words[FETCHED] = fetched - (start >> PAGE_BITS) & (1 << 64) - 1

    def walk_from(self, root: int, levels: int) -> None:
        """Page tables begin at this physical address, with so many levels; 0: there are none."""
        self.words[ROOT], self.words[SHIFT] = root, levels and 3 + 9 * levels

    def note_large(self, address: int, shift: int) -> None:
        """A page of an address was translated by a leaf that maps 2**shift bytes."""
        self._large[_large_place(address, shift)] = 1

    def is_in_large(self, address: int) -> bool:
        """Whether pages around that of an address may be kept that one leaf maps together with it."""
        large = self._large
        return any(large[_large_place(address, shift)] for shift in _SHIFTS)

    def forget_contexts(self) -> None:
        """No context has a number, and no page is kept that a leaf maps together with others."""
        ctypes.memset(ctypes.addressof(self._memory) + 8 * NUMBERS, 0, 8 * (MARKS - NUMBERS))

    @property
    def address(self) -> int:
        """Where the host has the table."""
        return ctypes.addressof(self._memory)

    @property
    def context(self) -> int:
        """The circumstances that translations are asked for in, below `CONTEXTS`; 0: ask the guest, keep nothing."""
        return self.words[CONTEXT]

    def enter(self, context: int, *, marks: bool = False, permissions: int = 0) -> None:
        """Change the context; in one that marks, `marked` tells whether an answer was given without asking.

        `permissions` is where the host has the protection that a leaf grants in this context, by its low eight bits.
        """
        self.words[CONTEXT], self.words[MARK], self.words[PERMISSIONS] = context, marks, permissions

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """In a `with`: the guest is asked, whatever the context, and nothing is kept."""
        words = self.words
        context, words[CONTEXT] = words[CONTEXT], 0
        try:
            yield
        finally:
            words[CONTEXT] = context

    @property
    def marked(self) -> bool:
        """Whether an answer for a page of U mode was given without asking in a context that marks, since `unmark`.

        Or one was noted.
        """
        return bool(self.words[MARKED])

    def mark(self, address: int) -> None:
        """Note an answer for a page of U mode, as native code does in a context that marks."""
        words = self.words
        count = words[MARKED]
        if count < MOST_MARKS:
            words[MARKS + count] = address
        words[MARKED] = count + 1

    def unmark(self) -> None:
        """No answer was given."""
        self.words[MARKED] = 0

    def keep(self) -> None:
        """In a fill: the answer holds in this context until it is forgotten."""
        self.words[KEEP] = 1

    def find(self, address: int, access: int) -> tuple[int, int] | None:
        """What is kept for an access (library.MEM_READ, ...) to an address: frame and protection."""
        words, page = self.words, address >> PAGE_BITS & _PAGES
        place = _place(page, access)
        context = words[CONTEXT]
        if not context or words[place] != page | context << CONTEXT_SHIFT:
            return None
        return words[place + 1] & PAGE_START, words[place + 1] & 7

    def ask(
        self, address: int, access: int, fill: Callable[[int, int], tuple[int, int] | None]
    ) -> tuple[int, int] | None:
        """What the native code does."""
        words = self.words
        found = self.find(address, access)
        if found is not None:
            if words[MARK] and words[_place(address >> PAGE_BITS & _PAGES, access) + 1] & USER:
                self.mark(address)
            return found
        words[KEEP] = 0
        found = fill(address, access)
        if found is not None and words[KEEP] and words[CONTEXT]:
            page = address >> PAGE_BITS & _PAGES
            place = _place(page, access)
            words[place] = page | words[CONTEXT] << CONTEXT_SHIFT
            words[place + 1] = found[0] & PAGE_START | found[1] & 7 | USER
        return found

    def forget_page(self, address: int) -> None:
        """Forget the page of an address in all contexts, and in the core's own TLB; not inside a memory callback."""
        for access in (library.MEM_READ, library.MEM_WRITE, library.MEM_FETCH):
            self.words[_place(address >> PAGE_BITS & _PAGES, access)] = 0
        if library.tlb_flush_page is None:
            library.flush_tlb(self._handle)
        else:
            library.tlb_flush_page(self._core, address & PAGE_START)

    def forget_all(self) -> None:
        """Forget everything that is kept here; the core's own TLB is another matter."""
        ctypes.memset(ctypes.addressof(self._memory) + 8 * ENTRIES, 0, 48 * SLOTS)


@cache
def _before(probe: Probe, function: int) -> int:
    """Where the native function is that stands before the core's."""
    address = native.load(probe)
    end = address + len(ASSEMBLED[native.architecture() or ""][probe.name])
    ctypes.c_uint64.from_address(end - 8).value = function
    return address


def _place(page: int, access: int) -> int:
    return ENTRIES + 2 * ((access - library.MEM_READ) << BITS | (page ^ page >> BITS) & SLOTS - 1)


_SHIFTS = tuple(12 + 9 * level for level in range(1, 5))


def _large_place(address: int, shift: int) -> int:
    """Where it is noted that a leaf maps 2**shift bytes around an address; some have a place together."""
    number = (address & (1 << 64) - 1) >> shift
    return (number ^ number >> 12 ^ shift) & LARGE_PLACES - 1
