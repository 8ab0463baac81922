"""A recorded run in the files of other programs, read back by them, or by their libraries."""

import json
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

from emu.cli import trace
from emu.engine.translated.features.registerwrites import RECORD as REGISTER
from emu.engine.translated.features.registerwrites import decode_all
from emu.events import FrameAllocated, FrameFreed, HeapAllocated, HeapFreed, InterruptRaised, SyscallMade, TrapTaken
from emu.observe.calls.tree import CallTree, totals
from emu.record.recorder import Recorder
from emu.record.recording import Recording
from emu.report.files import parquet
from emu.report.files.schema import schema
from emu.report.files.tables import TABLES
from emu.report.places import Places
from emu.report.tracefile import TraceFile
from emu.terminal.signals import Signals
from tests.emu.record import recorded_guest as guest

SCHEMA = Path(__file__).parents[3] / "docs" / "trace.schema.json"
ALLOCATIONS = [
    (FrameAllocated, {"ppn": "0x80300", "count": 3}, ("frames held", 3)),
    (HeapAllocated, {"address": "0x80400000", "size": 24}, ("heap bytes held", 24)),
    (HeapAllocated, {"address": "0x80400040", "size": 100}, ("heap bytes held", 124)),
    (FrameFreed, {"ppn": "0x80301", "count": 1}, ("frames held", 2)),
    (HeapFreed, {"address": "0x80400000", "size": 0}, ("heap bytes held", 100)),
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, request):
    """A recording with everything in it, and the calls of each function as the profile counts them."""
    path = tmp_path_factory.mktemp("files") / "run.ekrec"
    machine = guest.machine(request.getfixturevalue("build"), "fast")
    with Recorder(machine, path, ("calls", "memory", "registers")) as recorder:
        events = TraceFile(recorder.events, Places(machine))
        for kind in (TrapTaken, SyscallMade, InterruptRaised):
            machine.on(kind, events.write)
        machine.run()
        for kind, fields, _ in ALLOCATIONS:  # this guest has no allocator
            line = {"event": kind.__name__, "instret": machine.instret, "pc": "0x80200000", **fields}
            recorder.events.write(json.dumps(line).encode() + b"\n")
    with Recording(path) as recording:
        tree = CallTree(lambda pc: recording.names.symbols.at(pc)[0].label)
        for transfer in recording.transfers():
            tree.apply(transfer)
    calls = {name: number for name, (_, _, number) in totals(tree.root).items() if number}
    assert calls["work"] > 100
    return path, calls


def shown(path, *words):
    assert trace.main([str(path), *map(str, words)], Signals()) == 0


def spans(events):
    """Calls and traps as (stack, begin, end, name), from beginnings and ends; the latter must be the innermost's."""
    stacks, found = {}, []
    for stack, when, name in events:
        if name is not None:
            stacks.setdefault(stack, []).append((when, name))
        else:
            begin, name = stacks[stack].pop()
            assert begin <= when
            found.append((stack, begin, when, name))
    return found


def perfetto_events(path):
    names, found, counters, threads = {}, [], {}, {}
    trace = Trace()
    trace.ParseFromString(path.read_bytes())
    for packet in trace.packet:
        names |= {name.iid: name.name for name in packet.interned_data.event_names}
        descriptor, event = packet.track_descriptor, packet.track_event
        if descriptor.HasField("thread"):
            threads[descriptor.uuid] = descriptor.thread.tid
        elif descriptor.HasField("counter"):
            counters[descriptor.uuid] = descriptor.name
        elif packet.HasField("track_event"):
            where = threads.get(event.track_uuid) or counters[event.track_uuid]
            value = event.counter_value if event.type == TrackEvent.TYPE_COUNTER else names.get(event.name_iid)
            found.append((event.type, where, packet.timestamp, value, list(event.categories)))
    return found


