"""Frame allocators: what each document shows of its own, and what all do at the edges and at any size of memory."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.kernel.allocators.frame_models import FRAME_MODELS, SegmentTreeModel, segment_tree_node
from tests.kernel.allocators.guest import Guest

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
GuestOf = Callable[..., Guest]
every_allocator = pytest.mark.parametrize("name", FRAME_MODELS)


def frames_of(guest_of: GuestOf, name: str, count: int) -> tuple[Guest, int]:
    """A guest whose allocator governs so many frames, a few dozen, and the ppn of the first."""
    guest = guest_of(f"mm/frames/{name}.S", ram_size=4 * MIB)
    guest.call("frame_init", guest.free_ppn, guest.free_ppn + 1 + count)
    assert guest.call("frame_total") == count, "the books of a few frames fit into one"
    return guest, guest.free_ppn + 1


def test_the_stack_hands_out_recycled_frames_in_reverse(guest_of: GuestOf) -> None:
    guest, first = frames_of(guest_of, "stack", 16)
    frames = [guest.call("frame_alloc") for _ in range(5)]
    assert frames == [first, first + 1, first + 2, first + 3, first + 4]
    for frame in frames:
        guest.call("frame_dealloc", frame)
    assert [guest.call("frame_alloc") for _ in range(5)] == frames[::-1]
    assert guest.call("frame_alloc") == first + 5


def test_intervals_begin_as_one_and_a_freed_frame_is_pushed_as_one_of_its_own(guest_of: GuestOf) -> None:
    guest, first = frames_of(guest_of, "intervals", 9)

    def intervals() -> list[tuple[int, int]]:
        words = guest.words(guest.variable("intervals"), 2 * guest.variable("intervals_length"))
        return list(zip(words[::2], words[1::2], strict=True))

    assert intervals() == [(0, 9)]
    assert guest.call("frame_alloc") == first
    assert intervals() == [(1, 9)]
    guest.call("frame_alloc")
    guest.call("frame_dealloc", first)
    assert intervals() == [(2, 9), (0, 1)]
    guest.call("frame_dealloc", first + 1)
    assert intervals() == [(2, 9), (0, 1), (1, 2)]
    assert guest.call("frame_alloc") == first + 1
    assert intervals() == [(2, 9), (0, 1)]


@pytest.mark.parametrize("name", ["intervals", "segment_tree"])
def test_two_frames_that_were_dropped_last_first_are_handed_out_again(guest_of: GuestOf, name: str) -> None:
    guest, first = frames_of(guest_of, name, 9)
    for _ in range(2):
        frames = [guest.call("frame_alloc"), guest.call("frame_alloc")]
        assert frames == [first, first + 1]
        for frame in reversed(frames):
            guest.call("frame_dealloc", frame)


def test_a_segment_tree_of_five_frames_is_that_of_its_document_node_by_node(guest_of: GuestOf) -> None:
    guest, first = frames_of(guest_of, "segment_tree", 5)
    frames = {1: "0..4", 2: "0..2", 3: "3..4", 4: "0..1", 5: "2..2", 6: "3..3", 7: "4..4", 8: "0..0", 9: "1..1"}

    def nodes() -> dict[str, tuple[int, ...]]:
        return {frames[number]: segment_tree_node(guest, number)[1:] for number in frames}

    assert {number: f"{left}..{right}" for number, (left, right) in SegmentTreeModel(5).nodes().items()} == frames
    assert [segment_tree_node(guest, number)[0] for number in range(1, 16)] == [5, 3, 2, 2, 1, 1, 1, 1, 1, *[0] * 6]

    assert [guest.call("frame_alloc") for _ in range(3)] == [first, first + 1, first + 2]
    assert nodes() == {
        "0..4": (2, 0, 2),
        "0..2": (0, 0, 0),
        "3..4": (2, 2, 2),
        "0..1": (0, 0, 0),
        "2..2": (0, 0, 0),
        "3..3": (1, 1, 1),
        "4..4": (1, 1, 1),
        "0..0": (0, 0, 0),
        "1..1": (0, 0, 0),
    }

    guest.call("frame_dealloc", first)
    guest.call("frame_dealloc", first + 2)
    assert nodes() == {
        "0..4": (3, 1, 3),
        "0..2": (1, 1, 1),
        "3..4": (2, 2, 2),
        "0..1": (1, 1, 0),
        "2..2": (1, 1, 1),
        "3..3": (1, 1, 1),
        "4..4": (1, 1, 1),
        "0..0": (1, 1, 1),
        "1..1": (0, 0, 0),
    }
    assert guest.call("frame_alloc_contiguous", 3) == first + 2, "the run crosses the middle of the root"


def test_trackers_know_address_references_and_use_and_the_first_unused_one_is_found(guest_of: GuestOf) -> None:
    guest, first = frames_of(guest_of, "tracker", 9)

    def tracker(number: int) -> tuple[int, int, int]:
        address = guest.variable("frame_entries") + 16 * number
        return guest.doublewords(address, 1)[0], *guest.words(address + 8, 2)

    frames = [guest.call("frame_alloc") for _ in range(8)]
    assert [tracker(number) for number in range(9)] == [
        *(((first + number) << 12, 1, 1) for number in range(8)),
        ((first + 8) << 12, 0, 0),
    ]
    for frame in frames[1:6]:
        guest.call("frame_dealloc", frame)
    guest.call("frame_dealloc", frames[7])
    guest.call("frame_ref", frames[6])
    assert tracker(6) == (frames[6] << 12, 2, 1)
    assert tracker(7) == (frames[7] << 12, 0, 0)
    assert guest.call("frame_find", frames[6] << 12 | 0xABC) == frames[6]
    assert guest.call("frame_find", frames[7] << 12) == 0
    assert [guest.call("frame_alloc") for _ in range(6)] == [*frames[1:6], frames[7]]


@every_allocator
def test_an_exhausted_allocator_answers_zero_and_goes_on_after_a_free(guest_of: GuestOf, name: str) -> None:
    guest, first = frames_of(guest_of, name, 20)
    assert sorted(guest.call("frame_alloc") for _ in range(20)) == list(range(first, first + 20))
    assert guest.call("frame_alloc") == 0
    assert guest.call("frame_alloc_contiguous", 1) == 0
    assert guest.call("frame_in_use") == 20
    guest.call("frame_dealloc", first + 7)
    assert guest.call("frame_alloc") == first + 7


@every_allocator
def test_runs_are_found_among_frames_that_were_freed_one_by_one(guest_of: GuestOf, name: str) -> None:
    guest, first = frames_of(guest_of, name, 20)
    for _ in range(20):
        guest.call("frame_alloc")
    for number in (3, 14, 5, 4, 16, 15, 13, 8):
        guest.call("frame_dealloc", first + number)
    assert guest.call("frame_alloc_contiguous", 5) == 0
    assert guest.call("frame_alloc_contiguous", 4) == first + 13
    assert guest.call("frame_alloc_contiguous", 3) == first + 3
    assert guest.call("frame_alloc_contiguous", 2) == 0
    assert guest.call("frame_alloc") == first + 8


@every_allocator
@pytest.mark.parametrize(
    ("frames", "what"),
    [(0, "nothing"), (-1, "less than nothing"), (1, "one frame, for the books"), (1 << 33, "too much")],
)
def test_a_range_that_cannot_be_governed_is_refused(guest_of: GuestOf, name: str, frames: int, what: str) -> None:
    guest = guest_of(f"mm/frames/{name}.S", ram_size=4 * MIB)
    message = guest.refusal("frame_init", guest.free_ppn, guest.free_ppn + frames, changes_memory=True)
    assert message.startswith("illegal range for frame allocator"), what


@every_allocator
def test_a_frame_with_two_owners_is_free_when_the_second_lets_it_go(guest_of: GuestOf, name: str) -> None:
    guest, _ = frames_of(guest_of, name, 5)
    frame = guest.call("frame_alloc")
    assert guest.call("frame_ref", frame) == 2
    assert guest.refusal("frame_dealloc", frame) == f"Frame ppn={frame:#x} is freed, but has 2 owners!"
    assert guest.call("frame_unref", frame) == 1
    assert guest.call("frame_in_use") == 1
    assert guest.call("frame_unref", frame) == 0
    assert guest.call("frame_in_use") == 0
    assert guest.refusal("frame_unref", frame) == f"Frame ppn={frame:#x} has not been allocated!"


@every_allocator
@pytest.mark.parametrize("end", [1 * MIB, 8 * MIB, 128 * MIB, 4 * GIB], ids=["1 MiB", "8 MiB", "128 MiB", "4 GiB"])
def test_any_size_of_memory_is_governed_to_its_last_frame(name: str, end: int) -> None:
    guest = Guest(f"mm/frames/{name}.S", ram_size=max(end, 8 * MIB))
    start = guest.free_ppn
    stop = min(start + (end >> 12), guest.end_ppn)
    guest.call("frame_init", start, stop)
    total, first = guest.call("frame_total"), guest.variable("frame_first_ppn")
    assert first + total == stop
    assert total > (stop - start) * 98 // 100 - 1, "the books take less than a fiftieth"
    run = total - 3
    frames = [
        guest.call("frame_alloc"),
        guest.call("frame_alloc_contiguous", min(run, 1000)),
        guest.call("frame_alloc"),
    ]
    assert all(first <= frame < stop for frame in frames)
    guest.call("frame_dealloc_contiguous", frames[1], min(run, 1000))
    guest.call("frame_dealloc", frames[2])
    guest.call("frame_dealloc", frames[0])
    assert guest.call("frame_in_use") == 0


@pytest.mark.parametrize("name", ["stack", "intervals"])
def test_allocating_and_freeing_a_frame_costs_the_same_at_any_size_of_memory(name: str) -> None:
    costs = []
    for size in (8 * MIB, 128 * MIB, 4 * GIB):
        guest = Guest(f"mm/frames/{name}.S", ram_size=size)
        guest.call("frame_init", guest.free_ppn, guest.end_ppn)
        fresh = [guest.instructions("frame_alloc") for _ in range(40)]
        first = guest.variable("frame_first_ppn")
        freed = [guest.instructions("frame_dealloc", first + number) for number in (3, 39, 7, 2, 20)]
        again = [guest.instructions("frame_alloc") for _ in range(5)]
        assert max(fresh + freed + again) < 100
        costs.append((fresh, freed, again))
    assert costs[0] == costs[1] == costs[2], "O(1)"


@pytest.mark.parametrize("size", [128 * MIB, 4 * GIB], ids=["128 MiB", "4 GiB"])
def test_a_bitmap_allocation_costs_less_than_a_hundred_instructions_even_where_every_level_changes(size: int) -> None:
    guest = Guest("mm/frames/bitmap.S", ram_size=size)
    guest.call("frame_init", guest.free_ppn, guest.end_ppn)
    total, first = guest.call("frame_total"), guest.variable("frame_first_ppn")
    cost = [guest.instructions("frame_alloc") for _ in range(70)]
    assert guest.call("frame_alloc_contiguous", total - 71) == first + 1, "but for one frame, all are in use now"
    worst = guest.instructions("frame_alloc")
    assert max(cost) < worst < 100, "its word becomes empty, and the word of each level above"
    assert guest.call("frame_alloc") == 0


def test_the_bitmap_finds_the_highest_free_frame_through_all_its_levels() -> None:
    guest = Guest("mm/frames/bitmap.S", ram_size=4 * GIB)
    guest.call("frame_init", guest.free_ppn, guest.end_ppn)
    total, first = guest.call("frame_total"), guest.variable("frame_first_ppn")
    assert guest.call("frame_alloc_contiguous", total) == first
    # The last and the first frame of words, and of words of words, on each side of their edges; counted from the top.
    places = sorted({edge + side for edge in (0, 64, 64**2, 5 * 64**2, 64**3, 3 * 64**3) for side in (-1, 0, 1)} - {-1})
    frames = [first + total - 1 - place for place in [*places, total - 1]]
    for frame in frames[::2] + frames[1::2]:
        guest.call("frame_dealloc", frame)
    assert guest.call("frame_alloc_contiguous", 3) == first + total - 1 - 65
    expected = [frame for frame in frames if not 63 <= first + total - 1 - frame <= 65]
    assert [guest.call("frame_alloc") for _ in expected] == expected
    assert guest.call("frame_alloc") == 0


def test_the_segment_tree_costs_a_few_nodes_more_when_memory_is_twice_as_large() -> None:
    costs = []
    for size in (8 * MIB, 64 * MIB, 512 * MIB, 4 * GIB):
        guest = Guest("mm/frames/segment_tree.S", ram_size=size)
        guest.call("frame_init", guest.free_ppn, guest.end_ppn)
        costs.append(max(guest.instructions("frame_alloc") for _ in range(40)))
    steps = [larger - smaller for smaller, larger in pairwise(costs)]
    assert max(steps) < 3 * 60, "O(log n): three levels more for eight times the memory"


def test_the_tracker_looks_at_every_tracker_below_the_frame_that_it_finds() -> None:
    guest = Guest("mm/frames/tracker.S", ram_size=64 * MIB)
    guest.call("frame_init", guest.free_ppn, guest.end_ppn)
    empty = guest.instructions("frame_alloc")
    guest.call("frame_alloc_contiguous", 10_000)
    behind = guest.instructions("frame_alloc")
    assert behind - empty >= 10_000, "O(memory)"


@pytest.mark.parametrize("name", FRAME_MODELS)
def test_every_function_keeps_the_registers_that_belong_to_its_caller(guest_of: GuestOf, name: str) -> None:
    guest, first = frames_of(guest_of, name, 20)
    call = guest.call_checking_registers
    call("frame_init", first - 1, first + 20)
    frame = call("frame_alloc")
    run = call("frame_alloc_contiguous", 5)
    assert call("frame_ref", frame) == 2
    assert call("frame_unref", frame) == 1
    assert call("frame_find", frame << 12) == frame
    assert call("frame_owners", frame) == 1
    assert call("frame_alloc_contiguous", 20) == 0
    assert call("frame_alloc_contiguous", 14) != 0
    assert call("frame_alloc") == 0
    call("frame_dealloc", run + 1)
    call("frame_dealloc", run)
    call("frame_dealloc_contiguous", run + 3, 2)
    call("frame_dealloc", run + 2)
    assert call("frame_alloc_contiguous", 5) == run
    call("frame_unref", frame)
    assert call("frame_in_use") == 19
    assert call("frame_total") == 20
