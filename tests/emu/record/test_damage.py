"""Recordings with valid checksums and wrong contents, as a stranger would make them: read, or refused in words."""

import json
import os
import struct
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emu.errors import RecordingError
from emu.events import TrapTaken
from emu.record import formats
from emu.record.container import Reader, Writer
from emu.record.parting import first_parting
from emu.record.recorder import Recorder
from emu.record.recording import Recording
from emu.report import recorded
from emu.report.files.chrome import write_chrome
from emu.report.files.parquet import write_parquet
from emu.report.files.perfetto import write_perfetto
from emu.report.files.tables import TABLES, json_lines
from emu.report.files.timeline import Timeline
from emu.report.places import PlaceNames
from emu.testing.program import built
from tests.emu.record import recorded_guest as guest

ALL = ["calls", "memory", "registers", "csrs"]
DEEP = b"[" * 100_000 + b"]" * 100_000
SPAN, DEFINITION = formats.SPAN, formats.DEFINITION


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of everything."""
    path = tmp_path_factory.mktemp("sound") / "run.ekrec"
    machine = guest.machine(lambda source: built(source, 0x8020_0000), "exact")
    with Recorder(machine, path, ALL) as recorder:
        machine.on(TrapTaken, lambda event: recorder.section(formats.EVENTS, _line(event)))
        machine.run()
    return path


def _line(event: object) -> bytes:
    told = {"event": type(event).__name__, "instret": event.instret, "pc": hex(event.pc), "cause": 5}
    return json.dumps(told).encode() + b"\n"


def sections(path: Path) -> dict[str, list[bytes]]:
    with Reader(path) as reader:
        return {name: list(reader.chunks(name)) for name in reader.sections}


def written(path: Path, contents: Mapping[str, list[bytes]]) -> Path:
    with Writer(path) as writer:
        for name, chunks in contents.items():
            for chunk in chunks:
                writer.add(name, chunk)
    return path


def readings(path: Path, other: Path) -> Iterator[partial[object]]:
    """Each way in which a recording is read."""

    def with_lines(show) -> None:
        with Recording(path) as recording:
            for _ in show(recording, PlaceNames(recording.names), 0, 1 << 64, lambda _address: True):
                pass

    def of_both(order: int) -> None:
        with Recording(path) as one, Recording(other) as another:
            first_parting(*((one, another), (another, one))[order])

    def as_file(write) -> None:
        with Recording(path) as recording, Path(os.devnull).open("wb") as stream:
            write(Timeline(recording, PlaceNames(recording.names), 0, 1 << 64, lambda _: True), stream, "program")

    def as_columns(what: str) -> None:
        with Recording(path) as recording, Path(os.devnull).open("wb") as stream:
            write_parquet(what, recording, PlaceNames(recording.names), 0, 1 << 64, lambda _: True, stream)

    def plainly() -> None:
        with Recording(path) as recording:
            assert recording.obstacle is None or recording.obstacle
            assert recording.goes_back in (False, True)
            for _ in recording.events():
                pass
            recording.extent()
            recording.columns()

    yield partial(plainly)
    for show in (recorded.instructions, recorded.functions, recorded.accesses, recorded.writes, recorded.execution):
        yield partial(with_lines, show)
    for what, table in TABLES.items():
        yield partial(as_columns, what)
        yield partial(with_lines, lambda *given, table=table: json_lines(table.columns, table.rows(*given)))
    for write in (write_chrome, write_perfetto):
        yield partial(as_file, write)
    for order in (0, 1):
        yield partial(of_both, order)


def refused(path: Path, other: Path) -> list[str]:
    """What is said of it."""
    said = []
    for reading in readings(path, other):
        try:
            reading()
        except RecordingError as error:
            said.append(str(error))
    return said


@pytest.mark.parametrize(
    ("section", "contents", "text"),
    [
        (formats.RUN, DEEP, "does not say what it is"),
        (formats.EVENTS, DEEP + b"\n", "an event is no JSON"),
        (formats.EVENTS, b" " * (5 << 20), "an event has more than"),
        (formats.SPANS, b"\1" * 17, "tells no places in order"),
        (formats.SPANS, SPAN.pack(5, 1 << 63) + SPAN.pack(3, 0), "tells no places in order"),
        (formats.CODE, DEFINITION.pack(1, 0, 0, 0, 0), "block 1 has no instructions"),
        (formats.BLOCKS, struct.pack("<II", 1, 0xFFFF_FFF0) * 9, None),
        (formats.REPLAY, b"5", None),
        (formats.RUN, json.dumps({"files": ["\ud800"], "what": ALL}).encode(), None),
        (formats.EVENTS, b'{"event": "FrameAllocated", "instret": NaN, "ppn": "\\ud800"}\n', None),
    ],
)
def test_what_no_run_has_written_is_refused_in_words(sound, tmp_path, section, contents, text):
    wrong = written(tmp_path / "wrong.ekrec", sections(sound) | {section: [contents]})
    said = refused(wrong, sound)
    assert text is None or any(text in one for one in said)


@pytest.mark.parametrize("behind", [b"", struct.pack("<I", 0x8000_0000)])
def test_more_that_did_not_retire_than_was_executed_is_refused(sound, tmp_path, behind):
    contents = sections(sound)
    first = contents[formats.BLOCKS][0][:4]
    contents[formats.BLOCKS] = [first + struct.pack("<I", 0x8000_FFFF) + behind]
    said = refused(written(tmp_path / "wrong.ekrec", contents), sound)
    assert any("takes back more than retired" in one for one in said)


def test_a_sound_recording_is_refused_by_nobody(sound):
    assert refused(sound, sound) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_contents_that_were_changed_anywhere_are_read_or_refused(sound, tmp_path, data):
    contents = sections(sound)
    name = data.draw(st.sampled_from(sorted(contents)))
    number = data.draw(st.integers(0, len(contents[name]) - 1))
    chunk = bytearray(contents[name][number])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(chunk)))
        gone = data.draw(st.sampled_from([0, 1, 8, 40]))
        chunk[place : place + gone] = data.draw(st.sampled_from([bytes(gone), b"\xff" * gone]) | st.binary(max_size=9))
    contents[name][number] = bytes(chunk) or b"\0"
    refused(written(tmp_path / "wrong.ekrec", contents), sound)
