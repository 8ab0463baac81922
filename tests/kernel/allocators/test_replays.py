"""A recorded workload on every allocator: beside the models in Python, and as the command shows it."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from emu.cli import compare
from emu.labs.replays import replay_frames, replay_heaps
from emu.observe.allocations.workload import Ask, frame_workload, heap_workload
from emu.terminal.signals import Signals
from tests.kernel.allocators.guest import Guest
from tests.kernel.allocators.heap_models import HEAP_MODELS

HEAP_START = 0x8000_0000
"""Any address at which a heap of 64 KiB is aligned as all blocks may ask for."""


def recorded(steps: int) -> list[dict[str, object]]:
    """Events as a recording has them: blocks of all sizes, and frames alone and in rows, partly given back."""
    numbers, events, held = random.Random(7), list[dict[str, object]](), dict[int, int]()
    for step in range(steps):
        if held and numbers.random() < 0.4:
            address = numbers.choice(sorted(held))
            events.append({"event": "HeapFreed", "address": hex(address), "size": held.pop(address)})
            events.append({"event": "FrameFreed", "ppn": hex(address >> 12), "count": 1})
        else:
            address, size = 0x9000_0000 + 0x4000 * step, numbers.choice([0, 8, 100, 1500, 4000])
            held[address] = size
            events.append({"event": "HeapAllocated", "address": hex(address), "size": size, "align": 8})
            events.append({"event": "FrameAllocated", "ppn": hex(address >> 12), "count": numbers.choice([1, 1, 4])})
    return [*events, {"event": "HeapFreed", "address": "0x10", "size": 0}, {"event": "ConsoleOutput"}]


@pytest.mark.slow
def test_each_heap_wastes_what_its_model_wastes() -> None:
    asks = list(heap_workload(recorded(60)))
    size, rows = replay_heaps(asks)
    assert size == 64 << 10
    for row in rows:
        model = HEAP_MODELS[row.name.replace("-", "_")](HEAP_START, size)
        offsets: dict[int, int] = {}
        for step, ask in enumerate(asks):
            if ask.frees:
                model.dealloc(offsets.pop(ask.number))
            else:
                offset = model.alloc(ask.size, ask.align)
                assert offset is not None
                offsets[ask.number] = offset
            assert row.used[step] == sum(block.length for block in model.used.values()), row.name
        assert row.refused == 0
        assert len(row.alloc.each) + len(row.free.each) == len(asks)
        if row.name == "buddy-tree":  # it has a list for each of many thousand ids
            assert row.splits is row.joins is None
        else:
            assert row.splits
            assert row.joins


@pytest.mark.slow
def test_frames_are_refused_by_none_and_cost_what_a_call_costs(guest_of: Callable[..., Guest]) -> None:
    asks = list(frame_workload(recorded(60)))
    memory, rows = replay_frames(asks)
    assert memory == 16 << 20
    peak = 0
    held = 0
    for ask in asks:
        held += -ask.size if ask.frees else ask.size
        peak = max(peak, held)
    for row in rows:
        assert row.refused == 0
        assert peak <= row.peak < 4096
        assert all(0 <= share < 1 for share in row.external)
    guest = guest_of("mm/frames/stack.S")
    guest.call("frame_init", guest.free_ppn, guest.end_ppn)
    stack = next(row for row in rows if row.name == "stack")
    assert stack.alloc.each[0] == guest.instructions("frame_alloc_contiguous", asks[0].size) or asks[0].size == 1


def test_a_workload_is_what_a_recording_says_without_what_was_never_handed_out() -> None:
    events = recorded(40)
    blocks = [ask for ask in heap_workload(events) if not ask.frees]
    assert [ask.number for ask in blocks] == list(range(len(blocks)))
    assert sum(ask.frees for ask in heap_workload(events)) == sum(e["event"] == "HeapFreed" for e in events) - 1
    twice = [{"event": "HeapAllocated", "address": "0x80", "size": 8, "align": 0}] * 2
    assert [(ask.number, ask.frees) for ask in heap_workload(twice)] == [(0, False), (0, True), (1, False)]
    parts: list[dict[str, object]] = [
        {"event": "FrameAllocated", "ppn": "0x10", "count": 4},
        {"event": "FrameFreed", "ppn": "0x11", "count": 2},
        {"event": "FrameAllocated", "ppn": "0x11", "count": 1},
        {"event": "FrameFreed", "ppn": "0x10", "count": 4},
    ]
    assert list(frame_workload(parts))[3:] == [
        Ask(0, frees=True, size=1), Ask(1, frees=True, size=1), Ask(0, frees=True, size=1, part=3),
    ]  # fmt: skip


@pytest.mark.slow
def test_the_command_shows_and_draws_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, picture = str(tmp_path / "run"), tmp_path / "frames.svg"
    words = ["run", "-q", "--profile", "step-by-step", "--record", file, "--trace", "frames"]
    subprocess.run([sys.executable, "-m", "ekernel", *words], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    assert compare.main([file, "-allocators", "frames", "-o", str(picture)], Signals()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("calls of kernel.elf, in 16 MiB of memory")
    assert [line.split()[0] for line in lines[3:]] == ["bitmap", "intervals", "segment-tree", "stack", "tracker"]
    drawn = ET.parse(picture).getroot()  # noqa: S314  # our own
    texts = {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"bitmap", "tracker", "external fragmentation"} <= texts
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}path"))) == 10
    with pytest.raises(Exception, match="has no events of heap: record it with"):
        compare.main([file, "-allocators", "heap"], Signals())
    with pytest.raises(Exception, match="-allocators heep: did you mean 'heap'"):
        compare.main([file, "-allocators", "heep"], Signals())
