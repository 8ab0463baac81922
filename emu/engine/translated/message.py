"""A message of translated code's to Python, which reads it before the next block begins."""

import ctypes
from collections.abc import Callable

from emu.engine.translated.operations import LATE, Operand, Operation, T, op

_FLAG = 0


class Message:
    """One at a time: words that translated code leaves, with a flag that says whether they are to be read."""

    def __init__(self, length: int, told: Callable[[], None]) -> None:
        """`told` looks at `words` from 1 to `length`; it must leave the machine alone."""
        memory = (ctypes.c_uint64 * (1 + length))()
        self.words = memoryview(memory).cast("B").cast("Q")
        self.address = ctypes.addressof(memory)
        """Where the host has the words: the flag, and those that are told."""
        self._told = told

    def empty(self) -> None:
        """Have the message read, if there is one."""
        if self.words[_FLAG]:
            self.words[_FLAG] = 0
            self._told()

    empty_if_full = empty

    @property
    def is_empty(self) -> bool:
        """Whether there is none."""
        return not self.words[_FLAG]

    @property
    def condition(self) -> tuple[Operation, ...]:
        """For the head of a block: it does not begin while there is a message."""
        return (op("movi", T[0], self.address), op("ld", T[1], T[0], _FLAG), op("or", LATE, LATE, T[1]))

    def leave(self, flag: Operand, *values: Operand) -> tuple[Operation, ...]:
        """Leave a message if the flag's highest bit is 1, else its other bits are 0, too, and none is there.

        Neither may be the last temporary before LATE.
        """
        return (
            op("movi", T[-2], self.address),
            *(op("st", value, T[-2], 8 * number) for number, value in enumerate((flag, *values))),
        )
