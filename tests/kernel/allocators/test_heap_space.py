"""What an observer sees of a heap from outside, compared with what the heap says of itself."""

import random
from collections.abc import Callable

import pytest

from emu.observe.allocations.catalogue import Catalogue
from emu.observe.allocations.costs import AllocatorCosts
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
