"""The accounts of frames and blocks: by range, through snapshots, without accusing anybody wrongly."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from emu.address import PhysPageNum, VirtAddr
from emu.events import FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.isa.privilege import Privilege
from emu.machine import Machine
from emu.observe.allocations.accounts import BlockAccount, FrameAccount, Wrong
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import FrameObserver
from emu.observe.allocations.ranges import Ranges

Boot = Callable[..., Machine]

STACK_OF_FRAMES = """
    .type frame_alloc, @function
frame_alloc:
    la t0, top
    ld a0, (t0)
    addi t1, a0, 1
    sd t1, (t0)
    ret
    .type frame_dealloc, @function
frame_dealloc:
    ret
    .data
    .balign 8
top: .dword 0x80300
"""


def allocated(ppn: int, count: int = 1, at: int = 0) -> FrameAllocated:
    return FrameAllocated(instret=at, pc=VirtAddr(at), privilege=Privilege.S, ppn=PhysPageNum(ppn), count=count)


def freed(ppn: int, count: int = 1, at: int = 0, offset: int = 0) -> FrameFreed:
    return FrameFreed(
        instret=at, pc=VirtAddr(at), privilege=Privilege.S, ppn=PhysPageNum(ppn), count=count, offset=offset
    )


def block(address: int, size: int, at: int = 0) -> HeapAllocated:
    return HeapAllocated(
        instret=at, pc=VirtAddr(at), privilege=Privilege.S, address=VirtAddr(address), size=size, align=0
    )


def unblock(address: int, size: int = 0, at: int = 0) -> HeapFreed:
    return HeapFreed(instret=at, pc=VirtAddr(at), privilege=Privilege.S, address=VirtAddr(address), size=size)


def test_memory_that_is_freed_before_the_first_allocation_is_the_allocators() -> None:
    account = FrameAccount()
    for ppn in range(0x80100, 0x80200):
        account.free(freed(ppn))
    assert (account.given, account.freed, account.wrong.total()) == (0x100, 0, 0)
    account.allocate(allocated(0x80100))
    account.free(freed(0x80100, at=7))
    account.free(freed(0x80100, at=9))
    (mistake,) = account.mistakes
    assert (mistake.wrong, mistake.other.instret if mistake.other else None) == (Wrong.FREED_TWICE, 7)


def test_a_frame_that_is_given_twice_was_freed_twice() -> None:
    account = FrameAccount()
    account.free(freed(0x80100, at=1))
    account.free(freed(0x80100, at=2))
    assert account.wrong == {Wrong.FREED_TWICE: 1}


def test_a_frame_that_was_never_handed_out_is_told_apart_from_one_that_is_freed_twice() -> None:
    account = FrameAccount()
    account.allocate(allocated(0x80100))
    account.free(freed(0x80555))
    assert account.wrong == {Wrong.NEVER_HELD: 1}


def test_an_address_inside_a_frame_frees_nothing() -> None:
    account = FrameAccount()
    account.allocate(allocated(0x80100, at=3))
    account.free(freed(0x80100, offset=8))
    (mistake,) = account.mistakes
    assert mistake.wrong is Wrong.INSIDE
    assert list(account.held) == [0x80100]


def test_a_run_of_frames_can_be_freed_in_parts() -> None:
    account = FrameAccount()
    account.allocate(allocated(0x80100, count=4))
    account.free(freed(0x80102))
    account.free(freed(0x80100, count=2))
    assert (list(account.held), account.wrong.total()) == ([0x80103], 0)


def test_a_block_over_parts_of_two_others_overlaps_both() -> None:
    account = BlockAccount()
    account.allocate(block(0x9000, 0x40, at=1))
    account.allocate(block(0x9040, 0x40, at=2))
    account.allocate(block(0x9020, 0x30, at=3))
    assert [mistake.other.instret for mistake in account.mistakes if mistake.other] == [1, 2]


def test_a_free_inside_a_block_or_with_another_size_is_told_with_its_allocation() -> None:
    account = BlockAccount()
    account.allocate(block(0x9000, 0x40, at=1))
    account.free(unblock(0x9008, at=2))
    assert list(account.held) == [0x9000]
    account.free(unblock(0x9000, 0x20, at=3))
    assert [(mistake.wrong, mistake.event.instret) for mistake in account.mistakes] == [
        (Wrong.INSIDE, 2),
        (Wrong.WRONG_SIZE, 3),
    ]
    assert (account.held, account.held_bytes) == ({}, 0)


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 60), st.integers(0, 12)),
        max_size=60,
    )
)
def test_ranges_find_what_a_look_at_each_of_them_finds(steps: list[tuple[bool, int, int]]) -> None:
    ranges, model = Ranges[int](), dict[int, tuple[int, int]]()
    for number, (add, start, size) in enumerate(steps):
        expected = [value for at, (end, value) in sorted(model.items()) if at < start + max(size, 1) and start < end]
        assert list(ranges.overlapping(start, size)) == expected
        covering = [at for at, (end, _) in model.items() if at <= start < end]
        assert ranges.holding(start) == (model[max(covering)][1] if covering else None)
        if add:
            ranges.add(start, size, number)
            model[start] = start + max(size, 1), number
        elif start in model:
            ranges.remove(start)
            del model[start]
    assert len(ranges) == len(model)


def test_the_ledger_says_after_a_restore_what_it_said_at_the_snapshot(boot: Boot) -> None:
    machine = boot(STACK_OF_FRAMES)
    FrameObserver(machine)
    ledger = AllocationLedger(machine)
    kept = machine.call("frame_alloc")
    ledger.mark("one frame")
    snapshot = machine.snapshot()
    for _ in range(2):
        lost = machine.call("frame_alloc")
        machine.call("frame_dealloc", kept)
        assert list(ledger.frames.held) == [lost]
        machine.restore(snapshot)
        assert (list(ledger.frames.held), ledger.frames.allocated, ledger.frames.freed) == ([kept], 1, 0)
        assert ledger.marks == {"one frame": snapshot.instret}
    machine.call("frame_dealloc", kept)
    assert ledger.frames.wrong.total() == 0


def test_a_ledger_that_is_younger_than_the_snapshot_begins_again(boot: Boot) -> None:
    machine = boot(STACK_OF_FRAMES)
    FrameObserver(machine)
    snapshot = machine.snapshot()
    ledger = AllocationLedger(machine)
    machine.call("frame_alloc")
    machine.restore(snapshot)
    machine.call("frame_alloc")
    assert (list(ledger.frames.held), ledger.frames.wrong.total()) == ([0x80300], 0)


def test_a_closed_ledger_stays_as_it_was(boot: Boot) -> None:
    machine = boot(STACK_OF_FRAMES)
    FrameObserver(machine)
    ledger = AllocationLedger(machine)
    machine.call("frame_alloc")
    ledger.close()
    snapshot = machine.snapshot()
    machine.call("frame_alloc")
    machine.restore(snapshot)
    assert list(ledger.frames.held) == [0x80300]


def test_what_is_held_since_a_moment_leaves_out_what_is_older() -> None:
    account = FrameAccount()
    account.allocate(allocated(0x80100, at=10))
    account.allocate(allocated(0x80101, at=20))
    assert [event.ppn for event in account.since(19)] == [0x80101]


def test_an_allocation_that_returns_to_where_a_moment_is_marked_is_older(boot: Boot) -> None:
    machine = boot(STACK_OF_FRAMES)
    FrameObserver(machine)
    ledger = AllocationLedger(machine)
    machine.call("frame_alloc")
    ledger.mark("behind the first")
    machine.call("frame_alloc")
    first, second = ledger.frames.held.values()
    assert first.instret == ledger.marks["behind the first"]
    assert list(ledger.frames.since(first.instret)) == [second]


def test_after_a_reset_the_kernel_may_give_its_memory_again(boot: Boot) -> None:
    machine = boot(STACK_OF_FRAMES)
    FrameObserver(machine)
    ledger = AllocationLedger(machine)
    machine.call("frame_alloc")
    machine.reset()
    machine.call("frame_dealloc", 0x80400)
    assert (ledger.frames.held, ledger.frames.given, ledger.frames.wrong.total()) == ({}, 1, 0)
