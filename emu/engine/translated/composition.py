"""Composes what one core's blocks are given: the block clock, and the features that are switched on."""

import ctypes

from emu.engine.slots import Slot
from emu.engine.translated.installation import Installed
from emu.engine.translated.layout import ENV_EXIT_REQUEST
from emu.engine.translated.operations import ENV, LATE, Operation, T, branch, call, encode, here, known, op
from emu.engine.translated.plan import Known, Part
from emu.engine.translated.player import Entry

_SLOTS, _COUNT, _OTHER = T[0], T[1], T[2]
_NOT_BEGUN = 0
"""The label of what a block does instead of beginning."""

COUNT: tuple[Operation, ...] = (
    op("movi", _SLOTS, known(Known.SLOTS)),
    op("ld", _COUNT, _SLOTS, 8 * Slot.COUNT),
    op("movi", _OTHER, known(Known.LENGTH)),
    op("add", _COUNT, _COUNT, _OTHER),
    op("st", _COUNT, _SLOTS, 8 * Slot.COUNT),
    op("ld", LATE, _SLOTS, 8 * Slot.DEADLINE),
    op("sub", LATE, LATE, _COUNT),
    op("ld32s", _OTHER, ENV, ENV_EXIT_REQUEST),
    op("or", LATE, LATE, _OTHER),
)
"""The block's instructions are counted; LATE is negative if that passes the deadline, or if the core is to leave."""
UNLESS_LATE = (op("movi", _OTHER, 0), branch("lt", LATE, _OTHER, _NOT_BEGUN))
BEGIN = (
    op("movi", _SLOTS, known(Known.SLOTS)),
    op("movi", _OTHER, known(Known.SERIAL)),
    op("st", _OTHER, _SLOTS, 8 * Slot.BLOCK),
    op("movi", _OTHER, known(Known.BLOCK_PC)),
    op("st", _OTHER, _SLOTS, 8 * Slot.BLOCK_PC),
    op("movi", _OTHER, known(Known.LENGTH)),
    op("st", _OTHER, _SLOTS, 8 * Slot.BLOCK_LENGTH),
)
"""The block is the current one."""


def not_begun(late: int) -> tuple[Operation, ...]:
    """What a block that does not begin executes: `late` is the native function that decides what comes of it."""
    return (here(_NOT_BEGUN), op("movi", T[0], known(Known.BLOCK)), call(late, ENV, T[0]))


class Features:
    """The plan of one core."""

    def __init__(self, installed: Installed, slots: memoryview) -> None:
        self._installed, self._slots = installed, slots
        self._keep: tuple[object, ...] = ()
        self._compose()

    def _compose(self) -> None:
        lists = {
            Part.HEAD: (*COUNT, *UNLESS_LATE, *BEGIN),
            Part.TAIL: not_begun(self._installed.entries[Entry.LATE]),
        }
        plan = (ctypes.c_uint64 * len(Part))()
        keep: list[object] = [plan]
        for part, operations in lists.items():
            words = encode(operations, self._installed.layout)
            memory = (ctypes.c_uint64 * len(words))(*words)
            keep.append(memory)
            plan[part] = ctypes.addressof(memory)
        self._keep = tuple(keep)
        self._slots[Slot.PLAN] = ctypes.addressof(plan)
