"""Memory that Python and native code share: where the host has it, and words of it."""

import ctypes
from functools import cache

from emu.hints import Any


def buffer_address(memory: Any) -> int:
    """The address of the first octet of a writable buffer; it is good while the object keeps its memory.

    >>> import ctypes
    >>> octets = bytearray(b"kernel")
    >>> ctypes.string_at(buffer_address(octets), 6)
    b'kernel'
    """
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


@cache
def words_type(count: int) -> type["ctypes.Array[ctypes.c_uint64]"]:
    """The type of so many words. ctypes makes one anew, which takes 20 us, whenever nobody holds it.

    >>> list(words_type(2)(7))
    [7, 0]
    """
    return ctypes.c_uint64 * count


@cache
def octets_type(count: int) -> type["ctypes.Array[ctypes.c_uint8]"]:
    """The same of octets."""
    return ctypes.c_uint8 * count
