"""Buffers that translated code fills and Python empties in bulk."""

import ctypes
import mmap
from collections.abc import Callable

from emu.buffers import buffer_address
from emu.engine.translated.operations import LATE, Operand, Operation, T, constant, op
from emu.hints import Protocol

SLACK = 1 << 16
"""Bytes behind a buffer's limit. The limit is looked at where a block begins; no block writes more than this."""

Drain = Callable[[memoryview], None]
"""Gets what a buffer holds; the memory is used again when it returns. It must leave the machine alone."""


class Buffer(Protocol):
    """What a feature keeps for Python."""

    def empty(self) -> None:
        """Hand over what it holds, if anything."""

    def empty_if_full(self) -> None:
        """The same, if no block can begin before."""


class Ring:
    """One buffer. It is empty again when `drain` has returned."""

    def __init__(self, size: int, drain: Drain, *, more: int = 0) -> None:
        """Behind the two words of its own are so many `more` for who fills it."""
        self._memory = memory = mmap.mmap(-1, size + SLACK, flags=mmap.MAP_PRIVATE)
        self._view = memoryview(memory)
        self.begin = buffer_address(memory)
        self.words = (ctypes.c_uint64 * (2 + more))(self.begin, self.begin + size)
        self.address = ctypes.addressof(self.words)
        """Where they lie: where the next record goes, and the limit."""
        self._drain = drain

    def empty(self) -> None:
        """Hand over what the buffer holds, if anything."""
        length = self.words[0] - self.begin
        self.words[0] = self.begin
        if length:
            self._drain(self._view[:length])

    def empty_if_full(self) -> None:
        """The same for a buffer that has reached its limit."""
        if self.words[0] >= self.words[1]:
            self.empty()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        return int(self.words[0]) == self.begin

    def append(self, record: bytes) -> None:
        """Add a record from Python."""
        ctypes.memmove(self.words[0], record, len(record))
        self.words[0] += len(record)

    @property
    def condition(self) -> tuple[Operation, ...]:
        """For the head of a block: it does not begin if the buffer is full."""
        words, place, limit = T[0], T[1], T[2]
        return (
            op("movi", words, self.address),
            op("ld", place, words, 0),
            op("ld", limit, words, 8),
            op("sub", limit, limit, place),
            op("or", LATE, LATE, limit),
        )

    def record(self, *values: Operand) -> tuple[Operation, ...]:
        """Append words. `values` must not be the last two temporaries before LATE."""
        words, place = T[-2], T[-3]
        return (
            op("movi", words, self.address),
            op("ld", place, words, 0),
            *(op("st", value, place, 8 * number) for number, value in enumerate(values)),
            *advance(place, 8 * len(values)),
            op("st", place, words, 0),
        )

    def record_if(self, wanted: Operand, *values: Operand) -> tuple[Operation, ...]:
        """Append words if `wanted` is 1; 0 leaves it. `values` must not be the last three temporaries before LATE."""
        words, place, length = T[-2], T[-3], T[-4]
        return (
            op("movi", words, self.address),
            op("ld", place, words, 0),
            *(op("st", value, place, 8 * number) for number, value in enumerate(values)),
            op("movi", length, 8 * len(values)),
            op("mul", length, length, wanted),
            op("add", place, place, length),
            op("st", place, words, 0),
        )


def advance(place: Operand, length: int) -> tuple[Operation, ...]:
    """Add a constant to a temporary; it uses the last temporary before those of `Ring.record`."""
    return (op("movi", T[-4], constant(length)), op("add", place, place, T[-4]))
