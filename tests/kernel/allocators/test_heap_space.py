"""What an observer sees of a heap from outside, compared with what the heap says of itself."""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from emu.observe.allocations.catalogue import Catalogue
from emu.observe.allocations.costs import AllocatorCosts
from emu.observe.allocations.freelists import FreeMemory
from emu.observe.allocations.observers import HeapObserver
from emu.observe.allocations.space import HeapSpace, Piece, Sample
from tests.kernel.allocators.guest import Guest

MIB = 1 << 20


def test_free_pieces_and_fragmentation_are_what_the_buddy_heap_itself_counts(guest_of: Callable[..., Guest]) -> None:
    guest = guest_of("mm/heap/buddy.S", "mm/heap/realloc.S", "mm/frames/stack.S", heap_size=MIB, ram_size=4 * MIB)
    start = guest.symbol("heap_space")
    guest.call("heap_init", start, MIB)
    machine = guest.machine
    with HeapObserver(machine):
        space, costs = HeapSpace(machine, Catalogue(machine.symbols).fitting()), AllocatorCosts(machine)
        numbers, held = random.Random(5), list[tuple[int, int]]()
        whole = guest.call("heap_largest_free")
        for _ in range(120):
            if held and numbers.random() < 0.4:
                guest.call("heap_dealloc", *held.pop(numbers.randrange(len(held))), 8)
            else:
                size = numbers.choice([1, 40, 100, 700, 5000, 30_000])
                held.append((guest.call("heap_alloc", size, 8), size))
            sample = space.samples[-1]
            assert sample.requested == guest.call("heap_requested")
            assert sample.granted == guest.call("heap_allocated")
            assert sample.largest == guest.call("heap_largest_free")
            assert sample.free == whole - sample.granted
        for address, size in held:
            guest.call("heap_dealloc", address, size, 8)
        assert space.samples[-1].pieces == space.samples[0].pieces
        assert space.splits == space.joins > 50, "all that was split is joined again"
        found = {cost.name: cost for cost in costs.costs()}
        assert found["heap_alloc"].calls == found["heap_dealloc"].calls
        assert 0 < found["heap_alloc"].median <= found["heap_alloc"].worst < found["heap_alloc"].total
        space.close()
        costs.close()


@pytest.mark.parametrize("name", ["first_fit", "best_fit", "worst_fit", "buddy_tree", "buddy"])
def test_what_is_on_a_heaps_lists_is_what_it_has_not_handed_out(guest_of: Callable[..., Guest], name: str) -> None:
    guest = guest_of(f"mm/heap/{name}.S", "mm/heap/realloc.S", "mm/frames/stack.S", heap_size=MIB, ram_size=4 * MIB)
    guest.call("heap_init", guest.symbol("heap_space"), MIB)
    lists = FreeMemory(guest.machine, Catalogue(guest.machine.symbols).fitting(), blocks=True)
    assert lists.by_order is name.startswith("buddy")
    assert [(block.size, block.broken) for block in lists] == [(MIB, "")]
    held = [(guest.call("heap_alloc", size, 8), size) for size in (24, 3000, 100, 9000, 64, 64)]
    for address, size in held[::2]:
        guest.call("heap_dealloc", address, size, 8)
    free = list(lists)
    assert len(free) > 2
    assert sum(block.size for block in free) == MIB - guest.call("heap_allocated")
    spans = sorted((block.address, block.address + block.size) for block in free)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert not any(start <= address < end for start, end in spans for address, _ in held[1::2])


def test_of_very_many_calls_some_are_looked_at(guest_of: Callable[..., Guest], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emu.observe.allocations.space._NODES_A_CALL", 8)
    guest = guest_of("mm/heap/first_fit.S", "mm/heap/realloc.S", "mm/frames/stack.S", heap_size=MIB, ram_size=4 * MIB)
    guest.call("heap_init", guest.symbol("heap_space"), MIB)
    with HeapObserver(guest.machine):
        space = HeapSpace(guest.machine, ())
        assert not space.lists
        blocks = [guest.call("heap_alloc", 16, 8) for _ in range(200)]
        for block in blocks[::2]:
            guest.call("heap_dealloc", block, 16, 8)
        assert space.every > 1
        assert len(space.samples) < 300
        assert len(space.samples[-1].pieces) > 50
        assert space.samples[-1].external > 0.9
        space.close()


def test_fragmentation_is_the_part_that_is_lost() -> None:
    sample = Sample(0, 30, 40, frozenset({Piece(0, 0, 100), Piece(0, 200, 300)}))
    assert (sample.free, sample.largest, sample.external, sample.internal) == (400, 300, 0.25, 0.25)
    empty = Sample(0, 0, 0, frozenset())
    assert (empty.external, empty.internal) == (0.0, 0.0)
