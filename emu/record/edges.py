"""Edges: from which instruction to which other a run has gone, by branches, jumps, calls, returns and traps."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from emu.engine.translated.features.calls import RECORD, Kind, always_jumps, decoded
from emu.firmware.names import Names
from emu.record.hits import Hits
from emu.record.recording import Recording

_ALL = (1 << 64) - 1
_WORDS = RECORD.size // 8


class EdgeKind(StrEnum):
    """What leads along an edge."""

    TAKEN = "branch taken"
    PASSED = "branch not taken"
    JUMP = "jump"
    CALL = "call"
    JUMP_BY_REGISTER = "jump by register"
    CALL_BY_REGISTER = "call by register"
    RETURN = "return"
    TRAP = "trap"
    """An exception or an interrupt, in front of the instruction."""
    TRAP_RETURN = "trap return"


_DIRECT = {Kind.JUMP: EdgeKind.JUMP, Kind.CALL: EdgeKind.CALL}
_BY_REGISTER = {
    Kind.JUMP: EdgeKind.JUMP_BY_REGISTER,
    Kind.CALL: EdgeKind.CALL_BY_REGISTER,
    Kind.SWAP: EdgeKind.CALL_BY_REGISTER,
    Kind.RETURN: EdgeKind.RETURN,
    Kind.TRAP: EdgeKind.TRAP,
    Kind.TRAP_RETURN: EdgeKind.TRAP_RETURN,
}


class Edge(NamedTuple):
    """A way from an instruction to another, by their addresses."""

    kind: EdgeKind
    pc: int
    target: int


class Destinations:
    """Counts where instructions lead that say it by a register, and where traps do.

    `add` takes what `emu.engine.translated.features.calls.Calls` hands over.

    >>> destinations = Destinations()
    >>> destinations.add(RECORD.pack(0x80200000, 0x9282, 0x80200100, 0, 1, 0))  # jalr t0
    >>> destinations.edges()
    Counter({Edge(kind=<EdgeKind.CALL_BY_REGISTER: 'call by register'>, pc=2149580800, target=2149581056): 1})
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, int, int]] = Counter()

    def add(self, records: bytes | memoryview) -> None:
        """Count whole records."""
        words = memoryview(records).cast("B").cast("Q")
        self._counts.update(zip(*(words[place::_WORDS].tolist() for place in range(3)), strict=True))

    def read(self, recording: Recording) -> None:
        """Count what a recording has. Raises RecordingError for one without calls."""
        for records in recording.transfer_records():
            self.add(records)

    def edges(self) -> Counter[Edge]:
        """How often each was gone."""
        found: Counter[Edge] = Counter()
        for (pc, instruction, target), times in self._counts.items():
            kind, is_relative, _, _ = decoded(instruction)
            if not is_relative and kind is not Kind.OTHER_STACK:
                found[Edge(_BY_REGISTER[kind], pc, target)] += times
        return found


def edges(hits: Hits, destinations: Destinations) -> Counter[Edge]:
    """How often each edge of a run was gone: by what counts of blocks say, and where registers have led.

    An interrupt that comes between an instruction and where it leads is an edge of its own, and so is the way back.
    """
    found = destinations.edges()
    for (pc, taken, target), times in hits.ways().items():
        found[Edge(EdgeKind.TAKEN if taken else EdgeKind.PASSED, pc, target)] += times
    for (pc, instruction), times in hits.ends().items():
        if always_jumps(instruction):
            kind, is_relative, offset, _ = decoded(instruction)
            if is_relative:
                found[Edge(_DIRECT[kind], pc, pc + offset & _ALL)] += times
    return found


def linked(edges: Mapping[Edge, int], names: Names) -> Counter[Edge]:
    """The same with the addresses that code was linked for, where it ran before paging."""
    found: Counter[Edge] = Counter()
    for (kind, pc, target), times in edges.items():
        found[Edge(kind, names.linked(pc), names.linked(target))] += times
    return found
