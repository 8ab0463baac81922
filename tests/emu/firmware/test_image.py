import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.errors import ImageError
from emu.firmware.image import Image, ImageKind

MIB = 1 << 20
RAM = (0x8000_0000, 128 * MIB)


def refusal(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        Image.from_bytes(data, "kernel.elf").check_inside(*RAM)
    message = str(caught.value)
    assert message.startswith("kernel.elf")
    return message


def test_segments_carry_address_bytes_size_and_flags(build_elf, load):
    image = Image.from_bytes(
        build_elf(load(0x8020_1000, data=b"data", memory_size=0x100, flags=6), load(0x8020_0000), entry=0x8020_0000),
        "kernel.elf",
    )
    assert image.kind is ImageKind.ELF
    text, data = image.segments
    assert (text.physical, text.data, text.memory_size, text.flags) == (0x8020_0000, b"\x13\0\0\0", 4, 5)
    assert (data.physical, data.data, data.memory_size, data.flags) == (0x8020_1000, b"data", 0x100, 6)
    assert image.entry == image.entry_physical == 0x8020_0000
    image.check_inside(*RAM)


def test_a_virtual_entry_is_translated_through_its_segment(build_elf, load):
    image = Image.from_bytes(
        build_elf(load(0x8020_0000, virtual=0xFFFF_FFFF_C020_0000, data=bytes(64)), entry=0xFFFF_FFFF_C020_0010), "k"
    )
    assert image.entry == 0xFFFF_FFFF_C020_0010
    assert image.entry_physical == 0x8020_0010


def test_an_entry_that_is_physical_already_is_taken_as_it_is(build_elf, load):
    image = Image.from_bytes(
        build_elf(load(0x8020_0000, virtual=0xFFFF_FFFF_C020_0000, data=bytes(64)), entry=0x8020_0010), "k"
    )
    assert image.entry_physical == 0x8020_0010


def test_segments_without_flags_and_other_program_headers_are_no_obstacle(build_elf, load):
    image = Image.from_bytes(build_elf(load(kind=0x7000_0003, physical=0), load(flags=0)), "k")
    assert [segment.physical for segment in image.segments] == [0x8000_0000]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"bits": 1}, ["32-bit", "-march=rv64gc"]),
        ({"order": 2}, ["big-endian"]),
        ({"machine": 62}, ["x86-64", "riscv64 compiler"]),
        ({"machine": 9999}, ["machine 9999"]),
        ({"kind": 1}, ["relocatable object", "ekernel ld"]),
        ({"kind": 4}, ["core dump"]),
        ({"kind": 0}, ["type 0"]),
        ({"entry": 0}, ["no entry point", "ENTRY(_start)"]),
        ({"entry": 0x9000_0000}, ["0x90000000", "outside every segment"]),
        ({"entry_size": 32}, ["32 bytes instead of 56"]),
    ],
)
def test_a_wrong_header_is_refused_with_what_to_do(build_elf, fields, words):
    message = refusal(build_elf(**fields))
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("segment", "words"),
    [
        ({"kind": 4}, ["no loadable segment"]),
        ({"memory_size": 0, "data": b""}, ["no loadable segment"]),
        ({"memory_size": 2}, ["segment 0", "damaged"]),
        ({"file_size": 0x1000}, ["truncated", "segment 0"]),
        ({"file_size": (1 << 64) - 1}, ["segment 0", "damaged"]),
        ({"physical": 0x7000_0000, "virtual": 0x8000_0000}, ["outside RAM", "no load address"]),
        ({"physical": 0, "virtual": 0x8000_0000}, ["outside RAM", "0x80000000..0x88000000", "Image"]),
        ({"memory_size": 256 * MIB}, ["outside RAM", "-m 256M"]),
        ({"physical": 0x9000_0000, "virtual": 0x8000_0000}, ["outside RAM", "-m 257M"]),
        ({"memory_size": 1 << 40}, ["outside RAM", "no machine has so much", "link it lower"]),
        ({"physical": 0x7F_0000_0000_0000, "virtual": 0x8000_0000}, ["no machine has so much", "damaged"]),
    ],
)
def test_a_wrong_segment_is_refused_with_what_to_do(build_elf, load, segment, words):
    message = refusal(build_elf(load(**segment)))
    for word in words:
        assert word in message


