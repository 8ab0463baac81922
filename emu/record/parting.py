"""Finds where the instructions of two recordings part: equal blocks are compared as bytes, the others one by one."""

from array import array
from typing import NamedTuple

from emu.engine.translated.definitions import Block
from emu.engine.translated.features.blocks import CUT
from emu.errors import RecordingError
from emu.record.recording import Lengths, Recording, instructions_of, left_by, unknown_block

_FEWEST, _MOST = 1 << 6, 1 << 16
"""Words that are compared at once: more and more, as long as they are the same."""
_Place = tuple[int, bytes]
"""Where an instruction stands, and its code."""


class Parting(NamedTuple):
    """The first moment at which two runs do not execute the same instruction."""

    instret: int
    """Instructions retired before it."""
    one: int | None
    """The pc of the first run; None where it ends."""
    other: int | None


def first_parting(one: Recording, other: Recording) -> Parting | None:
    """Where two recordings part; None for the same instructions. A block of one may be two of the other.

    Takes the memory of a chunk or two of each, whatever their size.
    """
    known = _Known()
    left, right = _Stream(one, known), _Stream(other, known)
    a = b = None
    while True:
        if a is None and b is None:
            _skip_common(left, right, known)
        a, b = a or left.next(), b or right.next()
        if a is None or b is None:
            break
        instret, ends = max(a.instret, b.instret), (a.end, b.end)
        if instret < min(ends):
            places = known.place(a, instret), known.place(b, instret)
            if places[0] != places[1]:
                return Parting(instret, places[0][0], places[1][0])
        if ends[0] <= ends[1]:
            a = None
        if ends[1] <= ends[0]:
            b = None
    rest = a or b
    if rest is None:
        return None
    ended = (right if a else left).instret
    instret = ended if rest.instret <= ended < rest.end else rest.instret
    pc, _ = known.place(rest, instret)
    return Parting(instret, pc, None) if a else Parting(instret, None, pc)


class _Run(NamedTuple):
    """A block that was executed, or its beginning."""

    instret: int
    end: int
    """Instructions retired before it, and behind it."""
    number: int
    """As both recordings have it in common."""


class _Known:
    """The blocks of two recordings, under common numbers."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int, bytes], int] = {}
        self._blocks: list[Block] = []
        self._places: dict[int, list[_Place]] = {}
        self.lengths = Lengths()

    def number(self, block: Block) -> int:
        number = self._numbers.setdefault((block.pc, block.length, block.code), len(self._blocks))
        if number == len(self._blocks):
            self._blocks.append(block)
            self.lengths[number] = block.length
        return number

    def place(self, run: _Run, instret: int) -> _Place:
        """The instruction of a run that retired when so many had."""
        places = self._places.get(run.number)
        if places is None:
            places = [(int(pc), code) for pc, code in instructions_of(self._blocks[run.number])]
            self._places[run.number] = places
        if instret - run.instret >= len(places):
            raise RecordingError(f"the recording is damaged: more retired in block {run.number} than it has")
        return places[instret - run.instret]


class _Numbers(dict[int, int]):
    """Common numbers by those of a recording; marks stand for themselves."""

    def __missing__(self, word: int) -> int:
        if word & CUT:
            return word
        raise unknown_block(word)


class _Stream:
    """The blocks of a recording in order, a part of a span in memory at a time."""

    def __init__(self, recording: Recording, known: _Known) -> None:
        self._numbers = _Numbers({number: known.number(block) for number, block in recording.blocks.items()})
        self._known = known
        self._pieces = recording.words()
        self._upcoming = next(self._pieces, None)
        self.instret = 0
        """Instructions retired before `words[place]`."""
        self.words, self.place = array("I"), 0

    def left(self) -> int:
        """How many words are there; two at least, if the span has them: a mark belongs to the block before it."""
        while self._upcoming is not None and len(self.words) - self.place < 2:
            begin, words = self._upcoming
            if begin is not None:
                if self.place < len(self.words):
                    break
                self.instret = begin
            self.words = self.words[self.place :] + array("I", map(self._numbers.__getitem__, words))
            self.place = 0
            self._upcoming = next(self._pieces, None)
        return len(self.words) - self.place

    def next(self) -> _Run | None:
        """The next block of which something retired; None at the end."""
        while self.left():
            word = self.words[self.place]
            self.place += 1
            if word & CUT:
                self.instret -= left_by(word)
                continue
            begin, retired = self.instret, self._known.lengths[word]
            if self.left() and self.words[self.place] & CUT:
                retired -= left_by(self.words[self.place])
                self.place += 1
            self.instret += retired
            if retired > 0:
                return _Run(begin, self.instret, word)
        return None

    def skip(self, words: int, instructions: int) -> None:
        """Go on behind so many of each."""
        self.place += words
        self.instret += instructions


def _skip_common(left: _Stream, right: _Stream, known: _Known) -> None:
    """Go on in both to the first block that may not be the same, or to the last one that is in memory."""
    most = _FEWEST
    while left.left() and right.left() and left.instret == right.instret:
        words = left.words[left.place : left.place + most]
        same = _common(words, right.words[right.place : right.place + most])
        common = max(same - 1, 0)  # behind the last one may be a mark, in one or both: that block is looked at with it
        instructions = sum(map(known.lengths.__getitem__, words[:common]))
        left.skip(common, instructions)
        right.skip(common, instructions)
        if not common or same < most:
            return
        most = min(2 * most, _MOST)


def _common(one: "array[int]", other: "array[int]") -> int:
    """How many words from the beginning are the same."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
