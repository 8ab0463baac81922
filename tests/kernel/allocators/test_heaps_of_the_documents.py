"""Heaps: what each document says of its own, and what all do at the edges."""

from collections.abc import Callable

import pytest

from tests.kernel.allocators.guest import Guest
from tests.kernel.allocators.heap_models import HEAP_MODELS

KIB, MIB = 1 << 10, 1 << 20
GuestOf = Callable[..., Guest]
every_heap = pytest.mark.parametrize("name", HEAP_MODELS)
every_fit = pytest.mark.parametrize("name", ["first_fit", "best_fit", "worst_fit"])


def heap_of(guest_of: GuestOf, name: str, size: int = MIB) -> tuple[Guest, int]:
    """A guest with an empty heap, and where the heap begins."""
    guest = guest_of(f"mm/heap/{name}.S", "mm/heap/realloc.S", "mm/frames/stack.S", heap_size=MIB, ram_size=4 * MIB)
    start = guest.symbol("heap_space")
    guest.call("heap_init", start, size)
    return guest, start


@pytest.mark.parametrize(("name", "chosen"), [("first_fit", 0), ("best_fit", 2), ("worst_fit", 1)])
def test_each_strategy_chooses_another_hole(guest_of: GuestOf, name: str, chosen: int) -> None:
    guest, _ = heap_of(guest_of, name, 0x1000)
    holes = [0x200, 0x400, 0x100, 0x100]
    blocks = []
    for hole in holes:
        blocks.append(guest.call("heap_alloc", hole, 8))
        guest.call("heap_alloc", 16, 8)  # keeps the holes apart
    guest.call("heap_alloc", 0x1000 - sum(holes) - 16 * len(holes), 8)
    assert guest.call("heap_largest_free") == 0
    for block, size in zip(blocks, holes, strict=True):
        guest.call("heap_dealloc", block, size, 8)
    assert guest.call("heap_largest_free") == 0x400
    assert guest.call("heap_alloc", 0xF0, 8) == blocks[chosen]


@every_fit
def test_a_freed_block_joins_the_free_blocks_on_both_sides(guest_of: GuestOf, name: str) -> None:
    guest, start = heap_of(guest_of, name, 0x1000)
    blocks = [guest.call("heap_alloc", 0x400, 8) for _ in range(4)]
    assert blocks == [start, start + 0x400, start + 0x800, start + 0xC00]
    for block, largest in ((blocks[0], 0x400), (blocks[2], 0x400), (blocks[1], 0xC00), (blocks[3], 0x1000)):
        guest.call("heap_dealloc", block, 0x400, 8)
        assert guest.call("heap_largest_free") == largest


@every_fit
def test_what_lies_before_an_aligned_block_stays_free(guest_of: GuestOf, name: str) -> None:
    guest, start = heap_of(guest_of, name)
    assert guest.call("heap_alloc", 1, 1) == start
    far = guest.call("heap_alloc", 100, 0x4_0000)
    assert far == start + (-start) % 0x4_0000
    assert guest.call("heap_allocated") == 16 + 112
    rest = MIB - (far - start) - 112
    assert guest.call("heap_largest_free") == max(far - start - 16, rest)


@every_heap
def test_a_heap_that_was_filled_and_emptied_again_and_again_is_one_block(guest_of: GuestOf, name: str) -> None:
    guest, _ = heap_of(guest_of, name, 16 * KIB)
    largest = guest.call("heap_largest_free")
    for size in (1, 24, 32, 33, 200, 1000, 4000):
        for step in (1, -1, 7, 3):
            blocks = []
            while block := guest.call("heap_alloc", size, 8):
                blocks.append(block)
            assert len(blocks) == len(set(blocks)) >= 16 * KIB // (2 * size + 128)
            for number in sorted(range(len(blocks)), key=lambda number: number * step % 31):
                guest.call("heap_dealloc", blocks[number], size, 8)
            assert guest.call("heap_largest_free") == largest
            assert guest.call("heap_requested") == guest.call("heap_allocated") == 0
    assert guest.call("heap_alloc", largest - 32, 8) != 0


def test_a_block_of_the_tree_knows_its_id_address_and_size_and_its_buddy_is_the_id_with_the_last_bit_flipped(
    guest_of: GuestOf,
) -> None:
    guest, start = heap_of(guest_of, "buddy_tree")

    def header(pointer: int) -> tuple[int, int, int]:
        block = pointer - 32
        return guest.words(block, 1)[0], *guest.doublewords(block + 8, 2)

    blocks = [guest.call("heap_alloc", 128 * KIB, 8) for _ in range(4)]
    assert [header(block) for block in blocks] == [
        (4 + number, start + number * 256 * KIB, 256 * KIB) for number in range(4)
    ]
    guest.call("heap_dealloc", blocks[2], 128 * KIB, 8)
    guest.call("heap_dealloc", blocks[1], 128 * KIB, 8)
    assert guest.call("heap_largest_free") == 256 * KIB, "5 and 6 are neighbours, but not buddies"
    guest.call("heap_dealloc", blocks[3], 128 * KIB, 8)
    assert guest.call("heap_largest_free") == 512 * KIB
    assert header(blocks[2]) == (3, start + 512 * KIB, 512 * KIB)
    guest.call("heap_dealloc", blocks[0], 128 * KIB, 8)
    assert header(start + 32) == (1, start, MIB)


