"""Composes what one core's blocks are given: the block clock, and the features that are switched on."""

import ctypes
from collections.abc import Callable, Sequence
from functools import cache

from emu.buffers import buffer_address
from emu.engine import library
from emu.engine.library import Handle
from emu.engine.slots import Slot
from emu.engine.translated.definitions import Block, Definitions, Full
from emu.engine.translated.features import MOST_BLOCKS, Core, Feature, Jump, Write
from emu.engine.translated.installation import Installed
from emu.engine.translated.layout import ENV_EXIT_REQUEST, Layout
from emu.engine.translated.operations import ENV, LATE, Operation, T, branch, call, encode, here, known, op
from emu.engine.translated.plan import CLASSES, Known, Part
from emu.engine.translated.player import Entry
from emu.hints import TYPE_CHECKING
from emu.isa.results import registers_written

if TYPE_CHECKING:
    from emu.engine.translated.rings import Buffer

_SLOTS, _COUNT, _OTHER = T[0], T[1], T[2]
_OF_INSTRUCTIONS = (
    Part.INSTRUCTION, Part.BEFORE_LOAD, Part.AFTER_LOAD, Part.BEFORE_STORE, Part.AFTER_STORE, Part.WRITTEN,
    Part.LEAVING, Part.JUMPING, Part.BEFORE_COMPARISON, Part.CALLING, Part.RETURNING, Part.RETURNING_FROM_TRAP,
)  # fmt: skip
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
    """What one core's blocks do: the block clock, and what is switched on."""

    def __init__(self, installed: Installed, handle: Handle, core: Core, fail: Callable[[BaseException], None]) -> None:
        self._installed, self._handle, self._core, self._fail = installed, handle, core, fail
        self._keep: tuple[object, ...] = ()
        self._definitions: Definitions | None = None
        self._features: tuple[Feature, ...] = ()
        self._told_of_jumps: tuple[Feature, ...] = ()
        self._buffers: tuple[Buffer, ...] = ()
        """Of all features, in their order."""
        self.looks_at_completed = False
        """Whether a feature wants to know of instructions that Python completes."""
        self._drain = Full(self.empty_full)
        core.slots[Slot.MOST] = MOST_BLOCKS
        core.slots[Slot.DRAIN] = library.address_of(self._drain)
        self._compose()

    def switch(self, features: Sequence[Feature]) -> None:
        """Let blocks do this from now on. All code must be forgotten by the caller."""
        self.flush()
        for feature in self._features:
            if feature not in features:
                feature.switched_off()
        self._features = tuple(sorted(features, key=lambda feature: feature.order))
        self._buffers = tuple(buffer for feature in self._features for buffer in feature.rings)
        self.looks_at_completed = any(feature.looks_at_registers for feature in features)
        self._told_of_jumps = tuple(feature for feature in self._features if feature.looks_at_jumps)
        wants_blocks = any(type(feature).block_defined is not Feature.block_defined for feature in features)
        if wants_blocks and self._definitions is None:
            slots = buffer_address(self._core.slots)
            self._definitions = Definitions(self._handle, self._core.state_address, slots, self._defined)
        elif not wants_blocks and self._definitions is not None:
            self._definitions.end()
            self._definitions = None
        self._core.slots[Slot.FIRST] = self._core.slots[Slot.SERIAL]
        self._compose()

    def flush(self) -> None:
        """Hand over what buffers hold."""
        self.tell_blocks()
        for feature in self._features:
            feature.flush()

    def tell_blocks(self) -> None:
        """Tell features of the blocks that were translated."""
        if self._definitions is not None:
            self._definitions.empty()

    def left_store(self) -> None:
        """Python completes a store: nothing has to be done, blocks see what they have carried out."""

    def completed(self, pc: int, instruction: int, registers: memoryview) -> None:
        """Python has completed an instruction that blocks have not."""
        for register in registers_written(instruction):
            write = Write(pc, register, registers[register], self._core.slots[Slot.COUNT] - 1)
            for feature in self._features:
                if feature.looks_at_registers:
                    feature.written(write)

    def jumped(self, jump: Jump) -> None:
        """Python has entered a trap, or carried out `sret` or `mret`."""
        for feature in self._told_of_jumps:
            feature.jumped(jump)

    def _defined(self, block: Block) -> None:
        for feature in self._features:
            feature.block_defined(block)

    def empty_full(self) -> None:
        """Hand over what full buffers hold."""
        try:
            self.tell_blocks()
            for buffer in self._buffers:
                buffer.empty_if_full()
        except BaseException as error:  # noqa: BLE001  # kept for `run` to raise: ctypes would swallow it
            self._fail(error)

    def _compose(self) -> None:
        if not self._features:
            plan, *keep = _clock_alone(self._installed.layout, self._installed.entries[Entry.LATE])
            self._core.slots[Slot.PLAN] = ctypes.addressof(plan)
            self._keep = (plan, *keep)
            return
        wanted = [feature.operations(self._core) for feature in self._features]

        def all_of(part: Part) -> tuple[Operation, ...]:
            return tuple(operation for parts in wanted for operation in parts.get(part, ()))

        lists = {part: all_of(part) for part in _OF_INSTRUCTIONS}
        looks_at_instructions = any(lists.values())
        lists[Part.HEAD] = (*COUNT, *all_of(Part.CONDITION), *UNLESS_LATE, *BEGIN, *all_of(Part.HEAD))
        lists[Part.TAIL] = not_begun(self._installed.entries[Entry.LATE])
        plan, *keep = _planned(lists, self._installed.layout)
        if looks_at_instructions:
            plan[Part.CLASSES] = ctypes.addressof(_CLASSES)
        self._core.slots[Slot.PLAN] = ctypes.addressof(plan)
        self._keep = (plan, *keep)


_Words = ctypes.Array[ctypes.c_uint64]
_CLASSES = ctypes.create_string_buffer(CLASSES, len(CLASSES))


@cache
def _clock_alone(layout: Layout, late: int) -> list[_Words]:
    """What the blocks of a core without features are given: the same memory for all of a process."""
    return _planned({Part.HEAD: (*COUNT, *UNLESS_LATE, *BEGIN), Part.TAIL: not_begun(late)}, layout)


def _planned(lists: dict[Part, tuple[Operation, ...]], layout: Layout) -> list[_Words]:
    """The plan, and then the lists that it leads to, as the player reads them."""
    plan = (ctypes.c_uint64 * len(Part))()
    made: list[_Words] = [plan]
    for part, operations in lists.items():
        if operations:
            words = encode(operations, layout)
            memory = (ctypes.c_uint64 * len(words))(*words)
            made.append(memory)
            plan[part] = ctypes.addressof(memory)
    return made
