"""Frames and heap blocks, followed at a kernel's own functions."""

from collections.abc import Callable

import pytest

from emu.errors import ConfigError
from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.machine import Machine
from emu.observe.allocations.accounts import Wrong
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.allocations.signatures import frame_allocator

Boot = Callable[..., Machine]
Collect = Callable[..., list[Event]]

BUMP = """
    la sp, stack_top
    call frame_alloc
first_site = . - 4
    mv s0, a0
    call frame_alloc
    mv a0, s0
    call frame_dealloc
    li a0, 3
    call frame_alloc_contiguous
    li a0, 24
    li a1, 8
    call heap_alloc
    mv s1, a0
    li a1, 24
    call heap_dealloc
first_free = . - 4
    mv a0, s1
    call heap_dealloc
second_free = . - 4
    li a7, 8
    ecall

    .macro FUNCTION name
    .type \\name, @function
    .globl \\name
\\name:
    .endm

    FUNCTION frame_alloc
    la t0, next
    ld a0, 0(t0)
    addi t1, a0, 1
    sd t1, 0(t0)
    ret

    FUNCTION frame_alloc_contiguous
    addi sp, sp, -32
    sd ra, 0(sp)
    sd s2, 8(sp)
    sd s3, 16(sp)
    mv s2, a0
    call frame_alloc
    mv s3, a0
1:  addi s2, s2, -1
    beqz s2, 2f
    call frame_alloc
    j 1b
2:  mv a0, s3
    ld ra, 0(sp)
    ld s2, 8(sp)
    ld s3, 16(sp)
    addi sp, sp, 32
    ret

    FUNCTION frame_dealloc
    ret
    FUNCTION none_left
    li a0, 0
    ret
    FUNCTION heap_alloc
    li a0, 0x80215000
    ret
    FUNCTION heap_dealloc
    ret

    .data
    .balign 8
next: .dword 0x80300
    .bss
    .balign 16
    .zero 4096
stack_top:
"""


def test_frames_are_followed_with_their_place(boot: Boot, collect: Collect) -> None:
    machine = boot(BUMP)
    FrameObserver(machine)
    events = collect(machine, FrameAllocated, FrameFreed)
    machine.run()
    seen = [(type(event), int(event.ppn), event.count) for event in events]  # type: ignore[attr-defined]
    assert seen == [
        (FrameAllocated, 0x80300, 1),
        (FrameAllocated, 0x80301, 1),
        (FrameFreed, 0x80300, 1),
        (FrameAllocated, 0x80302, 3),
    ]
    assert events[0].pc == machine.address_of("first_site")


def test_the_ledger_knows_who_holds_what_and_what_was_freed_twice(boot: Boot) -> None:
    machine = boot(BUMP)
    FrameObserver(machine)
    HeapObserver(machine)
    ledger = AllocationLedger(machine)
    machine.run()
    assert (ledger.frames.allocated, ledger.frames.freed, ledger.frames.peak) == (5, 1, 4)
    assert list(ledger.frames.held) == [0x80301, 0x80302, 0x80303, 0x80304]
    assert (ledger.blocks.allocated, ledger.blocks.freed, len(ledger.blocks.held)) == (1, 1, 0)
    (mistake,) = ledger.blocks.mistakes
    assert (mistake.wrong, mistake.event.pc) == (Wrong.FREED_TWICE, machine.address_of("second_free"))
    assert mistake.other is not None
    assert mistake.other.pc == machine.address_of("first_free")


def test_heap_events_carry_size_and_alignment(boot: Boot, collect: Collect) -> None:
    machine = boot(BUMP)
    HeapObserver(machine)
    allocated, freed, _ = collect(machine, HeapAllocated, HeapFreed), None, machine.run()
    assert freed is None
    first = allocated[0]
    assert isinstance(first, HeapAllocated)
    assert (first.address, first.size, first.align) == (0x80215000, 24, 8)


def test_a_failed_allocation_is_no_allocation(boot: Boot, collect: Collect) -> None:
    machine = boot(BUMP)
    FrameObserver(machine, [frame_allocator("none_left,frame_dealloc")])
    events = collect(machine, FrameAllocated)
    assert machine.call("none_left") == 0
    assert events == []


def test_allocators_that_deal_in_addresses_give_page_numbers(boot: Boot, collect: Collect) -> None:
    machine = boot(BUMP)
    FrameObserver(machine, [frame_allocator("heap_alloc,frame_dealloc,address")])
    events = collect(machine, FrameAllocated)
    machine.call("heap_alloc", 8, 8)
    assert [int(event.ppn) for event in events if isinstance(event, FrameAllocated)] == [0x80215]


def test_a_function_called_by_the_host_is_followed_like_any_other(boot: Boot) -> None:
    machine = boot(BUMP)
    FrameObserver(machine)
    HeapObserver(machine)
    ledger = AllocationLedger(machine)
    ppn = machine.call("frame_alloc")
    assert list(ledger.frames.held) == [ppn]
    machine.call("frame_dealloc", ppn)
    assert not ledger.frames.held


def test_a_free_of_more_frames_than_there_are_ends(boot: Boot) -> None:
    machine = boot(BUMP)
    FrameObserver(machine, [frame_allocator("frame_alloc,frame_dealloc(a0,count=a1)")])
    ledger = AllocationLedger(machine)
    machine.call("frame_dealloc", 0x80300, (1 << 64) - 1)
    assert ledger.frames.given == 0x81000 - 0x80300


def test_without_an_observer_the_error_says_what_to_attach(boot: Boot) -> None:
    with pytest.raises(ConfigError, match=r"attach the observer.*emu\.observe"):
        AllocationLedger(boot(BUMP))


def test_a_function_that_frees_is_not_followed_where_its_allocator_is_missing(boot: Boot) -> None:
    machine = boot("call kfree\n li a7, 8\n ecall\n .type kfree, @function\n .globl kfree\nkfree: ret")
    observer = FrameObserver(machine)
    freed: list[Event] = []
    machine.on(FrameFreed, freed.append)
    machine.run()
    assert (observer.functions, freed) == ((), [])
