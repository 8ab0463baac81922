"""Compressed debug information: read as if it were plain, or a clear error."""

import struct
import zlib

import pytest

from linker.errors import ObjectFileError
from linker.objects.reader import read_object
from linker.objects.writer import write_object
from tests.linker.link.objects import Maker

TEXT = b"where everything was declared" * 40
MARK = 0x800


def header(size: int, kind: int = 1) -> bytes:
    """gABI, Elf64_Chdr."""
    return struct.pack("<IIQQ", kind, 0, size, 16)


def an_object(name: str, data: bytes, flags: int) -> bytes:
    maker = Maker()
    maker.section(name, data, flags)
    return write_object(maker.object)


@pytest.mark.parametrize(
    ("name", "data", "flags"),
    [
        (".debug_line", header(len(TEXT)) + zlib.compress(TEXT), MARK),
        (".zdebug_line", b"ZLIB" + len(TEXT).to_bytes(8, "big") + zlib.compress(TEXT), 0),
    ],
)
def test_compressed_sections_are_read_as_plain_ones(name: str, data: bytes, flags: int) -> None:
    section = next(s for s in read_object(an_object(name, data, flags), "a.o").sections if "debug" in s.name)
    assert (section.name, bytes(section.data), section.flags) == (".debug_line", TEXT, 0)
    assert section.align == (16 if flags else 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x01", "is marked as compressed and has no header"),
        (header(8, 2) + b"whatever", "is compressed by zstd: compile with -gz=zlib or without -gz"),
        (header(8, 77), "is compressed in an unknown way (77)"),
        (header(1 << 50) + zlib.compress(b""), "256 MiB are the limit"),
        (header(len(TEXT)) + zlib.compress(TEXT)[:-30], "holds less than the 1160 bytes that it claims"),
        (header(7) + zlib.compress(TEXT), "holds more than the 7 bytes that it claims"),
        (header(7) + b"nothing of zlib", "is compressed and damaged"),
    ],
)
def test_damaged_compression_is_a_clear_error(data: bytes, said: str) -> None:
    with pytest.raises(ObjectFileError) as caught:
        read_object(an_object(".debug_str", data, MARK), "a.o")
    assert "a.o: error: damaged object: section '.debug_str'" in str(caught.value)
    assert said in str(caught.value)
