"""Puts values into instruction and data fields (unprivileged manual, "Base Instruction Formats"; psABI)."""

MASK_U = 0xFFFF_F000
MASK_I = 0xFFF0_0000
MASK_S = 0xFE00_0F80
MASK_B = 0xFE00_0F80
MASK_J = 0xFFFF_F000
MASK_CB = 0x1C7C
MASK_CJ = 0x1FFC


def high_part(value: int) -> int:
    """The upper 20 bits such that `lui` and a signed 12-bit addition give the value.

    >>> hex(high_part(0x12345FFF))
    '0x12346000'
    """
    return (value + 0x800) & ~0xFFF


def u_type(value: int) -> int:
    """`lui`, `auipc`."""
    return high_part(value) & MASK_U


def i_type(value: int) -> int:
    """The 12-bit immediate of loads, `addi` and `jalr`."""
    return (value & 0xFFF) << 20


def s_type(value: int) -> int:
    """The 12-bit immediate of stores."""
    return (value >> 5 & 0x7F) << 25 | (value & 0x1F) << 7


def b_type(value: int) -> int:
    """The offset of a conditional branch."""
    return (value >> 12 & 1) << 31 | (value >> 5 & 0x3F) << 25 | (value >> 1 & 0xF) << 8 | (value >> 11 & 1) << 7


def j_type(value: int) -> int:
    """The offset of `jal`."""
    return (value >> 20 & 1) << 31 | (value >> 1 & 0x3FF) << 21 | (value >> 11 & 1) << 20 | (value >> 12 & 0xFF) << 12


def cb_type(value: int) -> int:
    """The offset of `c.beqz` and `c.bnez`."""
    return (
        (value >> 8 & 1) << 12
        | (value >> 3 & 3) << 10
        | (value >> 6 & 3) << 5
        | (value >> 1 & 3) << 3
        | (value >> 5 & 1) << 2
    )


def cj_type(value: int) -> int:
    """The offset of `c.j` and `c.jal`."""
    return (
        (value >> 11 & 1) << 12
        | (value >> 4 & 1) << 11
        | (value >> 8 & 3) << 9
        | (value >> 10 & 1) << 8
        | (value >> 6 & 1) << 7
        | (value >> 7 & 1) << 6
        | (value >> 1 & 7) << 3
        | (value >> 5 & 1) << 2
    )


def fits(value: int, bits: int) -> bool:
    """Whether a signed value has a two's complement of so many bits.

    >>> fits(-2048, 12), fits(2048, 12)
    (True, False)
    """
    return -(1 << (bits - 1)) <= value < 1 << (bits - 1)


def write_uleb128(data: bytearray, offset: int, value: int, length: int) -> bool:
    """Write in exactly so many bytes, padded. False when the value needs more."""
    for index in range(length):
        more = 0x80 if index < length - 1 else 0
        data[offset + index] = value & 0x7F | more
        value >>= 7
    return value == 0
