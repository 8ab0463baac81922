"""Numbers that take as many bytes as they need, seven bits in each (LEB128; DWARF 5, section 7.6)."""


def read(data: bytes | bytearray, position: int, end: int) -> tuple[int, int]:
    """The unsigned number at a position, and the position behind it; one that is cut off ends with `end`.

    >>> read(bytes([0xe5, 0x8e, 0x26]), 0, 3), read(bytes([0xe5, 0x8e]), 0, 2)
    ((624485, 3), (1893, 2))
    """
    value = shift = 0
    while position < end:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        shift += 7
        position += 1
        if byte < 0x80:
            break
    return value, position


def written(value: int, *, signed: bool) -> bytes:
    """A number's bytes; unsigned ones have 64 bits.

    >>> written(300, signed=False).hex(), written(-2, signed=True).hex()
    ('ac02', '7e')
    """
    encoded = bytearray()
    if not signed:
        value &= (1 << 64) - 1
    while True:
        byte = value & 0x7F
        value >>= 7
        # a signed number ends where the rest is only copies of the sign
        sign = bool(byte & 0x40)
        done = value == (-1 if signed and sign else 0)
        encoded.append(byte if done else byte | 0x80)
        if done:
            return bytes(encoded)
