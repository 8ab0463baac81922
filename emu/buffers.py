"""Where the host has the memory of an object that Python gave it."""

import ctypes
from typing import Any


def buffer_address(memory: Any) -> int:
    """The address of the first octet of a writable buffer; it is good while the object keeps its memory.

    >>> import ctypes
    >>> octets = bytearray(b"kernel")
    >>> ctypes.string_at(buffer_address(octets), 6)
    b'kernel'
    """
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
