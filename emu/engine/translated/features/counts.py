"""How often each block was executed, which blocks were, and from which to which: by tables in translated code."""

import ctypes
import mmap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from emu.buffers import buffer_address
from emu.engine.slots import Slot
from emu.engine.translated.definitions import Block
from emu.engine.translated.features import Core, Feature
from emu.engine.translated.features.blocks import NUMBER
from emu.engine.translated.features.pairs import Pairs
from emu.engine.translated.operations import Operation, T, known, op
from emu.engine.translated.plan import Known, Part
from emu.engine.translated.rings import Ring, advance

Place = tuple[int, int, bytes]
"""What a block is, whatever its number: pc, privilege, code. (0, 0, b"") stands for what came before the first."""
NOWHERE: Place = (0, 0, b"")


def place_of(block: Block) -> Place:
    """The same for all translations of a block."""
    return block.pc, block.privilege, block.code


class _Numbered(Feature):
    """Base of features with a table by block number. Numbers begin anew whenever any feature is switched."""

    def __init__(self) -> None:
        self._blocks: dict[int, Block] = {}
        self._first = 0
        self._core: Core | None = None

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        self._harvest()
        self._blocks.clear()
        self._core, self._first = core, core.slots[Slot.FIRST]
        return {}

    def block_defined(self, block: Block, /) -> None:
        """See `Feature`."""
        self._blocks[block.number - self._first] = block

    def flush(self) -> None:
        """See `Feature`."""
        self._harvest()

    def _harvest(self) -> None:
        """Take what is in the table, and empty it."""
        raise NotImplementedError


def _table(core: Core, entry: int) -> tuple[mmap.mmap, int]:
    """Room for an entry of each block, and where it is; only what is written to takes memory."""
    memory = mmap.mmap(-1, (core.slots[Slot.MOST] + 1) * entry, flags=mmap.MAP_PRIVATE)
    return memory, buffer_address(memory)


class Coverage(_Numbered):
    """Which blocks were executed at all: a byte for each."""

    def __init__(self) -> None:
        super().__init__()
        self._memory: mmap.mmap | None = None
        self.covered: set[Place] = set()
        """Up to date after a flush; clear it to see what is covered from then on."""

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        super().operations(core)
        self._memory, address = _table(core, 1)
        where, one = T[0], T[1]
        return {
            Part.HEAD: (
                op("movi", where, known(Known.NUMBER, plus=address)),
                op("movi", one, 1),
                op("st8", one, where, 0),
            )
        }

    def block_began(self, number: int, _length: int, /) -> None:
        """See `Feature`."""
        assert self._memory is not None
        self._memory[number - self._first] = 1

    def _harvest(self) -> None:
        if self._memory is not None:
            for number, block in self._blocks.items():
                if self._memory[number]:
                    self.covered.add(place_of(block))
                    self._memory[number] = 0


class Count(NamedTuple):
    """How often a block has begun, and how many of its instructions did not retire in all of that."""

    executions: int
    not_retired: int


