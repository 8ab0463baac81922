"""Conditional branches: where they lead, and which ways runs have gone at them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise

from emu.address import VirtAddr
from emu.engine.translated.definitions import Block
from emu.engine.translated.features.blocks import CUT
from emu.firmware.elf import MAGIC, ElfFile
from emu.firmware.names import Names
from emu.isa.encodings import BRANCH, OPCODE, TRAP_RETURNS
from emu.isa.jumps import compressed_jump_offset, jump_offset
from emu.isa.operands import instruction_length

_RETURNS = tuple(word.to_bytes(4, "little") for word in TRAP_RETURNS)
_MOST_OPEN = 256
_EXECUTABLE = 1
_WORD = (1 << 32) - 1
_LONG = bytes(each for each in range(256) if instruction_length(each) == 4)
_LAST = re.compile(b"(?:([%b]...|[^%b].))+" % (re.escape(_LONG), re.escape(_LONG)), re.DOTALL)
"""The instructions of a block; its group is the last of them."""

_MAYBE_SHORT = frozenset(bytes((low,)) for low in range(1, 256, 4))
_MAYBE_LONG = frozenset((bytes((BRANCH,)), bytes((BRANCH | 0x80,))))
"""First bytes of branches: of compressed ones, and of others."""

_NO_BRANCH, _RETURN = 1 << 64, 2 << 64
"""What stands for where the last instruction of a block leads if it is taken, where that is no branch."""

Ways = Counter[tuple[int, bool]]
"""How often each branch went which way: its address, and whether it was taken."""
WaysTo = Counter[tuple[int, bool, int]]
"""The same with where it led, which is more than one place where code was changed."""


def branch_ways(word: int, pc: int) -> tuple[int, int] | None:
    """Where a conditional branch goes on if it is taken, and if not; None for any other instruction.

    One that goes on at the next instruction either way is none.

    >>> [hex(pc) for pc in branch_ways(0xFE0518E3, 0x80200010)]  # bnez a0, .-16
    ['0x80200000', '0x80200014']
    """
    length = instruction_length(word & 0xFFFF)
    if length == 4:
        offset = jump_offset(word) if word & OPCODE == BRANCH else None
    else:
        offset = compressed_jump_offset(word & 0xFFFF) if word >> 14 & 3 == 3 else None
    return None if offset is None or offset == length else (pc + offset, pc + length)


def branches_of(names: Names) -> Iterator[int]:
    """Where the branches are in the code that files with names have: in functions, and where lines are told."""
    code = [
        (header.virtual, data[header.offset : header.offset + header.file_size])
        for name, data in names.files
        if data.startswith(MAGIC)
        for header in ElfFile(data, name).loadable
        if header.flags & _EXECUTABLE or not header.flags
    ]
    spans = {(int(start), int(end)) for start, end, _ in names.lines.rows() if end > start and names.symbols.at(start)}
    functions = sorted((int(symbol.address), symbol.size) for symbol in names.symbols.functions())
    for (start, size), (following, _) in pairwise([*functions, (1 << 64, 0)]):
        if not names.lines.at(VirtAddr(start)):
            spans.add((start, start + size if size else following))
    found = set[int]()
    for start, end in spans:
        for first, octets in code:
            if first <= start < first + len(octets):
                found.update(_branches_in(octets, first, start, min(end, first + len(octets))))
                break
    yield from sorted(found)


def _branches_in(octets: bytes, first: int, start: int, end: int) -> Iterator[int]:
    place = start - first
    while place < end - first:
        word = int.from_bytes(octets[place : place + 4], "little")
        if branch_ways(word, 0) is not None:
            yield first + place
        place += instruction_length(word & 0xFFFF)


class Codes:
    """What blocks are, by number. Numbers and bytes only, which Python looks for no garbage in: there are many."""

    def __init__(self) -> None:
        self.pcs: dict[int, int] = {}
        self.codes: dict[int, bytes] = {}
        self._lengths: dict[int, int] = {}

    def add(self, block: Block) -> None:
        """A block; its privilege is not kept."""
        number = block.number
        self.pcs[number], self.codes[number], self._lengths[number] = block.pc, block.code, block.length

    def block(self, number: int) -> Block | None:
        """The block, with a privilege of 0; None for one that is not known."""
        if number not in self.pcs:
            return None
        return Block(number, self.pcs[number], self._lengths[number], 0, self.codes[number])


class Branches:
    """Counts the ways that branches go, by the block that comes next in a stream of their numbers.

    An interrupt, or a fault of the place that a branch leads to, lies in between: which way it was is told by where the
    handler returns to.
    """

    def __init__(self, codes: Codes) -> None:
        self._pcs, self._codes = codes.pcs, codes.codes
        self._taken: dict[int, int] = {}
        """By block: where its last instruction leads as a branch that is taken."""
        self._open: list[int] = []
        self._returned: WaysTo = Counter()

    def look(self, pair: int) -> bool:
        """The next pair of numbers, unless it was answered before that it need not be looked at."""
        before, behind = pair & _WORD, pair >> 32
        pc = self._pcs.get(behind)
        if pc is None:  # a mark, mostly
            return False
        if before & CUT:
            self._returned_to(pc)
            return True
        code = self._codes.get(before, b"")
        goes_on = pc == self._pcs.get(before, 0) + len(code)
        if goes_on and code[-4:] not in _RETURNS:
            return False
        taken = self._taken_from(before)
        if taken == _RETURN:
            self._returned_to(pc)
            return True
        if taken in (pc, _NO_BRANCH):
            return False
        self._open.append(before)
        del self._open[:-_MOST_OPEN]
        return True

    def ways(self, pairs: Mapping[int, int]) -> WaysTo:
        """Which ways were gone, of all pairs."""
        found = Counter(self._returned)
        for pair, times in pairs.items():
            pc = self._pcs.get(pair >> 32)
            way = None if pc is None else self._way(pair & _WORD, pc)
            if way is not None:
                found[way] += times
        return found

    def _returned_to(self, pc: int) -> None:
        """What is there comes behind a return from a trap, or behind a block that was left in its middle."""
        for place in reversed(range(len(self._open))):
            way = self._way(self._open[place], pc)
            if way is not None:
                del self._open[place]
                self._returned[way] += 1
                return

    def _way(self, number: int, pc: int) -> tuple[int, bool, int] | None:
        """The branch that a block ends with, and whether it is taken if it goes on there; None if it does not."""
        taken = self._taken_from(number)
        if taken in (_NO_BRANCH, _RETURN):
            return None
        begin, code = self._pcs[number], self._codes[number]
        if pc not in (taken, begin + len(code)):
            return None
        return begin + last_of(code), pc == taken, pc

    def _taken_from(self, number: int) -> int:
        taken = self._taken.get(number)
        if taken is None:
            taken = self._taken[number] = _taken(self._pcs.get(number, 0), self._codes.get(number, b""))
        return taken


def last_of(code: bytes) -> int:
    """Where the last instruction of a block is, from its beginning on."""
    found = _LAST.match(code)
    return 0 if found is None else found.start(1)


def _taken(pc: int, code: bytes) -> int:
    may_be_short = code[-1:] >= b"\xc0" and code[-2:-1] in _MAYBE_SHORT
    if may_be_short or code[-4:-3] in _MAYBE_LONG or code[-4:] in _RETURNS:
        first = last_of(code)
        word = code[first:]
        if word in _RETURNS:
            return _RETURN
        ways = branch_ways(int.from_bytes(word, "little"), pc + first)
        if ways is not None:
            return ways[0]
    return _NO_BRANCH
