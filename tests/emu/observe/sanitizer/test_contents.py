"""What is where in RAM: the same whenever it is asked for, and told without asking each time what came and went."""

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.address import PhysPageNum, VirtAddr
from emu.events import FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.isa.privilege import Privilege
from emu.observe.sanitizer.contents import Contents

_FIRST = 0x80000
_PAGES, _APART = 4, 0x400
_PLACES = [(_FIRST << 12) + number * _APART for number in range((_PAGES << 12) // _APART)]
_BLOCKS = st.tuples(st.just("block"), st.sampled_from(_PLACES), st.integers(1, 3 * _APART))
_FREES = st.tuples(st.just("free"), st.sampled_from(_PLACES), st.just(0))
_FRAMES = st.tuples(st.sampled_from(["frames", "frames back"]), st.integers(_FIRST, _FIRST + 2), st.integers(1, 2))


def do(contents: Contents, what: str, place: int, number: int, instret: int) -> object:
    """One event; what a free is told."""
    common = {"instret": instret, "pc": VirtAddr(0), "privilege": Privilege.S, "callers": ()}
    if what == "block":
        event = HeapAllocated(address=VirtAddr(place), size=number, align=0, kind="", **common)
        contents.block_allocated(place, event)
    elif what == "free":
        return contents.block_freed(place, HeapFreed(address=VirtAddr(place), size=0, **common))
    elif what == "frames":
        frames = FrameAllocated(ppn=PhysPageNum(place), count=number, **common)
        contents.frames_allocated(frames, for_heap=bool(instret & 1))
    else:
        contents.frames_freed(FrameFreed(ppn=PhysPageNum(place), count=number, offset=0, given=False, **common))
    return None


def told(contents: Contents) -> list[object]:
    """All that a report could ask for."""
    return [
        (contents.block_around(at), contents.freed_around(at), contents.beside(at), contents.code(at),
         contents.frame_around(at, at))
        for place in _PLACES for at in (place, place + _APART // 2)
    ]  # fmt: skip


@settings(max_examples=40)
@given(st.lists(st.one_of(_BLOCKS, _FREES, _FRAMES), max_size=20), st.integers(0, 19))
def test_asking_in_between_and_taking_snapshots_changes_nothing(events, middle):
    asked, unasked, saved = Contents(), Contents(), None
    for instret, event in enumerate(events):
        assert do(asked, *event, instret) == do(unasked, *event, instret)
        told(asked)
        if instret == middle:
            saved, before = asked.copied(), told(asked)
    assert told(asked) == told(unasked)
    if saved is not None:
        assert told(saved) == before
        for instret, event in enumerate(events[middle + 1 :], middle + 1):
            do(saved, *event, instret)
        assert told(saved) == told(unasked)


def test_a_block_ends_with_its_frame_and_a_free_of_it_is_then_one_of_what_nobody_holds():
    contents, place = Contents(), _PLACES[1]
    do(contents, "block", place, 16, 1)
    assert contents.block_around(place + 15) is not None
    do(contents, "frames back", _FIRST, 1, 2)
    assert contents.block_around(place + 15) is None
    assert do(contents, "free", place, 0, 3) is None
    do(contents, "block", place, 16, 4)
    assert do(contents, "free", place, 0, 5).instret == 4
    freed = contents.freed_around(place)
    assert freed is not None
    assert (freed.region.allocated.instret, freed.region.freed.instret) == (4, 5)