def test_a_program_linked_below_ram_is_told_where_ram_is(build_elf, load):
    assert "link it at 0x80000000 or above" in refusal(build_elf(load(physical=0x1_0000), entry=0x1_0000))


def test_segments_over_each_other_are_refused(build_elf, load):
    message = refusal(build_elf(load(data=bytes(0x20)), load(physical=0x8000_0010, virtual=0x9000_0000)))
    assert "0x80000000..0x80000020" in message
    assert "0x80000010..0x80000014" in message
    assert "overlap" in message


def test_two_images_over_each_other_are_refused(build_elf, load):
    firmware = Image.from_bytes(build_elf(load(memory_size=0x30_0000)), "fw.elf")
    kernel = Image.from_bytes(build_elf(load(physical=0x8020_0000), entry=0x8020_0000), "k.elf")
    with pytest.raises(ImageError, match=r"k\.elf at 0x80200000.* lies over fw\.elf"):
        kernel.check_apart(firmware)
    kernel.check_apart(Image.from_bytes(build_elf(), "small.elf"))


def test_every_truncation_is_refused(build_elf, load):
    whole = build_elf(load(data=bytes(40)))
    for length in range(4, len(whole)):
        assert "truncated" in refusal(whole[:length])


@given(st.data())
@settings(max_examples=300)
def test_damaged_files_are_refused_or_loaded_but_never_break_the_loader(build_elf, data):
    whole = bytearray(build_elf())
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = Image.from_bytes(bytes(whole), "k")
    except ImageError:
        return
    assert image.symbols.at(0x8000_0000) is None
    assert image.lines.at(0x8000_0000) is None


def test_a_raw_image_goes_to_the_offset_that_is_asked_for():
    kernel = Image.from_bytes(b"\x13\0\0\0" * 4, "k.bin")
    assert kernel.kind is ImageKind.RAW
    assert kernel.entry == kernel.segments[0].physical == 0x8020_0000
    firmware = Image.from_bytes(b"\x13\0\0\0" * 4, "fw.bin", raw_offset=0)
    assert firmware.entry_physical == 0x8000_0000
    with pytest.raises(ImageError, match="-m 3M"):
        kernel.check_inside(0x8000_0000, 2 * MIB)


def linux_header(text_offset: int = 0x20_0000, size: int = 0x1000, flags: int = 0) -> bytes:
    return struct.pack("<II QQQ II Q 8s 4sI", 0x13, 0x13, text_offset, size, flags, 2, 0, 0, b"RISCV", b"RSC\x05", 0)


def test_a_linux_image_goes_to_its_text_offset_and_occupies_its_image_size():
    image = Image.from_bytes(linux_header() + bytes(16), "Image")
    assert image.kind is ImageKind.LINUX
    segment = image.segments[0]
    assert (segment.physical, segment.memory_size, len(segment.data)) == (0x8020_0000, 0x1000, 80)
    assert image.entry_physical == 0x8020_0000


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (linux_header(flags=1), "big-endian"),
        (linux_header(text_offset=1 << 60), "damaged"),
        (linux_header()[:62], "truncated"),
        (b"", "empty"),
        (b"\x1f\x8b\x08", "gunzip"),
        (b"\xd0\x0d\xfe\xed", "-dtb"),
        (b"#!/bin/sh\n", "script"),
        (b"hello, world\n", "text file"),
        (b"!<arch>\n", "library"),
    ],
)
def test_what_is_no_program_is_refused_by_its_content(data, words):
    assert words in refusal(data)


def test_files_that_cannot_be_read_are_named(tmp_path: Path):
    for path, words in (
        (tmp_path / "missing.elf", "does not exist"),
        (tmp_path, "is a directory"),
        (Path("/dev/zero"), "not a regular file"),
        ("\0", "cannot be read"),
    ):
        with pytest.raises(ImageError, match=words):
            Image.open(path)
    huge = tmp_path / "huge.bin"
    with huge.open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(ImageError, match="can be loaded"):
        Image.open(huge)
