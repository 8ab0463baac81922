"""Conditional branches: where they lead, and which ways runs have gone at them."""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import compress, pairwise

from emu.address import VirtAddr
from emu.engine.translated.blocks import CUT
from emu.engine.translated.definitions import Block
from emu.engine.translated.opcodes import MRET, SRET
from emu.firmware.elf import MAGIC, ElfFile
from emu.firmware.names import Names
from emu.isa.jumps import compressed_jump_offset, jump_offset
from emu.isa.operands import instruction_length

_RETURNS = SRET, MRET
_MOST_OPEN = 256
_EXECUTABLE = 1
_PLAIN, _LEFT, _RETURN = range(3)
_WORD = (1 << 32) - 1

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
        offset = jump_offset(word) if word & 0x7F == 0x63 else None
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

    def __init__(self, blocks: Mapping[int, Block]) -> None:
        self._blocks = blocks
        self._ends: dict[int, tuple[int, tuple[int, int] | None, int]] = {}
        """By block: where its last instruction is, where that may lead as a branch, what it is."""
        self._kinds: dict[int, int] = {}
        self._open: list[int] = []
        self._returned: Ways = Counter()

    def note(self, even: "array[int]", odd: "array[int]", found: Mapping[int, int]) -> None:
        """The next pairs of numbers: those from the first one on, those from the second one on, and how often each."""
        kinds = self._kinds
        for pair in found:
            if pair not in kinds:
                kinds[pair] = self._kind(pair & _WORD, pair >> 32)
        special = {pair for pair in found if kinds[pair]}
        if special:
            places = [
                (2 * place + begin, pair)
                for begin, pairs in enumerate((even, odd))
                for place, pair in compress(enumerate(pairs), map(special.__contains__, pairs))
            ]
            for _, pair in sorted(places):
                self._follow(pair & _WORD, pair >> 32, kinds[pair])

    def ways(self, pairs: Mapping[int, int]) -> Ways:
        """Which ways were gone, of all pairs."""
        found = Counter(self._returned)
        for pair, times in pairs.items():
            ways, behind = self._ways_from(pair & _WORD), self._blocks.get(pair >> 32)
            if ways is not None and behind is not None and behind.pc in ways:
                found[self._end(pair & _WORD)[0], behind.pc == ways[0]] += times
        return found

    def _follow(self, before: int, behind: int, kind: int) -> None:
        if kind == _LEFT:
            self._open.append(before)
            del self._open[:-_MOST_OPEN]
            return
        block = self._blocks.get(behind)
        for place in reversed(range(len(self._open))):
            ways = self._ways_from(self._open[place])
            if block is not None and ways is not None and block.pc in ways:
                self._returned[self._end(self._open.pop(place))[0], block.pc == ways[0]] += 1
                return

    def _kind(self, before: int, behind: int) -> int:
        if behind & CUT:
            return _PLAIN
        if before & CUT or self._end(before)[2] in _RETURNS:
            return _RETURN
        ways, block = self._ways_from(before), self._blocks.get(behind)
        return _LEFT if ways is not None and block is not None and block.pc not in ways else _PLAIN

    def _ways_from(self, number: int) -> tuple[int, int] | None:
        return self._end(number)[1]

    def _end(self, number: int) -> tuple[int, tuple[int, int] | None, int]:
        known = self._ends.get(number)
        if known is None:
            block = self._blocks.get(number)
            places = block.addresses() if block else []
            if block is None or not places:
                return 0, None, 0
            last = places[-1]
            word = int.from_bytes(block.code[last - block.pc :][:4], "little")
            known = self._ends[number] = last, branch_ways(word, last), word
        return known