class Counts(_Numbered):
    """Counts executions of blocks. The sum of executions * length - not_retired is how many instructions retired."""

    def __init__(self) -> None:
        super().__init__()
        self._memory: mmap.mmap | None = None
        self._entries = memoryview(b"").cast("Q")
        self._words = (ctypes.c_uint64 * 2)()  # the count at the end of the block before, and where its entry is
        self._address = 0
        self._executions: Counter[Place] = Counter()
        self._not_retired: Counter[Place] = Counter()

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        super().operations(core)
        self._memory, self._address = _table(core, 16)
        self._entries = memoryview(self._memory).cast("Q")
        self._words[:] = [core.slots[Slot.COUNT], self._address]
        words, expected, begin, entry, other = T[0], T[1], T[2], T[3], T[4]
        return {
            Part.HEAD: (
                op("movi", words, ctypes.addressof(self._words)),
                op("ld", expected, words, 0),
                op("movi", other, known(Known.SLOTS)),
                op("ld", begin, other, 8 * Slot.COUNT),
                op("st", begin, words, 0),
                op("movi", other, known(Known.LENGTH)),
                op("sub", begin, begin, other),
                op("sub", expected, expected, begin),
                op("ld", entry, words, 8),
                op("ld", other, entry, 8),
                op("add", other, other, expected),
                op("st", other, entry, 8),
                op("movi", entry, known(Known.NUMBER, shift=4, plus=self._address)),
                op("st", entry, words, 8),
                op("ld", other, entry, 0),
                op("movi", begin, 1),
                op("add", other, other, begin),
                op("st", other, entry, 0),
            )
        }

    def block_began(self, number: int, length: int, /) -> None:
        """See `Feature`."""
        assert self._core is not None
        self._settle(self._core.slots[Slot.COUNT] - length)
        place = 2 * (number - self._first)
        self._entries[place] += 1
        self._words[:] = [self._core.slots[Slot.COUNT], self._address + 8 * place]

    def _settle(self, begin: int) -> None:
        before = (self._words[1] - self._address >> 3) + 1
        self._entries[before] = self._entries[before] + self._words[0] - begin & (1 << 64) - 1
        self._words[0] = begin

    def position_changed(self) -> None:
        """Say that the count of instructions has been set to another value, as by restoring a state."""
        if self._core is not None:
            self._words[0] = self._core.slots[Slot.COUNT]

    def _harvest(self) -> None:
        if self._core is None:
            return
        self._settle(self._core.slots[Slot.COUNT])
        entries = self._entries
        for number, block in self._blocks.items():
            executions, left = entries[2 * number], entries[2 * number + 1]
            if executions:
                place = place_of(block)
                self._executions[place] += executions
                self._not_retired[place] += left - (left >> 63 << 64)
                entries[2 * number] = entries[2 * number + 1] = 0

    def counts(self) -> dict[Place, Count]:
        """Up to date after a flush."""
        return {place: Count(number, self._not_retired[place]) for place, number in self._executions.items()}


class Edges(Feature):
    """Counts each way from one block to the next, also that into a trap handler."""

    works_alone: ClassVar[bool] = True  # as `Blocks`

    def __init__(self, *, size: int = 1 << 18) -> None:
        """`size` is that of the buffer in bytes: 4 for each block that begins."""
        self._pairs = Pairs()
        self._ring = Ring(size, self._pairs.add)
        self._places = {0: NOWHERE}
        self.edges: Counter[tuple[Place, Place]] = Counter()
        """How often each way was taken; up to date after a flush."""

    @property
    def rings(self) -> Sequence[Ring]:
        """See `Feature`."""
        return (self._ring,)

    def operations(self, _core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        last = self._pairs.last
        self._places = {0: NOWHERE, last: self._places[last]}
        words, place, number = T[0], T[1], T[2]
        return {
            Part.CONDITION: self._ring.condition,
            Part.HEAD: (
                op("movi", words, self._ring.address),
                op("ld", place, words, 0),
                op("movi", number, known(Known.SERIAL)),
                op("st32", number, place, 0),
                *advance(place, NUMBER.size),
                op("st", place, words, 0),
            ),
        }

    def switched_off(self) -> None:
        """See `Feature`."""
        self._pairs.restart()

    def block_defined(self, block: Block, /) -> None:
        """See `Feature`."""
        self._places[block.number] = place_of(block)

    def block_began(self, number: int, _length: int, /) -> None:
        """See `Feature`."""
        self._ring.append(NUMBER.pack(number))
        self._ring.empty_if_full()

    def flush(self) -> None:
        """See `Feature`."""
        super().flush()
        places, edges = self._places, self.edges
        for pair, times in self._pairs.counts().items():
            edges[places[pair & 0xFFFF_FFFF], places[pair >> 32]] += times
        self._pairs.clear()
