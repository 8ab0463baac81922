"""What an observer sees of a heap from outside, compared with what the heap says of itself."""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.observe.allocations.catalogue import Catalogue
from emu.observe.allocations.costs import AllocatorCosts
from emu.observe.allocations.freelists import FreeMemory
from emu.observe.allocations.gaps import Gaps, gaps
from emu.observe.allocations.observers import HeapObserver
from emu.observe.allocations.space import HeapSpace, Sample
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
        guest.call("heap_dealloc", guest.call("heap_alloc", 1, 1), 1, 1)
        whole, at_first = guest.call("heap_largest_free"), space.pieces
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
        assert space.pieces == at_first
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
    monkeypatch.setattr("emu.observe.allocations.space._NODES_A_CALL", 1)
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
        assert len(space.pieces) > 50
        assert space.samples[-1].external > 0.9
        space.close()


def test_fragmentation_is_the_part_that_is_lost() -> None:
    sample = Sample(0, requested=30, granted=40, free=400, largest=300)
    assert (sample.external, sample.internal) == (0.25, 0.25)
    empty = Sample(0, 0, 0, 0, 0)
    assert (empty.external, empty.internal) == (0.0, 0.0)


_BLOCKS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)), max_size=30)
_FAR = 1 << 25


@given(_BLOCKS, st.booleans())
def test_gaps_between_blocks_that_come_and_go_are_those_of_the_blocks_that_are_there(
    events: list[tuple[int, int]], overlaps: bool
) -> None:
    between, held = Gaps(), dict[int, int]()
    for number, size in events:
        address = number * (2 if overlaps else 8) + (_FAR if number > 20 else 0)
        if held.pop(address, 0):
            between.remove(address)
        else:
            between.add(address, size)
            held |= {address: size} if size else {}
        assert between.pieces() == frozenset(gaps(held))
