"""What the functions for both kinds of hosts know of the core, and of the pages that are watched."""

from enum import IntEnum

from emu.engine.slots import Slot
from emu.engine.translated.features.shadow_probes import STORES
from emu.engine.translated.layout import VICTIM_ENTRIES
from emu.engine.window import Word as StateWord

DIVERTED = "tlb_set_page"
CALLED = (*STORES.values(), DIVERTED, "probe_access", "cpu_restore_state", "cpu_loop_exit")
ENTRIES = (*STORES.values(), DIVERTED, "mark")
"""What there is a jump for behind the table of what is called; `mark` gets the state, and a page in the host."""
MARK_BIT = 5
MARK = 1 << MARK_BIT
CLOCK, PC = 8 * StateWord.RDTIME_FUNCTION, 8 * StateWord.PC
WATCHED, ALONE, STOP = 8 * Slot.TABLES, 8 * Slot.ALONE, 8 * Slot.STOP
IS_STORE = 1
"""The core's number of this kind of access."""
INVALID = 0x800
"""The flag of an entry that answers nothing."""
LAST_VICTIM = 64 * (VICTIM_ENTRIES - 1)


class Word(IntEnum):
    """Index of a 64-bit word of what a core watches."""

    HOST = 0
    """Where the host has RAM."""
    SIZE = 1
    """How many bytes that is."""
    MAP = 2
    """The address of a byte for each page of RAM: not 0 if it is watched."""
    TELL = 3
    """What to call: with the place in RAM of 8 bytes, what they were, what they are, and the pc."""


HOST, SIZE, MAP, TELL = (8 * word for word in Word)