def test_perfettos_own_library_reads_calls_traps_system_calls_counters_and_instants(recorded, tmp_path):
    path, calls = recorded
    shown(path, "-format", "perfetto", "-o", tmp_path / "run.pftrace")
    events = perfetto_events(tmp_path / "run.pftrace")
    begun = Counter(name for kind, _, _, name, category in events if category == ["call"])
    assert begun == {name: number for name, number in calls.items() if name != "handler"}
    traps = Counter(name for _, _, _, name, category in events if category == ["trap"])
    assert set(traps) == {"store access fault", "supervisor timer interrupt"}
    assert traps["store access fault"] == 60
    assert sum(traps.values()) == calls["handler"]
    counted = [(track, value) for kind, track, _, value, _ in events if kind == TrackEvent.TYPE_COUNTER]
    assert counted == [counter for _, _, counter in ALLOCATIONS]
    instants = [name for kind, _, _, name, _ in events if kind == TrackEvent.TYPE_INSTANT]
    assert set(instants) == {"InterruptRaised"}
    times = [when for _, _, when, _, _ in events]
    assert times == sorted(times)
    kinds = (TrackEvent.TYPE_SLICE_BEGIN, TrackEvent.TYPE_SLICE_END)
    whole = spans((where, when, name) for kind, where, when, name, _ in events if kind in kinds)
    assert len(whole) == sum(calls.values())  # all have returned


def test_chromes_json_has_the_same_spans(recorded, tmp_path):
    shown(recorded[0], "-format", "perfetto", "-o", tmp_path / "run.pftrace")
    shown(recorded[0], "-format", "chrome", "-o", tmp_path / "run.json")
    theirs = [
        (stack, when, name)
        for kind, stack, when, name, _ in perfetto_events(tmp_path / "run.pftrace")
        if kind in (TrackEvent.TYPE_SLICE_BEGIN, TrackEvent.TYPE_SLICE_END)
    ]
    events = json.loads((tmp_path / "run.json").read_text())["traceEvents"]
    assert [(one["tid"], one["ts"], one.get("name")) for one in events if one["ph"] in "BE"] == theirs
    counted = [(one["name"], one["args"]["held"]) for one in events if one["ph"] == "C"]
    assert counted == [counter for _, _, counter in ALLOCATIONS]


