"""The words that translated code, native functions and Python share: one set for each core."""


class Slot:
    """Indices of 64-bit words: plain numbers, since native functions and hot loops have them in every line."""

    COUNT = 0
    """Instructions retired once the current block has run to its end."""
    DEADLINE = 1
    """No block begins that would carry COUNT beyond it (compared as a signed number)."""
    BLOCK_PC = 2
    """The virtual address of the current block."""
    BLOCK_LENGTH = 3
    """Its number of instructions."""
    HIT = 4
    """1 when the deadline stopped the core."""
    LIMIT = 5
    """One block may begin after the deadline if it does not pass this limit; its end becomes the deadline, this 0."""
    BLOCK = 6
    """The current block's number, which no other block ever has; 0 where blocks are not told apart."""
    TICK = 7
    """How many instructions are a tick of `time`; 0 when Python is to be asked for it."""
    SLEPT = 8
    """What to add to the instructions retired, before they are divided."""
    TIME_OFFSET = 9
    """What to add to the ticks, modulo 2**64."""
    PLAN = 10
    """The address of the operations that blocks are given; see `emu.engine.translated.plan`."""
    SERIAL = 11
    """The number of the block that was translated last."""
    DRAIN = 12
    """The address of a function without arguments that empties buffers, for a block that finds one full; or 0."""
    MODEL = 14
    """The address of the model's CSRs (see `emu.engine.csrs`)."""
    INTERRUPT = 13
    """What to call when an interrupt is due (see `emu.engine.traps.interrupts`)."""
    FIRST = 15
    """Block numbers in tables count from this one."""
    MOST = 16
    """The largest of them: all further blocks have it together."""
    SHADOW = 17
    """Where a core's shadow is; see `emu.engine.translated.features.shadow`."""
    TABLES = 18
    """Where the pages are whose stores a core tells of; see `emu.engine.translated.features.tablestores`."""
    RETURNS = 19
    """What native code needs to carry out `sret` for the guest's model (see `emu.engine.traps.returns`), or 0."""
    RECORDS = 20
    """Where records of calls are made; see `emu.engine.translated.features.callrecords`."""
    CODE_HOOKS = 21
    """Where it stands at which addresses the core has code hooks (see `emu.engine.codehooks`), or 0."""
    KEPT = 22
    """Where the words are of the calls that are open (`emu.engine.translated.features.callentries.Table`), or 0."""
    ALONE = 24
    """Not 0 while nobody may call Python: bits of `Note` (see `emu.engine.calls.alone`)."""
    STOP = 25
    """The address of `uc_emu_stop`."""
    TRANSLATIONS = 26
    """Where the table of translations is (see `emu.engine.fills.table`)."""
    ENTRIES = 27
    """Whose CSRs change when native code enters the handler of an `ecall` (see `emu.engine.traps.entries`), or 0."""
    TRAPS = 28
    """Traps entered since power-on."""
    LAST_TRAP = 29
    """The run ends behind the trap of this number; 0: behind none."""
    TRAPPED_AT = 30
    """At how many instructions retired the last exception was; or 2**64-1."""
    TRAPPED = 31
    """How many there were at that."""
    FIRST_TRAP = 32
    """The first of those, in six words: cause, tval, epc, the privilege that it came from and the one that it went to,
    and the address of its handler."""
    FORGET_PAGE = 38
    """The address of the core's function that forgets the translation of a page in its TLB."""
    RAISES = 41
    """Not 0 while a page that the guest refuses is raised as the core's exception, instead of leaving the core."""
    SET_PAGE = 42
    """The address of the word through which the core's function is called that puts a page into its TLB."""
    RAISE = 43
    """The address of the core's function that raises an exception where the host's code goes on."""
    FENCES = 40
    """How many `sfence.vma` native code has carried out."""
    PORT = 39
    """Where the words of a console's port are (see `emu.engine.port`), or 0."""


SLOTS = 48
"""How many there are."""
