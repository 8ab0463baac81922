"""A record of all blocks in the order in which they were executed: with their code, every instruction of a run."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, NamedTuple

from emu.engine.slots import Slot
from emu.engine.translated.definitions import Block
from emu.engine.translated.features import Core, Feature
from emu.engine.translated.operations import Operation, T, choose, known, op
from emu.engine.translated.plan import Known, Part
from emu.engine.translated.rings import Drain, Ring, advance

NUMBER = struct.Struct("<I")
CUT = 1 << 31
"""Set in a word that is no number: the rest says how many instructions of the block before it did not retire."""
_MARK = CUT - 1
_EXPECTED = 2
"""The word of the ring that has the count of instructions at the end of the block before, if all of it retires."""


class Executed(NamedTuple):
    """A block that was executed."""

    number: int
    not_retired: int
    """How many of its instructions did not retire: it was left by an exception, or by an exit, which is counted too."""


class Blocks(Feature):
    """Hands over words of 32 bits: the number of each block that begins, and marks for blocks that were left early.

    What the blocks are is in `known`, by number; it grows with the code that is translated, and `forget` empties it.
    """

    works_alone: ClassVar[bool] = (
        True  # a block does not begin when the buffer is full: the core stops, as at a deadline
    )

    def __init__(self, drain: Drain, *, size: int = 1 << 20) -> None:
        """`size` is that of the buffer in bytes."""
        self.ring = Ring(size, drain, more=1)
        self._slots: memoryview | None = None
        self.known: dict[int, Block] = {}

    @property
    def rings(self) -> Sequence[Ring]:
        """See `Feature`."""
        return (self.ring,)

    def block_defined(self, block: Block, /) -> None:
        """See `Feature`."""
        self.known[block.number] = block

    def position_changed(self) -> None:
        """Say that the count of instructions has been set to another value, as by restoring a state."""
        if self._slots is not None:
            self.ring.words[_EXPECTED] = self._slots[Slot.COUNT]

    def flush(self) -> None:
        """See `Feature`; the last block is then complete."""
        if self._slots is not None and self.ring.words[_EXPECTED] != self._slots[Slot.COUNT]:
            self.ring.append(NUMBER.pack(self._left(self.ring.words[_EXPECTED] - self._slots[Slot.COUNT])))
            self.position_changed()
        super().flush()

    def switched_off(self) -> None:
        """See `Feature`."""
        self._slots = None  # what retires from now on is not its own

    @staticmethod
    def _left(instructions: int) -> int:
        return CUT | instructions & _MARK

    def operations(self, core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """See `Feature`."""
        if self._slots is None:
            self._slots = core.slots
            self.position_changed()
        words, place, begin, left, other = T[0], T[1], T[2], T[3], T[4]
        return {
            Part.CONDITION: self.ring.condition,
            Part.HEAD: (
                op("movi", other, known(Known.SLOTS)),
                op("ld", begin, other, 8 * Slot.COUNT),
                op("movi", words, self.ring.address),
                op("ld", left, words, 8 * _EXPECTED),
                op("st", begin, words, 8 * _EXPECTED),
                op("ld", place, words, 0),
                op("movi", other, known(Known.LENGTH)),
                op("sub", begin, begin, other),
                op("sub", left, left, begin),
                op("movi", other, CUT),
                op("or", begin, left, other),
                op("st32", begin, place, 0),  # the lower half only: a mark
                op("movi", other, NUMBER.size),
                op("add", begin, place, other),
                op("movi", other, 0),
                choose("ne", place, left, other, begin, place),
                op("movi", other, known(Known.SERIAL)),
                op("st32", other, place, 0),
                *advance(place, NUMBER.size),
                op("st", place, words, 0),
            ),
        }

    def block_began(self, number: int, length: int, /) -> None:
        """See `Feature`."""
        assert self._slots is not None
        begin = self._slots[Slot.COUNT] - length
        if self.ring.words[_EXPECTED] != begin:
            self.ring.append(NUMBER.pack(self._left(self.ring.words[_EXPECTED] - begin)))
        self.ring.append(NUMBER.pack(number))
        self.ring.words[_EXPECTED] = self._slots[Slot.COUNT]
        self.ring.empty_if_full()


def decode(words: bytes | memoryview) -> Iterator[Executed]:
    """What `Blocks` has handed over, from its begin to a flush."""
    number = 0
    for (word,) in NUMBER.iter_unpack(words):
        if word & CUT:
            yield Executed(number, (word & _MARK) - ((word & _MARK) >> 30 << 31))
            number = 0
        else:
            if number:
                yield Executed(number, 0)
            number = word
    if number:
        yield Executed(number, 0)
