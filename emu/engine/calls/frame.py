"""The words by which the host gives a guest function its arguments, and gets its results."""

import ctypes
from collections.abc import Iterable, Sequence

from emu.buffers import words_type
from emu.engine.guest import Note
from emu.hints import Any

ARGUMENTS = 8
"""How many arguments of each kind, integers and floats, are passed in registers."""
(
    START, ENGINE, STATE, SLOTS, FUNCTION, GIVEN, FLOATS, ERROR, DONE, RESULTS,
) = range(10)  # fmt: skip
"""Words of a frame: what the native code is told (at last how many arguments of each kind), what it tells, and from
RESULTS on a0, a1, fa0 and fa1 as they were at the return."""
INTEGERS = RESULTS + 4
"""Where the words for a0 and following begin; those for fa0 and following come right behind them."""
IN_FLOATS = INTEGERS + ARGUMENTS
SAVED = IN_FLOATS + ARGUMENTS
"""Where the registers are kept while the function executes."""
RETURNED, NOT_BEGUN = Note.RETURNED, 0
"""What DONE is when a call has returned, and before one; all else are notes of why it was left."""
_ALL = (1 << 64) - 1


class Frame:
    """One core's: whoever calls fills in the arguments, and reads the results before the next call."""

    def __init__(self, saved: int) -> None:
        """`saved` is how many registers are kept."""
        memory = words_type(SAVED + saved)()
        self.address = ctypes.addressof(memory)
        """In the host's memory."""
        self.octets = memoryview(memory).cast("B")
        self.words = self.octets.cast("Q")
        self.integers = [self.octets[8 * INTEGERS : 8 * (INTEGERS + count)] for count in range(ARGUMENTS + 1)]
        """The words of so many integer arguments."""

    def view(self, letter: str) -> Sequence[Any]:
        """The frame as numbers of another kind, by the letter that `memoryview.cast` has for it."""
        view: Any = self.octets
        numbers: Sequence[Any] = view.cast(letter)
        return numbers

    def put(self, first: int, values: Iterable[int]) -> None:
        """Write arguments from INTEGERS or IN_FLOATS on, of which the low 64 bits count."""
        words = self.words
        for value in values:
            words[first] = value & _ALL
            first += 1

    def given(self, integers: int, floats: int) -> bytes:
        """The words of so many arguments: eight of integers, if there are floats behind them."""
        if floats:
            return self.octets[8 * INTEGERS : 8 * (IN_FLOATS + floats)].tobytes()
        return self.integers[integers].tobytes()
