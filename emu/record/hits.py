"""How often each instruction was executed, and which ways branches went: counted from the blocks of a run, exactly."""

from collections import Counter
from collections.abc import Iterable

from emu.engine.translated.definitions import Block
from emu.engine.translated.features import Feature
from emu.engine.translated.features.blocks import CUT
from emu.engine.translated.features.pairs import Pairs
from emu.isa.privilege import Privilege
from emu.machine import Machine
from emu.record.branches import Branches, Codes, Ways, WaysTo, last_of
from emu.record.recorder import BlockFeature, Following
from emu.record.recording import Recording, left_by

_WORD = (1 << 32) - 1


class Hits:
    """Counts blocks as they are executed, or as a recording has them; a `BlockSink`.

    >>> from array import array
    >>> hits = Hits()
    >>> hits.define(Block(7, 0x80200000, 2, 1, bytes.fromhex("01000100")))  # two times c.nop
    >>> hits.words(memoryview(array("I", [7, 7, CUT | 1])))  # in the second the last did not retire
    >>> hits.by_address()
    Counter({2149580800: 2, 2149580802: 1})
    """

    def __init__(self) -> None:
        self._codes = Codes()
        self._branches = Branches(self._codes)
        self._pairs = Pairs(self._branches.look)
        self._earlier: Counter[int] = Counter()
        self._earlier_ways: WaysTo = Counter()
        self._earlier_ends: Counter[tuple[int, int]] = Counter()
        self._earlier_blocks: set[tuple[int, int]] = set()

    def define(self, block: Block, /) -> None:
        """See `BlockSink`."""
        self._codes.add(block)

    def span(self, _instret: int, _supervisor: Privilege, /) -> None:
        """See `BlockSink`."""
        self._pairs.restart()

    def mode(self, _instret: int, _pc: int, _supervisor: Privilege, /) -> None:
        """See `BlockSink`."""

    def words(self, words: memoryview, /) -> None:
        """See `BlockSink`."""
        self._pairs.add(words)

    def _counted(self) -> tuple[Counter[int], Counter[tuple[int, int]]]:
        """How often each block began, and how often so many of its instructions did not retire."""
        counts: Counter[int] = Counter()
        left: Counter[tuple[int, int]] = Counter()
        for pair, times in self._pairs.counts().items():
            word = pair >> 32
            if word & CUT:
                left[pair & _WORD, left_by(word)] += times
            else:
                counts[word] += times
        return counts, left

    def branches(self) -> Ways:
        """How often each branch was taken, and how often not."""
        found: Ways = Counter()
        for (pc, taken, _), times in self.ways().items():
            found[pc, taken] += times
        return found

    def ways(self) -> WaysTo:
        """The same with where it led."""
        found = self._branches.ways(self._pairs.counts())
        found.update(self._earlier_ways)
        return found

    def ends(self) -> Counter[tuple[int, int]]:
        """How often the last instruction of blocks has retired: its address, and its bits."""
        found = Counter(self._earlier_ends)
        counts, all_left = self._counted()
        for (number, left), times in all_left.items():
            if left > 0:
                counts[number] -= times
        for number, times in counts.items():
            block = self._codes.block(number)
            if block is not None and times:
                place = last_of(block.code)
                found[block.pc + place, int.from_bytes(block.code[place:], "little")] += times
        return found

    def by_address(self) -> Counter[int]:
        """How often the instruction at each virtual address has retired."""
        found = Counter(self._earlier)
        skipped: dict[int, list[tuple[int, int]]] = {}
        counts, all_left = self._counted()
        for (number, left), times in all_left.items():
            skipped.setdefault(number, []).append((left, times))
        for number, times in counts.items():
            block = self._codes.block(number)
            if block is None:
                continue
            addresses = block.addresses()
            for pc in addresses:
                found[pc] += times
            for left, cut in skipped.get(number, ()):
                missing = block.length - left  # the first that has not retired
                for pc in addresses[max(0, missing) :]:
                    found[pc] -= cut
        return found

    def blocks(self) -> set[tuple[int, int]]:
        """Address and bytes of each block of code that was executed; of one that was always left, what was executed."""
        found = set(self._earlier_blocks)
        lefts: dict[int, dict[int, int]] = {}
        counts, all_left = self._counted()
        for (number, left), times in all_left.items():
            lefts.setdefault(number, {})[left] = times
        for number, times in counts.items():
            block = self._codes.block(number)
            if block is None:
                continue
            cuts = lefts.get(number, {})
            missing = min(cuts, default=0) if sum(cuts.values()) >= times else 0
            ends = [*block.addresses()[1:], block.pc + len(block.code)]
            retired = min(block.length - missing, len(ends))
            if retired > 0:
                found.add((block.pc, ends[retired - 1] - block.pc))
        return found

    def add(self, other: "Hits") -> None:
        """Count what another has counted, too: a run of the same image."""
        self._earlier.update(other.by_address())
        self._earlier_ways.update(other.ways())
        self._earlier_ends.update(other.ends())
        self._earlier_blocks |= other.blocks()

    def read(self, recording: Recording) -> None:
        """Count what a recording has. Its blocks have numbers of their own."""
        one = Hits()
        for block in recording.blocks.values():
            one.define(block)
        for begin, words in recording.words():
            if begin is not None:
                one.span(begin, Privilege.S)
            one.words(memoryview(words))
        self.add(one)


class HitCounter(Following):
    """Counts a machine's instructions by address, from now on until `close`; also a `with` block.

    >>> from ekernel import Image, Machine, MachineConfig
    >>> machine = Machine(MachineConfig(ram_size=16 << 20))
    >>> machine.load(Image.from_bytes(bytes.fromhex("9308800073000000"), "off.bin"))  # li a7, 8; ecall
    >>> with HitCounter(machine) as counter:
    ...     _ = machine.run()
    >>> counter.hits.by_address()
    Counter({2149580800: 1, 2149580804: 1})
    """

    def __init__(self, machine: Machine, others: Iterable[Feature] = ()) -> None:
        """`others` are on at the same time."""
        self.hits = Hits()
        blocks = BlockFeature(machine.core, self.hits)
        super().__init__(machine, [blocks, *others], blocks)
        self.start()


def merged(parts: Iterable[Hits]) -> Hits:
    """What several runs of one image have executed together."""
    whole = Hits()
    for part in parts:
        whole.add(part)
    return whole
