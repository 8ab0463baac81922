"""Conditional branches: where they lead, and which ways runs have gone at them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise

from emu.address import VirtAddr
from emu.engine.translated.blocks import CUT
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

Code = tuple[int, int, bytes]
"""Of a block, its address, instructions and bytes. A plain tuple is nothing that Python looks for garbage in."""
_NO_CODE: Code = (0, 0, b"")

_End = tuple[int, tuple[int, int] | None, bool]
"""Of a block, where its last instruction is if that is a branch, and where it leads; whether it is a trap's return."""
_NO_BRANCH: _End = (0, None, False)

Ways = Counter[tuple[int, bool]]
"""How often each branch went which way: its address, and whether it was taken."""


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


class Branches:
    """Counts the ways that branches go, by the block that comes next in a stream of their numbers.

    An interrupt, or a fault of the place that a branch leads to, lies in between: which way it was is told by where the
    handler returns to.
    """

    def __init__(self, blocks: Mapping[int, Code]) -> None:
        self._blocks = blocks
        self._ends: dict[int, _End] = {}
        self._open: list[int] = []
        self._returned: Ways = Counter()

    def look(self, pair: int) -> bool:
        """The next pair of numbers, unless it was answered before that it need not be looked at."""
        before, behind = pair & _WORD, pair >> 32
        if behind & CUT:
            return False
        block = self._blocks.get(behind)
        if block is None:
            return False
        pc = block[0]
        if before & CUT:
            self._returned_to(pc)
            return True
        end = self._ends.get(before)
        if end is None:
            begin, _, code = self._blocks.get(before, _NO_CODE)
            if pc == begin + len(code) and code[-4:] not in _RETURNS:
                return False
            end = self._end(before)
        _, ways, is_return = end
        if is_return:
            self._returned_to(pc)
            return True
        if ways is None or pc in ways:
            return False
        self._open.append(before)
        del self._open[:-_MOST_OPEN]
        return True

    def ways(self, pairs: Mapping[int, int]) -> Ways:
        """Which ways were gone, of all pairs."""
        found = Counter(self._returned)
        for pair, times in pairs.items():
            branch, ways, _ = self._end(pair & _WORD)
            if ways is not None:
                behind = self._blocks.get(pair >> 32)
                if behind is not None and behind[0] in ways:
                    found[branch, behind[0] == ways[0]] += times
        return found

    def _returned_to(self, pc: int) -> None:
        """What is there comes behind a return from a trap, or behind a block that was left in its middle."""
        for place in reversed(range(len(self._open))):
            branch, ways, _ = self._end(self._open[place])
            if ways is not None and pc in ways:
                del self._open[place]
                self._returned[branch, pc == ways[0]] += 1
                return

    def _end(self, number: int) -> _End:
        known = self._ends.get(number)
        if known is None:
            known = self._ends[number] = _end_of(*self._blocks.get(number, _NO_CODE))
        return known


def _end_of(pc: int, _length: int, code: bytes) -> _End:
    may_be_short = code[-1:] >= b"\xc0" and code[-2:-1] in _MAYBE_SHORT
    if may_be_short or code[-4:-3] in _MAYBE_LONG or code[-4:] in _RETURNS:
        found = _LAST.match(code)
        if found is not None:
            first = found.start(1)
            word = code[first:]
            return pc + first, branch_ways(int.from_bytes(word, "little"), pc + first), word in _RETURNS
    return _NO_BRANCH
