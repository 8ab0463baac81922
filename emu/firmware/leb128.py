"""Numbers of DWARF that take as many bytes as they need (DWARF 5, section 7.6)."""

_BITS = 70
"""So many of a number count."""


def unsigned(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """The unsigned number at a place, and the place behind it; IndexError where it is cut off.

    >>> unsigned(bytes([0xe5, 0x8e, 0x26]), 0)
    (624485, 3)
    """
    value = data[at]
    at += 1
    if value < 0x80:
        return value, at
    value &= 0x7F
    shift = 7
    while True:
        byte = data[at]
        at += 1
        if shift < _BITS:
            value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def signed(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """The same of a signed one.

    >>> signed(bytes([0x78]), 0)
    (-8, 1)
    """
    number, behind = unsigned(data, at)
    return number - (1 << 7 * (behind - at)) if data[behind - 1] & 0x40 else number, behind
