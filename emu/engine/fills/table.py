"""The table of a core's second-level TLB, and of what native code needs for a walk: its words."""

from emu.engine import library
from emu.mmu import pte

CONTEXTS = 1 << 12
"""Numbers of contexts: 0 asks the guest each time and keeps nothing."""
BITS = 13
SLOTS = 1 << BITS
(
    CONTEXT, MARK, MARKED, KEEP, ASK, CLOCK, PERMISSIONS, SHIFT, ROOT, START, SIZE, TABLES, FETCHED, PERMISSION_TABLES,
) = range(14)  # fmt: skip
"""Words of the table. MARKED counts the answers for pages of U mode that were given while MARK was 1. Of a walk: log2
of the bytes that an entry of the first level maps, or 0 where there is nothing to walk, and its physical address; the
range that a walk may lead to, and where the host has it and its octets."""
ENTRIES = 16
"""Two words each follow from here on: slots for loads, for stores and for fetches."""
NUMBERS = ENTRIES + 6 * SLOTS
"""Behind them the numbers of contexts by privilege (bit 0), SUM (bit 1) and MXR (bit 2), or 0. In the same order
stands at PERMISSION_TABLES what leaves grant in each of them, 256 octets for each."""
LARGE, LARGE_PLACES = NUMBERS + 8, 1 << 12
"""Behind those, an octet for each place that a leaf of more than a page is noted at."""
MARKS, MOST_MARKS = LARGE + LARGE_PLACES // 8, 8
"""Behind those, the addresses that MARKED counts; of more than so many, the first."""
WORDS = MARKS + MOST_MARKS
USER = 8
"""Beside the protection of a page that is kept: it may be one of U mode's."""
CONTEXT_SHIFT = 52
READ, WRITE, FETCH = library.MEM_READ, library.MEM_WRITE, library.MEM_FETCH
NO_WRITE, NO_EXEC = ~library.PROT_WRITE, ~library.PROT_EXEC
LEAF, NOT_PLAIN = pte.LEAF, pte.D | pte.A | pte.U
"""Bits of an entry that make it a leaf; those that no entry above one has."""
CAUSE_OF_FETCH, CAUSE_OF_LOAD, CAUSE_OF_STORE = 12, 13, 15
"""Page faults."""
