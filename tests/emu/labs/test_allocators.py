"""The claims of the documents about allocators, measured: the figures of `ekernel lab allocators`."""

import re
import sys
from pathlib import Path

import pytest

from emu.labs.allocators import AllocatorFigures, measure_allocators
from emu.labs.boot import EXEC, FORK, PAGE_FAULT, SWITCH
from emu.labs.frames import MEMORIES, RUNS, FrameMeasurement
from emu.labs.growth import FIRST_BYTES
from emu.labs.heaps import HEAP_BYTES, HEAP_SIZES
from emu.labs.table import lines_of
from kernel.choices import FRAME_ALLOCATORS, HEAPS

OPERATIONS = 60
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> AllocatorFigures:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("lab"))
        return measure_allocators(OPERATIONS)


def of(figures: AllocatorFigures, allocator: str) -> list[FrameMeasurement]:
    rows = [row for row in figures.frames if row.allocator == allocator]
    assert [row.memory for row in rows] == list(MEMORIES)
    return rows


def test_the_table_has_every_allocator_in_every_memory(figures: AllocatorFigures) -> None:
    text = "\n".join(lines_of(figures))
    for allocator in FRAME_ALLOCATORS:
        for memory in ("16 MiB", "128 MiB", "1 GiB", "4 GiB"):
            assert re.search(rf"^  {allocator} +{memory} +[\d,]+\.\d +[\d,]+ ", text, re.MULTILINE)
    for heap in HEAPS:
        assert len(re.findall(rf"^  {heap} +\d", text, re.MULTILINE)) == 4, "costs, growth and fragmentation"


def test_every_operation_was_counted_once(figures: AllocatorFigures) -> None:
    for row in figures.frames:
        assert len(row.alloc.each) + len(row.dealloc.each) == OPERATIONS
        assert row.alloc.mean <= row.alloc.worst
    for heap in figures.heaps:
        assert len(heap.history) == OPERATIONS


@pytest.mark.parametrize("allocator", ["stack", "intervals"])
def test_stack_and_intervals_cost_the_same_in_any_memory(figures: AllocatorFigures, allocator: str) -> None:
    rows = of(figures, allocator)
    assert all(row.alloc == rows[0].alloc and row.dealloc == rows[0].dealloc for row in rows), "O(1)"
    assert max(rows[0].alloc.worst, rows[0].dealloc.worst) < 100


def test_the_segment_tree_grows_by_its_levels(figures: AllocatorFigures) -> None:
    costs = [row.alloc.worst for row in of(figures, "segment-tree")]
    assert costs == sorted(costs)
    assert costs[-1] - costs[0] <= 8 * 60, "O(log n) from 16 MiB to 4 GiB"


@pytest.mark.parametrize("allocator", ["stack", "bitmap"])
def test_a_stack_or_bitmap_allocation_takes_less_than_a_hundred_instructions(
    figures: AllocatorFigures, allocator: str
) -> None:
    assert all(row.alloc.worst < 100 for row in of(figures, allocator)), "in any memory"


@pytest.mark.parametrize(
    ("allocator", "alloc", "dealloc", "run", "books"),
    [
        ("bitmap", "O(1)", "O(1)", "O(n)", "O(n)"),
        ("intervals", "O(1)", "O(1)", "O(1)", "O(n)"),
        ("segment-tree", "O(log n)", "O(log n)", "O(log n)", "O(n)"),
        ("stack", "O(1)", "O(1)", "O(1)", "O(n)"),
        ("tracker", "O(n)", "O(1)", "O(n)", "O(n)"),
    ],
)
def test_each_frame_allocator_has_the_class_that_is_claimed(
    figures: AllocatorFigures, allocator: str, alloc: str, dealloc: str, run: str, books: str
) -> None:
    lines = "\n".join(lines_of(figures)).partition("what fits: n = frames")[2].splitlines()
    row = next(line for line in lines if line.startswith(f"  {allocator} "))
    classes = re.findall(r"O\([^)]*\)", row)
    assert [*classes[:3], classes[4]] == [alloc, dealloc, run, books]