@every_heap
@pytest.mark.parametrize(("old", "new"), [(100, 200), (200, 100), (64, 64), (1, 70_000), (70_000, 0)])
def test_a_block_of_another_size_begins_with_what_the_old_one_held(
    guest_of: GuestOf, name: str, old: int, new: int
) -> None:
    guest, _ = heap_of(guest_of, name)
    block = guest.call("heap_alloc", old, 64)
    filling = bytes(number % 251 for number in range(old))
    guest.write(block, filling)
    moved = guest.call_checking_registers("heap_realloc", block, old, 64, new)
    assert moved != 0
    assert moved % 64 == 0
    assert guest.read(moved, min(old, new)) == filling[:new]
    assert guest.call("heap_requested") == new
    guest.call("heap_dealloc", moved, new, 64)
    assert guest.call("heap_largest_free") == MIB


@every_heap
def test_a_block_stays_as_it_was_when_there_is_no_room_for_another_size(guest_of: GuestOf, name: str) -> None:
    guest, _ = heap_of(guest_of, name)
    block = guest.call("heap_alloc", 1000, 8)
    guest.write(block, b"still here")
    assert guest.call("heap_realloc", block, 1000, 8, MIB + 1) == 0
    assert guest.read(block, 10) == b"still here"
    assert guest.call("heap_requested") == 1000
    guest.call("heap_dealloc", block, 1000, 8)
    assert guest.call("heap_largest_free") == MIB


@every_heap
@pytest.mark.parametrize("align", [3, 24, 0x1001, (1 << 64) - 1])
def test_an_alignment_that_is_no_power_of_two_gets_nothing(guest_of: GuestOf, name: str, align: int) -> None:
    guest, _ = heap_of(guest_of, name)
    assert guest.call("heap_alloc", 64, align) == 0


@every_heap
@pytest.mark.parametrize("size", [MIB + 1, 1 << 32, (1 << 63) + 5, (1 << 64) - 1, (1 << 64) - 40])
def test_more_than_the_heap_has_is_not_allocated(guest_of: GuestOf, name: str, size: int) -> None:
    guest, _ = heap_of(guest_of, name)
    assert guest.call("heap_alloc", size, 8) == 0
    assert guest.call("heap_requested") == guest.call("heap_allocated") == 0


@every_heap
@pytest.mark.parametrize(("offset", "size"), [(8, 4096), (2048, 4096), (0, 0), (0, 15), (0, MIB + 64), (0, 1 << 63)])
def test_an_area_that_cannot_be_a_heap_is_refused(guest_of: GuestOf, name: str, offset: int, size: int) -> None:
    guest, start = heap_of(guest_of, name)
    message = guest.refusal("heap_init", start + offset, size, changes_memory=True)
    rounded = size - size % HEAP_MODELS[name].granule
    assert message.startswith(f"illegal area for the heap: start={start + offset:#x}, size=")
    assert int(message.rpartition("=")[2]) in (size, rounded)


@every_heap
def test_writing_into_a_free_block_is_found_when_the_block_is_used(guest_of: GuestOf, name: str) -> None:
    guest, _ = heap_of(guest_of, name)
    blocks = [guest.call("heap_alloc", 100, 8) for _ in range(3)]
    guest.call("heap_dealloc", blocks[1], 100, 8)
    guest.write(blocks[1], b"used after it was freed")
    assert "written to" in guest.refusal("heap_alloc", 100, 8)


@every_fit
def test_writing_behind_a_block_is_found_when_the_next_one_is_free(guest_of: GuestOf, name: str) -> None:
    guest, start = heap_of(guest_of, name)
    block = guest.call("heap_alloc", 100, 8)
    guest.write(block, b"x" * 120)
    message = f"Heap block at {start + 112:#x} was written to from outside!"
    assert guest.refusal("heap_alloc", 1, 8) == message
    assert guest.refusal("heap_largest_free") == message
    assert guest.refusal("heap_dealloc", block, 100, 8, changes_memory=True) == message


def test_writing_behind_a_block_is_found_in_the_header_of_the_next_one(guest_of: GuestOf) -> None:
    guest, _ = heap_of(guest_of, "buddy_tree")
    blocks = [guest.call("heap_alloc", 96, 8) for _ in range(2)]
    guest.write(blocks[0], b"x" * 110)
    message = guest.refusal("heap_dealloc", blocks[1], 96, 8)
    assert message == f"Heap block at {blocks[1] - 32:#x} was written to from outside!"


@every_heap
def test_every_function_keeps_the_registers_that_belong_to_its_caller(guest_of: GuestOf, name: str) -> None:
    guest, start = heap_of(guest_of, name)
    guest.call_checking_registers("heap_init", start, MIB)
    blocks = [guest.call_checking_registers("heap_alloc", size, 64) for size in (1, 100, 5000, 64, 300)]
    assert guest.call_checking_registers("heap_alloc", MIB, 8) == 0
    for number, size in ((1, 100), (0, 1), (4, 300), (2, 5000), (3, 64)):
        guest.call_checking_registers("heap_dealloc", blocks[number], size, 64)
        guest.call_checking_registers("heap_largest_free")
    for function in ("heap_total", "heap_requested", "heap_allocated"):
        guest.call_checking_registers(function)
    assert guest.call("heap_largest_free") == MIB
