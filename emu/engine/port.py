"""A console's port in native code: a register that takes octets, and one that says whether it takes more.

The functions that stand before Python's callbacks for memory look here (`emu.engine.translated.player.callbacks`), and
call nobody as long as nothing comes of an access but an octet that is sent, or a look. What was sent waits until
somebody could see that it does: before Python listens, looks or answers.
"""

import ctypes
from collections.abc import Callable

from emu.buffers import words_type
from emu.engine.slots import Slot

ROOM = 4096
"""How many octets may wait."""
PUT_AT, LOOK_AT, FREE, LOOKS, MOST_LOOKS, STATUS, ANSWER, COUNT, SENT = range(9)
"""Words: the registers' physical addresses; how many octets may wait, 0 while Python is asked for each; how many looks
Python need not be asked for, and how many after an octet was sent; what is seen; where the host has the two words of
the answer to a load (see `emu.engine.cores`); and how many octets wait in those from SENT on."""


def _no_output() -> None:
    """Nothing waits."""


class Port:
    """The port of one core's machine."""

    def __init__(self, slots: memoryview, answer: int) -> None:
        """The core's slots, and where the host has the two words of an answer to it."""
        self._slots = slots
        self._memory = words_type(SENT + ROOM // 8)()
        octets = memoryview(self._memory).cast("B")
        self._words, self._octets = octets.cast("Q"), octets[8 * SENT :]
        self._words[ANSWER] = answer
        self.flush: Callable[[], None] = _no_output
        """Called to have what waits shown, before somebody looks."""

    def open(self, put_at: int, look_at: int) -> None:
        """Native code serves these two registers from now on, as far as it is allowed to by `offer`."""
        self._words[PUT_AT], self._words[LOOK_AT] = put_at, look_at
        self._slots[Slot.PORT] = ctypes.addressof(self._memory)

    def close(self) -> None:
        """Python is asked for all registers again."""
        self._slots[Slot.PORT] = 0

    @property
    def waits(self) -> bool:
        """Whether anything was sent that nobody has taken."""
        return self._words[COUNT] != 0

    def offer(self, *, puts: bool, looks: int, most_looks: int, status: int) -> None:
        """Until `take`, octets need not be asked for, nor so many looks: they see `status`.

        After an octet was sent it is `most_looks`.
        """
        words = self._words
        words[FREE], words[STATUS] = ROOM if puts else 0, status
        words[LOOKS], words[MOST_LOOKS] = looks, most_looks

    def take(self) -> tuple[bytes, int]:
        """What was sent since `offer`, and how many looks are left; nothing is offered any more."""
        words = self._words
        sent, looks = bytes(self._octets[: words[COUNT]]), words[LOOKS]
        words[COUNT] = words[FREE] = words[LOOKS] = words[MOST_LOOKS] = 0
        return sent, looks
