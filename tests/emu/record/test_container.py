"""The file of a recording: what was written comes back, whatever happens to the file."""

import os
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import ConfigError, RecordingError
from emu.record.container import MAGIC, MOST_IN_CHUNK, VERSION, Reader, Writer

NAMES = ["blocks", "code", "memory.1"]


def write(path, parts, *, close=True):
    writer = Writer(path)
    for name, data in parts:
        writer.add(name, data)
    if close:
        writer.close()
    return path.read_bytes()


def read(path) -> dict[str, bytes]:
    with Reader(path) as reader:
        return {name: b"".join(reader.chunks(name)) for name in reader.sections}


def expected(parts) -> dict[str, bytes]:
    return {name: b"".join(data for other, data in parts if other == name) for name, data in parts if data}


parts_of_a_run = st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=300)), max_size=6)


@given(parts=parts_of_a_run)
def test_what_is_written_to_sections_is_read_from_them(tmp_path_factory, parts):
    path = tmp_path_factory.mktemp("run") / "run.ekrec"
    write(path, parts)
    assert read(path) == expected(parts)
    with Reader(path) as reader:
        assert reader.is_complete
        assert {name: section.size for name, section in reader.sections.items()} == {
            name: len(data) for name, data in expected(parts).items()
        }


def test_a_file_that_ends_anywhere_is_readable_as_far_as_it_goes(tmp_path):
    parts = [("blocks", bytes(range(200))), ("code", b"nop" * 9), ("blocks", os.urandom(300))]
    path = tmp_path / "run.ekrec"
    whole = write(path, parts)
    seen = []
    for length in range(16, len(whole)):
        path.write_bytes(whole[:length])
        found = read(path)
        assert all(expected(parts)[name].startswith(data) for name, data in found.items())
        with Reader(path) as reader:
            assert not reader.is_complete
        if found not in seen:
            seen.append(found)
    assert seen == [expected(parts[:number]) for number in range(4)]


def test_a_byte_that_was_changed_anywhere_is_noticed(tmp_path):
    parts = [("blocks", b"words " * 30), ("code", b"nop"), ("blocks", b"more")]
    path = tmp_path / "run.ekrec"
    whole = write(path, parts)
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :])
        try:
            found = read(path)
        except RecordingError:
            continue
        with Reader(path) as reader:
            assert reader.missing or found == expected(parts)  # the end's own contents mean nothing
        assert all(expected(parts)[name].startswith(data) for name, data in found.items())


@given(noise=st.binary(max_size=200))
def test_noise_behind_the_start_is_no_data(tmp_path_factory, noise):
    path = tmp_path_factory.mktemp("run") / "run.ekrec"
    path.write_bytes(MAGIC + struct.pack("<I", VERSION) + noise)
    assert read(path) == {}


def chunk(name: bytes, size: int, packed: bytes) -> bytes:
    head = struct.pack("<4s16sII", b"EKc1", name, len(packed), size)
    return head + struct.pack("<I", zlib.crc32(packed, zlib.crc32(head))) + packed


def test_sizes_that_a_stranger_made_up_cost_no_memory(tmp_path):
    import zstandard

    bomb = zstandard.compress(bytes(MOST_IN_CHUNK * 8))
    lies = [chunk(b"blocks", size, packed) for size, packed in ((100, bomb), (1 << 24, bomb), (1 << 24, b"no zstd"))]
    path = tmp_path / "run.ekrec"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for lie in lies:
        path.write_bytes(MAGIC + struct.pack("<I", VERSION) + lie)
        with pytest.raises(RecordingError, match="damaged"):
            read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
    head = struct.pack("<4s16sIII", b"EKc1", b"blocks", 1 << 31, 1 << 31, 0)
    path.write_bytes(MAGIC + struct.pack("<I", VERSION) + head)
    assert read(path) == {}
    some = zstandard.compress(b"a")
    path.write_bytes(MAGIC + struct.pack("<I", VERSION) + b"".join(chunk(b"s%d" % n, 1, some) for n in range(100)))
    with pytest.raises(RecordingError, match="more than 64 sections"):
        Reader(path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "nothing was recorded"),
        (b"\x7fELF" + bytes(60), "is no recording"),
        (MAGIC + b"\x63\0\0\0", "has version 99"),
    ],
)
def test_what_is_no_recording_is_called_so(tmp_path, content, text):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=text):
        Reader(path)


def test_files_that_cannot_be_read_or_written_are_named(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(RecordingError, match=f"cannot read {path}"):
            Reader(path)
    with pytest.raises(RecordingError, match="read twice"):
        Reader("/dev/null")
    with pytest.raises(ConfigError, match=r"cannot record to .*: Is a directory"):
        Writer(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this host has no /dev/full")
def test_a_full_disk_is_told_with_the_name_of_the_file():
    with pytest.raises(RecordingError, match="cannot write to /dev/full: No space left on device; what was recorded"):
        Writer("/dev/full")


def test_a_killed_writer_leaves_what_it_had_added(tmp_path):
    path = tmp_path / "run.ekrec"
    program = (
        "import os, signal, sys; from emu.record.container import Writer; writer = Writer(sys.argv[1]);"
        "writer.add('blocks', b'before'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert read(path) == {"blocks": b"before"}
    with Reader(path) as reader:
        assert reader.missing == "it was not ended"


def test_a_disk_that_becomes_full_is_told_once_and_leaves_what_it_had_added(tmp_path):
    path = tmp_path / "run.ekrec"
    program = """
import os, resource, sys
from emu.errors import RecordingError
from emu.record.container import Writer
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    with Writer(sys.argv[1]) as writer:
        for _ in range(9):
            writer.add("blocks", os.urandom(7_000))
except RecordingError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", program, str(path)], check=True, capture_output=True, text=True)
    assert told.stdout == f"cannot write to {path}: File too large; what was recorded before can be read\n"
    assert len(read(path)["blocks"]) == 14_000
    with Reader(path) as reader:
        assert "in the middle of a chunk" in (reader.missing or "")
