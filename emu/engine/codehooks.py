"""Which addresses have code hooks, for native code that spares the translator the look through all of them.

The core's translator goes through its list of hooks for each instruction. Here it finds the list empty, unless a hook
may be there: that is told by a bit for each address, which several addresses share.
"""

import ctypes

from emu.engine.slots import Slot
from emu.engine.translated.layout import ENGINE_CODE_HOOKS

BIT_COUNT_BITS = 12
"""log2 of the number of bits; an address has that of half of it, modulo their number."""


class Hidden:
    """Indices of 64-bit words that native code reads."""

    LIST = 0
    """Where the core has the begin of its list."""
    BEGIN = 1
    """That begin while the list is hidden; or 0."""
    BITS = 2
    """The first of the bits."""


class CodeHooks:
    """The addresses that have hooks in one core.

    >>> from emu.machine import Machine
    >>> machine = Machine()
    >>> hooks = CodeHooks(machine.core.engine.handle.value or 0)
    >>> hooks.add(0x8000_0000)
    >>> [hooks.may_be_at(address) for address in (0x8000_0000, 0x8000_0004, 0x9000_0000)]
    [True, False, True]
    """

    def __init__(self, engine: int) -> None:
        """`engine` is where the library keeps the core's engine."""
        words = (ctypes.c_uint64 * (Hidden.BITS + (1 << BIT_COUNT_BITS - 6)))()
        words[Hidden.LIST] = engine + ENGINE_CODE_HOOKS
        self._keep = words
        self._address = ctypes.addressof(words)
        self._bits = memoryview(words).cast("B")[8 * Hidden.BITS :]
        self._counts: dict[int, int] = {}

    def show(self, slots: memoryview) -> None:
        """Have native code look at them."""
        slots[Slot.CODE_HOOKS] = self._address

    def add(self, address: int) -> None:
        """A hook is to come there."""
        bit = self._bit(address)
        self._counts[bit] = self._counts.get(bit, 0) + 1
        self._bits[bit >> 3] |= 1 << (bit & 7)

    def remove(self, address: int) -> None:
        """One that was there is gone."""
        bit = self._bit(address)
        self._counts[bit] -= 1
        if not self._counts[bit]:
            self._bits[bit >> 3] &= ~(1 << (bit & 7))

    def may_be_at(self, address: int) -> bool:
        """Whether the core looks through its list at an instruction there."""
        bit = self._bit(address)
        return bool(self._bits[bit >> 3] & 1 << (bit & 7))

    @staticmethod
    def _bit(address: int) -> int:
        return address >> 1 & (1 << BIT_COUNT_BITS) - 1
