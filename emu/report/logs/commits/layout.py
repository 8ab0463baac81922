"""What Python and the native code that makes lines both know: the words that they share, and templates of lines.

The native code goes through blocks, and takes of the records that are in front of it those of each instruction. It
returns an `Answer` where Python has to do something. What it cannot know (CSRs, traps, devices, flags of floating
point) Python tells; so it does of all instructions where there is no native code.
"""

from enum import IntEnum, IntFlag
from functools import partial
from importlib import import_module

from emu.engine.native import Probe
from emu.engine.translated.features import accesses, registerwrites


class Shared(IntEnum):
    """Numbers of 64-bit words in the memory that both use."""

    WORDS = 0
    """Where the next word of the record of blocks is, and where the last one ends."""
    WORDS_END = 1
    WRITES = 2
    WRITES_END = 3
    ACCESSES = 4
    ACCESSES_END = 5
    OUTPUT = 6
    """Where the next line goes."""
    OUTPUT_LIMIT = 7
    """No line begins behind this."""
    INSTRET = 8
    ENTRY = 9
    """Where the `ENTRY` of the next instruction is."""
    LEFT = 10
    """How many instructions of the block are still to come."""
    BLOCK_END = 11
    """`INSTRET` when the block is over."""
    BLOCK = 12
    """Its number."""
    PRIVILEGE = 13
    """Its digit."""
    SUPERVISOR = 14
    """The digit of blocks of privilege 1."""
    MODE_AT = 15
    """A block that begins at this `INSTRET`, or later, may have another one."""
    STOP_AT = 16
    """The first instruction that is Python's, whatever it is."""
    SHOW_FROM = 17
    """The first one that gets a line."""
    PLAIN = 18
    """Registers from this number on are Python's: 32 where a write to f0 to f31 changes `mstatus`, else 64."""
    IS_LAST = 19
    """Whether the last block is over, too, without a word behind it."""
    TABLE = 20
    """Where the addresses of blocks' templates are, by their numbers; 0 for one that was not made yet."""
    TABLE_SIZE = 21
    REGISTERS = 22
    """Where the values of x0 to x31 and f0 to f31 are kept, and behind them `mstatus` without SD."""
    NAMES = 23
    """Where " x0  0x" and its like are, 8 bytes each."""
    MEMORY = 24
    """The 8 bytes of " mem 0x"."""
    KEPT = 25
    """Free for the native code."""
    CONSTANTS = 26
    """`DIGITS`."""
    STATUS_NAME = 34
    """The 16 bytes of " c768_mstatus 0x"."""
    KNOWS_STATUS = 36
    """Whether `mstatus` is known: else nothing is told of it."""

    PC = 37
    """Of the next instruction."""
    HEAD = 38
    """The 14 bytes before the pc, and two more."""
    WRITES_PC = 40
    """Whether lines begin with `HEAD` and the pc, and then come their templates; else those have both."""


WORDS = Shared.WRITES_PC + 1


class Answer(IntEnum):
    """Why the native code has returned."""

    DONE = 0
    """There is no whole block left."""
    FULL = 1
    INSTRUCTION = 2
    """The next instruction is Python's."""
    BLOCK = 3
    """The next block has no template."""
    MODE = 4
    """`MODE_AT` has come."""


class Flag(IntFlag):
    """What is known of an instruction."""

    PYTHON = 1
    """It is Python's."""
    ACCESSES = 2
    """It loads or stores."""
    SC = 4
    """Loads of it are not told."""
    HIDDEN = 8
    """It gets no line."""
    STATUS = 16
    """It writes `sstatus`: its operand, unless one of the next two says otherwise."""
    SETS = 32
    """It sets the bits of its operand."""
    CLEARS = 64
    IMMEDIATE = 128
    """The operand is the number at `SOURCE`, not the register of that number."""
    LONG = 1 << 13
    """It has 4 bytes, not 2."""


SOURCE = 8
"""Where in the flags of an instruction that writes `sstatus` five bits have its operand."""


DIGITS = bytes([15] * 16 + [9] * 16 + [ord("a") - ord("9") - 1] * 16) + b"0123456789abcdef"
"""For hexadecimal digits, vectors of 16 bytes: 0x0f; 9; the distance from behind "9" to "a"; all of them."""
STATUS = 8 * 64
"""Where `mstatus` is behind the registers."""
MOST_ACCESSES = 4
"""Of an instruction; one with more is Python's."""
BLOCK_HEAD = "<IIQQ"
"""Instructions of a block; its entries, which follow; the digit of its privilege, 0 for `SUPERVISOR`; its pc."""
ENTRY = "<QIHH"
"""Of each instruction: where its template is, its length, where in it the privilege goes unless in `HEAD`, `Flag`."""
ENTRY_SIZE, HEAD_SIZE = 32, 24
"""Behind an `ENTRY` is room for a short template."""
PRIVILEGE_IN_HEAD, LENGTH_OF_HEAD = 10, 14
COPIED = 16
"""Text is copied in so many bytes: others may be read behind its end, and written."""
WRITE, ACCESS = registerwrites.RECORD.size, accesses.RECORD.size
VALUE_OF_WRITE, TIME_OF_WRITE = 8, 16
ADDRESS_OF_ACCESS, VALUE_OF_ACCESS, TIME_OF_ACCESS = 8, 16, 24
STORE = 0x80
LABEL = 7
"""Characters before a value."""


def _source(host: str) -> str:
    text: str = import_module(f"emu.report.logs.commits.{host}").CODE
    return text


LINES = Probe("commit_lines", partial(_source, "x86_64"), partial(_source, "aarch64"))
"""Gets the address of the shared words, returns an `Answer`."""
