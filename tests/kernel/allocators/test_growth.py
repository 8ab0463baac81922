"""Heaps that are full: they grow by frames, as far as there are any, and give them back."""

from collections.abc import Callable

import pytest

from tests.kernel.allocators.guest import Guest
from tests.kernel.allocators.heap_model import PAGE
from tests.kernel.allocators.heap_models import HEAP_MODELS

pytestmark = pytest.mark.slow

KIB, MIB = 1 << 10, 1 << 20
HEAP = 64 * KIB
GuestOf = Callable[..., Guest]
every_heap = pytest.mark.parametrize("name", HEAP_MODELS)


def heap_with_frames(guest_of: GuestOf, name: str, frames: int) -> Guest:
    """A heap of 64 KiB, and so many frames to grow by."""
    guest = guest_of(f"mm/heap/{name}.S", "mm/heap/realloc.S", "mm/frames/stack.S", heap_size=HEAP, ram_size=4 * MIB)
    guest.call("heap_init", guest.symbol("heap_space"), HEAP)
    guest.call("frame_init", guest.free_ppn, guest.free_ppn + 1 + frames)
    assert guest.call("frame_total") == frames
    return guest


def fill(guest: Guest, size: int, most: int = 10_000) -> list[int]:
    """Blocks until there is no more room, or the most."""
    blocks: list[int] = []
    while len(blocks) < most and (block := guest.call("heap_alloc", size, 8)):
        blocks.append(block)
    return blocks


def use(guest: Guest) -> dict[str, int]:
    """What is in use, and what is there."""
    names = ["frame_in_use", *(f"heap_{what}" for what in ("total", "requested", "allocated", "largest_free"))]
    return {name: guest.call(name) for name in names}


@every_heap
def test_a_heap_takes_all_frames_there_are_then_fails_and_gives_them_all_back(guest_of: GuestOf, name: str) -> None:
    guest = heap_with_frames(guest_of, name, 300)
    before = use(guest)
    blocks = fill(guest, 3000)
    full = use(guest)
    assert len(blocks) == len(set(blocks))
    assert full["frame_in_use"] > 290, "what is left is no run that is long enough"
    assert full["heap_total"] >= HEAP + 270 * PAGE
    assert full["heap_requested"] == 3000 * len(blocks) <= full["heap_allocated"] <= full["heap_total"]
    assert guest.call("heap_alloc", 3000, 8) == 0, "it fails again, and nothing has changed"
    assert use(guest) == full
    for number in sorted(range(len(blocks)), key=lambda number: number * 7 % 31):
        guest.call("heap_dealloc", blocks[number], 3000, 8)
    assert use(guest) == before
    assert len(fill(guest, 3000)) == len(blocks), "all of it can be used again"


