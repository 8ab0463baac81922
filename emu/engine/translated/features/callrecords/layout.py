"""What native code that records calls shares with Python: a record's words, those of a core and of a function."""

from enum import IntEnum

from emu.engine.window import Word
from emu.isa.registers import A0, RA, SP, TP

FACT_BITS, FACT_SHIFT, SIZE_BITS = 15, 20, 5
"""Places for facts, by some bits of their keys. Each has 32 bytes: the key, the number, the address of the words,
that of a plan (`poisoning`)."""
PLACE_BITS, PLACE_SHIFT = 10, 4
"""Places of calls that are awaited, by bits of their stack pointers, of 32 bytes, too: the stack pointer, the return
address, the address of the function's words, the key of what the call means."""
RECORD_SIZE, MOST_LINKS = 360, 17
"""Bytes: of 64 bits the function's number and `ENDED`, the count of instructions, ra, sp, tp, the privilege as the
core has it, who called (the number of facts about what is around the outermost call; and how many calls follow), the
number of facts about what the call means, a0 to a7, a number for this call and those around it, their return addresses;
of 32 bits the code before each; of 64 bits at its end a number (`elements`), and what was done to memory at once
(`poisoning`)."""
ENDED_BIT, ELEMENT_BIT = 32, 34
"""Of the first word of a record: the call has returned; it is one of an element."""


class Shared(IntEnum):
    """Index of a 64-bit word of what one core's functions share."""

    PLACE = 0
    """Where the next record goes, and the limit."""
    LIMIT = 1
    INNERMOST = 2
    """The address of the word with the innermost call's entry."""
    ENTRIES = 3
    """The table of open calls, and the mask of four times a stack pointer."""
    MASK = 4
    MESSAGE = 5
    """The address of the message about open calls."""
    FACTS = 6
    """The address of the facts."""
    AWAITED = 7
    """The address of the places of awaited calls."""
    DRAIN = 8
    """The address of Python's function that empties buffers."""
    AT_ONCE = 9
    """Whether each record that tells something is to be read at once."""
    MIX = 10
    """What keys are multiplied by."""
    SATP = 11
    """The address of that register; 0 where memory is not to be looked at."""
    RAM = 12
    RAM_SIZE = 13
    HOST = 14
    """The address of RAM, its bytes, and where the host has it."""
    END = 15
    """The entry that the outermost call leads to."""
    HOST_CALLS = 16
    """Where functions return to that the host has called."""
    TABLES = 17
    """The address of what is known of memory (`poisoning.layout.Table`); 0 where nothing is to be done to it."""
    ARGUMENTS = 18
    """The address of a0 to a7 of awaited calls, in the order of their places."""


class Own(IntEnum):
    """Index of a 64-bit word of a function: the engine fills in the first four (`StandsBefore`)."""

    CALLBACK = 0
    SLOTS = 1
    STATE = 2
    LEAVES = 3
    """The address of the native function that calls Python's callback."""
    SHARED = 4
    """The address of the words that all share."""
    MARK = 5
    """What the call is marked with, and whether its return is awaited."""
    INSIDE = 6
    """The mark alone: of a call inside of one that has it nothing is recorded."""
    NUMBER = 7
    AT_ENTRY = 8
    """1 if it tells something when it is entered, 0 if when it has returned."""
    SALT = 9
    """Where there are facts about its meaning: what their key is made of besides an argument; else 0."""
    ARGUMENT = 10
    """Where in the state that is, or 0."""
    PLAN = 11
    """The address of what a call does to memory, where its facts do not say it (`poisoning.layout.Plan`); or 0."""
    ELEMENTS = 12
    """1 if there is a record for each element of what a call is given, too (`elements`); else 0."""


class State(IntEnum):
    """Where a core's state has what a record takes from it, in bytes."""

    SP, RA, TP, PRIVILEGE, ARGUMENTS = 8 * SP, 8 * RA, 8 * TP, 8 * Word.PRIVILEGE, 8 * A0


class Field(IntEnum):
    """Where a record has its words, in bytes."""

    NUMBER, INSTRET, LINK, STACK, THREAD, MODE, CALLERS, MEANING, FIRST = range(0, 72, 8)
    PATH, LINKS, CODE = 128, 136, 136 + 8 * MOST_LINKS
    ELEMENT, DONE = RECORD_SIZE - 16, RECORD_SIZE - 8


M_MODE, SV39, SV57 = 3, 8, 10
SATP_MODE_SHIFT, PPN_BITS = 60, 44
VALID, LEAF, READ = 1, 0xE, 0x42
"""Bits of a PTE: V; R, W and X; R and A."""
PPN_SHIFT, RESERVED = 10, 54
