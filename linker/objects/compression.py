"""Takes compressed sections apart (gABI 4.3), as compilers write debug information with `-gz`."""

import struct
import zlib

COMPRESSED = 0x800
"""SHF_COMPRESSED: the contents begin with a header, and what follows is compressed."""

_HEADER = struct.Struct("<IIQQ")  # ch_type, reserved, ch_size, ch_addralign
_ZLIB, _ZSTD = 1, 2
_OLD_NAME, _OLD_MAGIC = ".zdebug_", b"ZLIB"
_LIMIT = 256 << 20
"""Bytes of one section, the largest file that is written here."""


def decompress(data: bytes) -> tuple[bytes, int]:
    """The contents and the alignment of a compressed section.

    Raises ValueError, with what is wrong as its text, for damaged data and for what no compiler's default makes.

    >>> decompress(_HEADER.pack(_ZLIB, 0, 5, 8) + zlib.compress(b"hello"))
    (b'hello', 8)
    """
    if len(data) < _HEADER.size:
        raise ValueError("is marked as compressed and has no header")
    kind, _, size, align = _HEADER.unpack_from(data)
    if kind == _ZSTD:
        raise ValueError("is compressed by zstd: compile with -gz=zlib or without -gz")
    if kind != _ZLIB:
        raise ValueError(f"is compressed in an unknown way ({kind})")
    return _inflate(data[_HEADER.size :], size), align


def is_old(name: str, data: bytes) -> bool:
    """Whether this is a section compressed in GNU's way of before the gABI's: `.zdebug_*`, with a header of its own."""
    return name.startswith(_OLD_NAME) and data.startswith(_OLD_MAGIC)


def decompress_old(name: str, data: bytes) -> tuple[str, bytes]:
    """The name and the contents of such a section without compression (`-gz=zlib-gnu`). Raises ValueError.

    >>> decompress_old(".zdebug_str", b"ZLIB" + (5).to_bytes(8, "big") + zlib.compress(b"hello"))
    ('.debug_str', b'hello')
    """
    start = len(_OLD_MAGIC) + 8
    return name.replace(_OLD_NAME, ".debug_", 1), _inflate(data[start:], int.from_bytes(data[start - 8 : start], "big"))


def _inflate(packed: bytes, size: int) -> bytes:
    if size > _LIMIT:
        raise ValueError(f"claims {size} bytes behind its compression; {_LIMIT >> 20} MiB are the limit")
    try:
        plain = zlib.decompressobj().decompress(packed, size + 1)
    except zlib.error as reason:
        raise ValueError("is compressed and damaged") from reason
    if len(plain) != size:
        raise ValueError(f"holds {'more' if len(plain) > size else 'less'} than the {size} bytes that it claims")
    return plain