def test_frames_in_a_row_cost_more_the_more_they_are(figures: AllocatorFigures) -> None:
    for row in figures.frames:
        assert list(row.alloc_run) == list(row.dealloc_run) == list(RUNS)
        assert list(row.alloc_run.values()) == sorted(row.alloc_run.values())
        assert list(row.dealloc_run.values()) == sorted(row.dealloc_run.values())


def test_the_tracker_looks_at_half_of_memory_when_half_is_in_use(figures: AllocatorFigures) -> None:
    for row in of(figures, "tracker"):
        assert row.alloc.mean > row.total // 2, "O(n)"
        assert row.dealloc.worst < 100


def test_trackers_and_nodes_take_more_books_than_bits(figures: AllocatorFigures) -> None:
    books = {row.allocator: row.books for row in figures.frames if row.memory == MEMORIES[-1]}
    assert sorted(books, key=books.__getitem__) == ["bitmap", "stack", "intervals", "tracker", "segment-tree"]


def test_buddies_lose_bytes_inside_of_blocks_and_fits_next_to_none(figures: AllocatorFigures) -> None:
    internal = {row.heap: row.after(1.0).internal / row.after(1.0).requested for row in figures.heaps}
    assert min(internal["buddy"], internal["buddy-tree"]) > 0.1
    assert max(internal[heap] for heap in ("first-fit", "best-fit", "worst-fit")) < 0.02
    for row in figures.heaps:
        assert all(0 <= use.external < HEAP_BYTES for use in row.history)
        assert 0 < row.peak <= HEAP_BYTES


def test_fits_search_longer_in_a_larger_heap_and_buddies_do_not(figures: AllocatorFigures) -> None:
    for heap in figures.heaps:
        small, large = heap.by_size[HEAP_SIZES[0]][0].mean, heap.by_size[HEAP_SIZES[-1]][0].mean
        assert large < 2 * small if heap.heap.startswith("buddy") else large > 3 * small


def test_a_heap_that_is_too_small_grows_and_gives_all_frames_back(figures: AllocatorFigures) -> None:
    assert [row.heap for row in figures.growth] == sorted(HEAPS)
    for row in figures.growth:
        assert row.growing.each
        assert row.growing.mean > row.alloc.mean
        assert len(row.shrinking.each) > 0
        assert max(row.totals) > FIRST_BYTES == row.totals[-1]
        assert row.most_frames * 4096 >= max(row.totals) - FIRST_BYTES
        assert row.frames_left == 0


def test_faults_forks_execs_and_switches_of_a_boot_stand_in_the_same_table(figures: AllocatorFigures) -> None:
    assert list(figures.boots) == sorted(FRAME_ALLOCATORS)
    for boot in figures.boots.values():
        assert list(boot) == [PAGE_FAULT, FORK, EXEC, SWITCH]
        assert all(costs.each for costs in boot.values())
        assert boot[FORK].mean > boot[PAGE_FAULT].mean > boot[SWITCH].mean
        assert boot[EXEC].mean > boot[PAGE_FAULT].mean
    assert figures.boots["tracker"][FORK].mean > figures.boots["stack"][FORK].mean
    text = "\n".join(lines_of(figures))
    assert re.search(r"^ +page fault served +fork +exec +context switch$", text, re.MULTILINE)


def test_a_plot_has_the_format_of_its_name_and_is_the_same_each_time(figures: AllocatorFigures, tmp_path: Path) -> None:
    from emu.labs.plot import draw

    for name in ("costs.png", "one.svg", "two.svg"):
        draw(figures, tmp_path / name)
    assert (tmp_path / "costs.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "one.svg").read_bytes()
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_without_matplotlib_the_message_has_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from emu.errors import ConfigError
    from emu.labs.plot import check_plot

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"pip install 'ekernel\[plot\]'"):
        check_plot(tmp_path / "costs.png")
