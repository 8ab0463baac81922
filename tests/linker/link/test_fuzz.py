"""Damaged inputs: a message or a correct result, within seconds, never another exception."""

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import linker
from linker.errors import ObjectFileError, ToolchainError
from linker.objects.archive import read_archive
from linker.objects.reader import read_object
from linker.objects.writer import write_object
from linker.relocate.lines import read_lines
from linker.script import default
from tests.linker.link.objects import DATA, NOP, TEXT, Group, Maker, R, relocate

ROOMY = "SECTIONS { . = 0x80000000; .text : { *(.text*) } .all : { *(*) } }"


def sample_object() -> bytes:
    maker = Maker()
    text = maker.section(".text", NOP * 8, TEXT, 16)
    start = maker.symbol("_start", text)
    relocate(text, 4, R.ALIGN, None, 12)
    relocate(text, 16, R.CALL_PLT, maker.undefined("other", weak=True))
    relocate(text, 24, R.PCREL_HI20, start)
    relocate(text, 28, R.PCREL_LO12_I, maker.local(".L0", text, 24))
    strings = maker.section(".rodata.str", b"one\0two\0", 0x32, 1, entry_size=1)
    data = maker.section(".data", bytes(32), DATA, 8)
    relocate(data, 0, R.ABS64, maker.local("s", strings, 4))
    relocate(data, 8, R.ADD32, start)
    relocate(data, 8, R.SUB32, start)
    maker.common("buffer", 100, 8)
    grouped = maker.section(".text.g", NOP, TEXT | 0x200, 4)
    grouped.group = Group(maker.symbol("g", grouped))
    maker.zeros(".bss", 64, 8)
    return write_object(maker.object)


def try_to_link(data: bytes) -> None:
    try:
        result = linker.link([read_object(data, "fuzz.o")], script=ROOMY)
    except ToolchainError as error:
        assert str(error)  # noqa: PT017
    else:
        assert result.elf[:4] == b"\x7fELF"


def mutated(data: bytes, seed: int) -> bytes:
    source = random.Random(seed)
    result = bytearray(data)
    for _ in range(source.choice((1, 1, 2, 8))):
        position = source.randrange(len(result))
        kind = source.randrange(5)
        if kind == 0:
            result[position] = source.randrange(256)
        elif kind == 1:
            result[position] ^= 1 << source.randrange(8)
        elif kind == 2 and position + 8 < len(result):
            value = source.choice((0, 1, 0xFF, 0xFFFF, 1 << 31, 1 << 63, (1 << 64) - 1, len(data)))
            struct.pack_into("<Q", result, position & ~7, value)
        elif kind == 3:
            del result[position:]
            break
        else:
            result[position : position + 16] = bytes(len(result[position : position + 16]))
    return bytes(result)


@pytest.mark.parametrize("block", range(8))
def test_mutated_objects_link_or_are_refused(block: int) -> None:
    data = sample_object()
    try_to_link(data)
    for seed in range(block * 100, block * 100 + 100):
        try_to_link(mutated(data, seed))


@pytest.mark.slow
def test_many_mutated_objects_link_or_are_refused() -> None:
    data = sample_object()
    for seed in range(1000, 8000):
        try_to_link(mutated(data, seed))


def test_every_prefix_of_an_object_is_refused_or_linked() -> None:
    data = sample_object()
    for length in range(0, len(data), 7):
        try_to_link(data[:length])


def test_mutated_objects_of_a_compiler_link_or_are_refused(compile_program: Callable[..., Path]) -> None:
    data = compile_program("other.c", "-O1", "-g", "-DSINGLE").read_bytes()
    for seed in range(150):
        try_to_link(mutated(data, seed))


def test_line_tables_that_begin_with_anything_are_read_as_far_as_possible(
    compile_program: Callable[..., Path],
) -> None:
    data = compile_program("other.c", "-O1", "-g", "-DSINGLE").read_bytes()
    for position in range(16):
        for value in (0, 1, 3, 51, 255):
            damaged = read_object(data, "fuzz.o")
            for section in damaged.sections:
                if section.name in (".debug_info", ".debug_line"):
                    section.data[position] = value
            assert isinstance(read_lines(damaged), list)


@pytest.mark.parametrize("command", ["objdump", "readelf", "nm", "objcopy"])
def test_mutated_files_are_shown_or_refused(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from importlib import import_module

    main = import_module(f"linker.commands.{command}").main
    data = linker.link([read_object(sample_object(), "a.o")], script=ROOMY).elf
    path = tmp_path / "fuzz.elf"
    arguments = {
        "objdump": ["-d", "-h", "-t", "-r", "-s"],
        "readelf": ["-a"],
        "nm": ["-n"],
        "objcopy": ["-O", "binary"],
    }[command]
    target = [str(tmp_path / "out.bin")] if command == "objcopy" else []
    for seed in range(120):
        path.write_bytes(mutated(data, seed))
        assert main([*arguments, str(path), *target]) in (0, 1)
        capsys.readouterr()


@given(st.binary(max_size=200))
def test_any_bytes_are_no_object(data: bytes) -> None:
    with pytest.raises(ObjectFileError):
        read_object(data, "fuzz.o")


def archive(members: dict[str, bytes]) -> bytes:
    result = b"!<arch>\n"
    for name, data in members.items():
        header = f"{name + '/':16}{0:<12}{0:<6}{0:<6}{644:<8}{len(data):<10}`\n"
        result += header.encode() + data + b"\n" * (len(data) & 1)
    return result


def test_mutated_archives_are_read_or_refused() -> None:
    data = archive({"a.o": sample_object(), "b.txt": b"hello"})
    assert [member.name for member in read_archive(data, "lib.a").members] == ["a.o", "b.txt"]
    for seed in range(300):
        try:
            read_archive(mutated(data, seed), "lib.a")
        except ToolchainError as error:
            assert str(error)  # noqa: PT017


LINES = Path(default.__file__).with_name(default.NAME).read_text(encoding="utf-8").split("\n")


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(LINES) - 1), st.integers(0, 60), st.characters(max_codepoint=126)), max_size=4
    )
)
def test_the_default_script_with_wrong_characters_links_or_is_refused(edits: list[tuple[int, int, str]]) -> None:
    lines = list(LINES)
    for number, column, character in edits:
        lines[number] = lines[number][:column] + character + lines[number][column + 1 :]
    try:
        linker.link([read_object(sample_object(), "a.o")], script="\n".join(lines))
    except ToolchainError as error:
        assert str(error)  # noqa: PT017
