"""What native code that poisons memory at recorded calls shares with Python."""

from enum import IntEnum


class Step(IntEnum):
    """What a step of a number's computation does to a stack of numbers; each has an operand, most do without."""

    END = 0
    """The number is the last one on the stack."""
    CONSTANT = 1
    """Push the operand."""
    REGISTER = 2
    """Push the register of the record (a0 to a7) that stands so many bytes behind a0."""
    ARGUMENT = 3
    """The same of the registers as they were at the call."""
    NEED = 4
    """Take one; if it is 0 there is no number."""
    ADD = 5
    """Take two and push what becomes of them; so all that follow. What does not fit into 64 bits, or leaves a rest, is
    left to Python."""
    SUBTRACT = 6
    MULTIPLY = 7
    DIVIDE = 8
    LEFT = 9
    RIGHT = 10
    XOR = 11
    LOAD = 12
    """Take an address and push the 64 bits there; what is no multiple of 8, or cannot be read, is left to Python."""


class Effect(IntEnum):
    """What a call does to memory: to so many frames from a page number on, or to a block of so many bytes.

    A block that is freed with a size other than 0 has just that, or is left to Python.
    """

    FRAMES_ALLOCATED = 0
    FRAMES_FREED = 1
    FRAMES_GIVEN = 2
    BLOCK_ALLOCATED = 3
    BLOCK_FREED = 4


class Plan(IntEnum):
    """Index of a 64-bit word of a plan: what to do when a call is recorded."""

    EFFECT = 0
    AT = 1
    """The address of the steps to the frame or block; there is none if that is 0."""
    EXTENT = 2
    """The same for how many frames or bytes; the registers are those of the call."""
    FIRST = 3
    """Of elements (`callrecords.elements`): the same for the list's head or the array's first word; then a0 in `AT` is
    the element."""
    COUNT = 4
    """The same for how many words an array has; 0 of a list."""
    NODE = 5
    """How far behind the beginning of each element its node stands, of a list."""


class Table(IntEnum):
    """Index of a 64-bit word of what is known of memory."""

    SHOWN = 0
    """Where the shadow has the address of the table that is looked at: nothing is done while that is not this one."""
    BITS = 1
    """The address of a bit for each byte."""
    MASK = 2
    """Which bytes of them there are."""
    OFFSET = 3
    """Virtual minus physical address."""
    LINEAR = 4
    """Whether that is known: else blocks are left to Python."""
    HELD = 5
    """The address of 32 bits for each eight bytes of RAM: the bytes of the held block that begins there, or 0."""
    PAGES = 6
    """The address of an octet for each page of RAM."""
    HEAP = 7
    """The marks of calls that frames are a heap's by, if they are asked for inside of one."""
    ALLOCATED = 8
    """How many blocks native code has entered."""


HAS_BLOCKS, FREED, HAS_OTHERS = 1, 2, 4
"""Bits of a page's octet: words of `HELD` that belong to it are not 0; it was freed and is free; blocks begin in it
that `HELD` has no word for."""
DONE, FOR_HEAP, TOLD = 1, 2, 4
"""Bits of a record's last word: the plan was carried out; frames have become a heap's; Python has told of it."""
ARGUMENTS_SIZE = 64
"""Bytes: a0 to a7."""
PAGE_WORDS = 512
"""Eights of bytes of a page."""
