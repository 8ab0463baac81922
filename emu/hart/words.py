"""Indexes of the words that a hart works with all the time, as plain numbers, and what else all its files share."""

from emu.engine import Word
from emu.engine.guest import RETURN_ADDRESS as RETURN_ADDRESS
from emu.engine.slots import Slot
from emu.events import Event, SyscallMade, TrapTaken
from emu.hints import TypeVar
from emu.isa.privilege import Privilege

# Looking a member up in its Enum takes longer than reading the word.
COUNT, BLOCK_PC, BLOCK_LENGTH = Slot.COUNT, Slot.BLOCK_PC, Slot.BLOCK_LENGTH
BLOCK, FENCES = Slot.BLOCK, Slot.FENCES
TRAPS, LAST_TRAP, TRAPPED_AT, TRAPPED, FIRST_TRAP = (
    Slot.TRAPS, Slot.LAST_TRAP, Slot.TRAPPED_AT, Slot.TRAPPED, Slot.FIRST_TRAP,
)  # fmt: skip
PC, PRIVILEGE, RESERVATION = Word.PC, Word.PRIVILEGE, Word.LOAD_RESERVATION
ALL = (1 << 64) - 1
Trap = tuple[int, int, int, Privilege, Privilege, int]
"""Cause, tval, epc, the privilege it came from and the one it went to, and the handler's address."""
ENTRIES_TOLD: frozenset[type[Event]] = frozenset((TrapTaken, SyscallMade))
"""Who listens to one of these is told by Python when the handler of an `ecall` is entered."""
_Fact = TypeVar("_Fact")
_MOST_FACTS = 1 << 18


def remember(facts: dict[int, _Fact], key: int, fact: _Fact) -> None:
    """Note a fact about a block. Blocks that are no more are not told from others: once there are many, all go."""
    if len(facts) >= _MOST_FACTS:
        facts.clear()
    facts[key] = fact