def test_uftrace_reports_the_calls_that_the_profile_counts(recorded, tmp_path, oracle):
    path, calls = recorded
    shown(path, "-format", "uftrace", "-o", tmp_path / "run")
    command = [oracle("uftrace"), "report", "--no-pager", "-d", "run"]
    report = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=5) for line in report.splitlines()[2:]]
    found = {row[5]: int(row[4]) for row in rows}
    traps = found.pop("store access fault"), found.pop("supervisor timer interrupt")
    assert sum(traps) == calls["handler"]
    assert found == {name: number for name, number in calls.items() if name != "handler"}
    replay = subprocess.run(
        ["uftrace", "replay", "--no-pager", "-d", "run"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"work\(\) \{\n.* {3}work\(\)", replay)


@pytest.mark.parametrize("span", [(400, 900), (1, 1), (100, 10**9)])
def test_a_part_of_the_run_begins_with_what_is_open_then(recorded, tmp_path, span):
    first, last = span
    shown(recorded[0], "-format", "perfetto", "-o", tmp_path / "all")
    shown(recorded[0], "-format", "perfetto", "-range", f"{first}-{last}", "-o", tmp_path / "part")
    kinds = (TrackEvent.TYPE_SLICE_BEGIN, TrackEvent.TYPE_SLICE_END)
    stacks, wanted = {}, []
    for _, stack, when, name, _ in (one for one in perfetto_events(tmp_path / "all") if one[0] in kinds):
        if when < first:
            stacks.setdefault(stack, []).append(name) if name is not None else stacks[stack].pop()
        elif when <= last:
            wanted.append((stack, when, name))
    opened = [(stack, first, name) for stack in sorted(stacks) for name in stacks[stack]]
    found = [one[1:4] for one in perfetto_events(tmp_path / "part") if one[0] in kinds]
    assert found == opened + wanted


@pytest.mark.parametrize("what", TABLES)
def test_rows_are_the_same_in_parquet_and_json_lines_and_as_the_schema_says(recorded, tmp_path, what):
    shown(recorded[0], what, "-format", "jsonl", "-range", "50-500", "-o", tmp_path / "rows.jsonl")
    shown(recorded[0], what, "-format", "parquet", "-range", "50-500", "-o", tmp_path / "rows.parquet")
    shown(recorded[0], what, "-range", "50-500", "-o", tmp_path / "rows.txt")
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(lines) == len((tmp_path / "rows.txt").read_text().splitlines()) > 10
    published = json.loads(SCHEMA.read_text())
    validator = jsonschema.Draft202012Validator({**published, "anyOf": [{"$ref": f"#/$defs/{what}"}]})
    for line in lines[:40]:
        validator.validate(line)
    rows = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    hexadecimal = [column.name for column in TABLES[what].columns if column.kind == "address"]
    assert rows == [line | {name: int(line[name], 16) for name in hexadecimal} for line in lines]


UPPER_HALF = """
    la t0, root
    li t1, 0x80000 << 10 | 0xcf
    sd t1, 16(t0)
    li t2, 510 * 8
    add t2, t2, t0
    sd t1, (t2)
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    la t0, upper
    li t1, 0xffffffff00000000
    or t0, t0, t1
    jr t0
upper:
"""


@pytest.mark.parametrize("what", TABLES)
@pytest.mark.parametrize(("first", "words"), [(UPPER_HALF, []), ("", ["-function", "work", "-range", "7-3000"])])
def test_columns_are_rows_in_the_upper_half_and_of_chosen_functions(build, tmp_path, monkeypatch, what, first, words):
    source = first + guest.PROGRAM + "    .balign 4096\nroot: .zero 4096\n"
    machine = guest.machine(build, "fast", source=source)
    with Recorder(machine, tmp_path / "r", ("calls", "memory", "registers")):
        for _ in range(40):
            machine.run(97)
    monkeypatch.setattr(parquet, "_AT_ONCE", 50)
    shown(tmp_path / "r", what, *words, "-format", "parquet", "-o", tmp_path / "rows.parquet")
    shown(tmp_path / "r", what, *words, "-format", "jsonl", "-o", tmp_path / "rows.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    names = [column.name for column in TABLES[what].columns if column.kind == "address"]
    assert len(lines) > 10
    assert any(int(line["pc"], 16) >> 32 == 0xFFFF_FFFF for line in lines) is bool(first)
    assert pq.read_table(tmp_path / "rows.parquet").to_pylist() == [
        line | {name: int(line[name], 16) for name in names} for line in lines
    ]


RECORDS = st.lists(st.tuples(st.sampled_from([1, 2, 33]), st.integers(0, 3), st.integers(0, 3)), max_size=12)


@given(RECORDS, st.lists(st.integers(0, 12), max_size=3))
def test_of_several_writes_of_a_register_by_one_instruction_the_last_is_told_wherever_pieces_end(records, ends):
    packed = [REGISTER.pack(0x8020_0000 << 8 | register, value, time) for register, value, time in records]
    cuts = sorted({0, *ends, len(packed)})
    parts = [b"".join(packed[begin:end]) for begin, end in pairwise(cuts)]
    rows = [tuple(map(int, row)) for piece in parquet._last_of_each(np, iter(parts)) for row in piece]
    expected = [(each.pc << 8 | each.register, each.value, each.instret) for each in decode_all(parts)]
    assert rows == expected


def test_the_published_schema_is_that_of_the_code_and_events_keep_to_it(recorded, capsys):
    published = json.loads(SCHEMA.read_text())
    assert published == schema()
    validator = jsonschema.Draft202012Validator(published)
    shown(recorded[0], "events")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [line for line in lines if "privilege" in line]
    assert len(told) > 100
    for line in told[:100]:
        validator.validate(line)
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(line | {"instret": None})


@pytest.mark.parametrize(
    ("package", "form"), [("perfetto.protos.perfetto.trace.perfetto_trace_pb2", "perfetto"), ("pyarrow", "parquet")]
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(recorded, tmp_path, monkeypatch, package, form):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(Exception, match=rf"needs the package \w+: pip install 'ekernel\[{form}\]'"):
        shown(recorded[0], "-format", form, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-format", "perfeto", "-o", "x"], "-format perfeto: did you mean 'perfetto'?"),
        (["memory", "-format", "chrome", "-o", "x"], "-format chrome has calls, traps and events together"),
        (["commits", "-format", "jsonl"], "commits have no columns: -format jsonl does not go with them"),
        (["-format", "parquet"], "-format parquet writes a file: name it with -o FILE"),
        (["-format", "uftrace", "-o", "."], "cannot be written: File exists"),
        (["-format", "chrome", "-o", "/"], "/ cannot be written: Is a directory"),
    ],
)
def test_formats_that_do_not_fit_are_told(recorded, words, text):
    with pytest.raises(Exception, match=re.escape(text)):
        shown(recorded[0], *words)


def test_many_events_in_json_are_warned_of(recorded, tmp_path, monkeypatch, capsys):
    shown(recorded[0], "-format", "chrome", "-o", tmp_path / "few.json")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("emu.report.files.chrome.LARGE", 100)
    shown(recorded[0], "-format", "chrome", "-o", tmp_path / "many.json")
    assert re.search(r"many.json has [\d,]+ events, .* -format perfetto is made for so many", capsys.readouterr().err)