@every_heap
def test_a_heap_grows_by_a_quarter(guest_of: GuestOf, name: str) -> None:
    guest = heap_with_frames(guest_of, name, 300)
    totals = {HEAP}
    for _ in range(200):
        assert guest.call("heap_alloc", 900, 8)
        totals.add(guest.call("heap_total"))
    expected = [HEAP]
    while len(expected) < len(totals):
        expected.append(expected[-1] + expected[-1] // 4 // PAGE * PAGE)
    assert sorted(totals) == expected
    assert len(totals) > 3


@every_heap
def test_a_block_larger_than_a_quarter_gets_what_it_needs(guest_of: GuestOf, name: str) -> None:
    guest = heap_with_frames(guest_of, name, 300)
    fill(guest, 32 * KIB - 32, most=2)
    before = guest.call("heap_total")
    block = guest.call("heap_alloc", 60_000, 8)
    assert block >> 12 > guest.free_ppn, "it lies in frames"
    assert before + 60_000 <= guest.call("heap_total") <= before + 64 * KIB
    assert guest.call("frame_in_use") <= 16 + 1, "one more for header and states"


@every_heap
def test_where_no_run_of_a_quarter_is_free_what_the_block_needs_must_do(guest_of: GuestOf, name: str) -> None:
    guest = heap_with_frames(guest_of, name, 40)
    guest.call("frame_alloc_contiguous", 36)  # a quarter would take four frames, and one for header and states
    fill(guest, 4000)
    pages_for_blocks = 2  # in two regions, or in one with the two pages that the tree needs for one block
    assert guest.call("heap_total") == HEAP + pages_for_blocks * PAGE


@every_heap
def test_without_a_frame_allocator_a_heap_is_what_bss_has_room_for(guest_of: GuestOf, name: str) -> None:
    guest = heap_with_frames(guest_of, name, 1)
    guest.write(guest.symbol("frame_count"), bytes(16))
    assert fill(guest, 1000)
    assert guest.call("heap_total") == HEAP


@every_heap
def test_wrong_frees_are_found_in_grown_regions(guest_of: GuestOf, name: str) -> None:
    guest = heap_with_frames(guest_of, name, 300)
    fill(guest, 1000, most=60)
    blocks = fill(guest, 1000, most=20)
    one, other = blocks[10], blocks[11]
    assert min(one, other) >> 12 > guest.free_ppn, "they lie in frames"
    foreign = "Heap block ptr={:#x} has not been allocated!"
    for place in (one + 16, one + 512, (one & -PAGE) - 8, guest.free_ppn << 12, 0, (1 << 64) - 8):
        assert guest.refusal("heap_dealloc", place, 1000, 8) == foreign.format(place)
    assert "is freed with another size: 5000 bytes" in guest.refusal("heap_dealloc", one, 5000, 8)
    guest.call("heap_dealloc", one, 1000, 8)
    assert guest.refusal("heap_dealloc", one, 1000, 8) == foreign.format(one)
    assert guest.refusal("heap_resize", one, 1000, 8, 2000) == foreign.format(one)
    region = guest.variable("heap_region", 2)
    assert region
    for block in blocks:
        if block != one:
            guest.call("heap_dealloc", block, 1000, 8)
    assert guest.refusal("heap_dealloc", other, 1000, 8) == foreign.format(other), "the region is gone"


@every_heap
def test_writing_into_a_free_block_of_a_grown_region_is_found(guest_of: GuestOf, name: str) -> None:
    guest = heap_with_frames(guest_of, name, 300)
    fill(guest, 1000, most=60)
    blocks = fill(guest, 1000, most=20)
    guest.call("heap_dealloc", blocks[10], 1000, 8)
    guest.write(blocks[10] - (32 if name == "buddy_tree" else 0), b"written after it was freed, and over all its links")
    assert guest.refusal("heap_alloc", 1000, 8).endswith("was written to from outside!")


@pytest.mark.parametrize("name", ["best_fit", "first_fit", "worst_fit"])
@pytest.mark.parametrize("size", [0, 8, 16, 512, 1024, 1 << 20, 1 << 63, (1 << 64) - 16])
def test_a_free_block_with_another_size_than_it_has_is_not_used(guest_of: GuestOf, name: str, size: int) -> None:
    guest = heap_with_frames(guest_of, name, 1)
    block = guest.call("heap_alloc", 1008, 8)
    fill(guest, 1008)
    fill(guest, 16)
    guest.call("heap_dealloc", block, 1008, 8)  # now the only free one
    guest.write(block, size.to_bytes(8, "little"))
    message = f"Heap block at {block:#x} was written to from outside!"
    assert guest.refusal("heap_alloc", 8, 8) == message


@pytest.mark.parametrize("link", [0, 8], ids=["next", "previous"])
@pytest.mark.parametrize("where", [0, 0x10, 0x1000, 0x8020_0000, 0xFFFF_FFFF_FFFF_FFF0, "misaligned", "behind"])
@pytest.mark.parametrize("name", ["buddy", "buddy_tree"])
def test_a_link_that_leads_out_of_the_heap_is_not_followed(
    guest_of: GuestOf, name: str, link: int, where: int | str
) -> None:
    guest = heap_with_frames(guest_of, name, 300)
    blocks = fill(guest, 90, most=5)
    for number in (3, 1):  # free blocks none of which has a free buddy; the second is the next to be used
        guest.call("heap_dealloc", blocks[number], 90, 8)
    if name == "buddy_tree" and where == 0:
        where = 0x8  # 0 ends a list of the tree, and is right there
    address = {"misaligned": blocks[3] + 4, "behind": guest.symbol("heap_space") + HEAP}.get(str(where), where)
    guest.write(blocks[1] + link, int(address).to_bytes(8, "little"))
    assert guest.refusal("heap_alloc", 90, 8).endswith("was written to from outside!")


@every_heap
@pytest.mark.parametrize("align", [8 * KIB, 16 * KIB, 64 * KIB, 256 * KIB])
@pytest.mark.parametrize("size", [0, 1, 100, 5000, 40_000])
def test_any_alignment_is_kept_in_any_region(guest_of: GuestOf, name: str, align: int, size: int) -> None:
    guest = guest_of(f"mm/heap/{name}.S", "mm/heap/realloc.S", "mm/frames/stack.S", heap_size=MIB, ram_size=8 * MIB)
    guest.call("heap_init", guest.symbol("heap_space"), MIB)
    guest.call("frame_init", guest.free_ppn, guest.end_ppn)
    before = use(guest)
    blocks = [guest.call("heap_alloc", size, align) for _ in range(5)]
    assert all(block and block % align == 0 for block in blocks)
    for first, second in zip(sorted(blocks), sorted(blocks)[1:], strict=False):
        assert second - first >= max(size, 1)
    for block in blocks:
        guest.write(block, b"x" * size)
    assert guest.call("heap_requested") == 5 * size
    for number in (2, 0, 4, 1, 3):
        wrong = blocks[number] + 64
        assert guest.refusal("heap_dealloc", wrong, size, align).endswith("has not been allocated!")
        guest.call("heap_dealloc", blocks[number], size, align)
        assert guest.refusal("heap_dealloc", blocks[number], size, align).endswith("has not been allocated!")
    assert use(guest) == before


@every_heap
def test_a_block_grows_and_shrinks_in_its_place_where_there_is_room(guest_of: GuestOf, name: str) -> None:
    guest = heap_with_frames(guest_of, name, 10)
    block = guest.call("heap_alloc", 100, 8)
    size = 100
    for number, new in enumerate((200, 3000, 20_000, 150, 0, 64, 5000, 100)):
        filling = bytes([number + 1]) * size
        guest.write(block, filling)
        assert guest.call("heap_realloc", block, size, 8, new) == block
        assert guest.read(block, min(size, new)) == filling[:new]
        assert guest.call("heap_requested") == new
        size = new
    assert guest.call("heap_allocated") < 300
    guest.call("heap_dealloc", block, size, 8)
    assert guest.call("heap_largest_free") == HEAP


@every_heap
def test_a_block_moves_into_frames_when_there_is_no_room_for_another_size(guest_of: GuestOf, name: str) -> None:
    guest = heap_with_frames(guest_of, name, 100)
    blocks = fill(guest, 4000, most=8)
    guest.write(blocks[3], bytes(range(250)) * 16)
    moved = guest.call("heap_realloc", blocks[3], 4000, 8, 100_000 if name != "buddy_tree" else 60_000)
    assert moved >> 12 > guest.free_ppn
    assert guest.read(moved, 4000) == bytes(range(250)) * 16
    assert guest.call("heap_requested") == 7 * 4000 + (100_000 if name != "buddy_tree" else 60_000)


@every_heap
def test_growing_shrinking_and_resizing_keep_the_registers_of_the_caller(guest_of: GuestOf, name: str) -> None:
    guest = heap_with_frames(guest_of, name, 300)
    call = guest.call_checking_registers
    blocks = []
    while guest.call("heap_total") < 2 * HEAP:
        blocks.append(call("heap_alloc", 3000, 64))
    assert call("heap_resize", blocks[3], 3000, 64, 500) == 1
    assert call("heap_resize", blocks[3], 500, 64, 1 << 30) == 0
    assert call("heap_resize", blocks[3], 500, 64, 3000) == 1
    for block in blocks:
        call("heap_dealloc", block, 3000, 64)
    assert guest.call("heap_total") == HEAP
