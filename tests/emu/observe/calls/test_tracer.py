"""Calls that end in unusual ways, and calls that only look as if one were inside the other."""

from collections.abc import Callable

from emu.events import Event, FrameAllocated, FunctionCalled, FunctionReturned
from emu.machine import Machine
from emu.observe.allocations.observers import FrameObserver
from emu.observe.calls.functions import FunctionObserver
from emu.observe.code import HOST

Boot = Callable[..., Machine]
Collect = Callable[..., list[Event]]

LEFT_FROM_INSIDE = """
    la sp, stack_top
    li s1, 6
again:
    mv a0, s1
    call outer
landing:
    la sp, stack_top        # as longjmp puts it back
    addi s1, s1, -1
    bnez s1, again
    li a7, 8
    ecall
    .type outer, @function
outer:
    addi sp, sp, -16
    sd ra, 8(sp)
    call inner
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
    .size outer, . - outer
    .type inner, @function
inner:
    j landing
    .size inner, . - inner
    .bss
    .balign 16
    .zero 4096
stack_top:
"""


def calls(events: list[Event]) -> list[tuple[str, int, int]]:
    return [(event.name, event.args[0], event.depth) for event in events if isinstance(event, FunctionCalled)]


def test_each_call_is_told_when_none_of_them_returns(boot: Boot, collect: Collect) -> None:
    machine = boot(LEFT_FROM_INSIDE)
    FunctionObserver(machine, ["outer", "inner"])
    events = collect(machine, FunctionCalled, FunctionReturned)
    machine.run()
    assert calls(events) == [(name, count, depth) for count in range(6, 0, -1) for name, depth in CALLED]
    assert not [event for event in events if isinstance(event, FunctionReturned)]


CALLED = (("outer", 0), ("inner", 1))


def test_a_loop_to_the_first_instruction_is_no_call_however_often_it_is_entered(boot: Boot, collect: Collect) -> None:
    machine = boot(
        """
        la sp, stack_top
        li s1, 3
    next:
        li a0, 4
        call count_down
        addi s1, s1, -1
        bnez s1, next
        li a7, 8
        ecall
        .type count_down, @function
    count_down:
        addi a0, a0, -1
        bnez a0, count_down
        ret
        .size count_down, . - count_down
        .bss
        .zero 64
    stack_top:
        """
    )
    FunctionObserver(machine, ["count_down"])
    events = collect(machine, FunctionCalled, FunctionReturned)
    machine.run()
    assert calls(events) == [("count_down", 4, 0)] * 3
    assert len(events) == 6


def test_two_functions_that_jump_to_each_other_return_together(boot: Boot, collect: Collect) -> None:
    machine = boot(
        """
        .type even, @function
    even:
        beqz a0, 1f
        addi a0, a0, -1
        j odd
        .type odd, @function
    odd:
        beqz a0, 1f
        addi a0, a0, -1
        j even
    1:  ret
        """
    )
    FunctionObserver(machine, ["even", "odd"])
    events = collect(machine, FunctionCalled, FunctionReturned)
    machine.call("even", 1)
    assert [(type(event), event.name) for event in events] == [  # type: ignore[attr-defined]
        (FunctionCalled, "even"),
        (FunctionCalled, "odd"),
        (FunctionReturned, "odd"),
        (FunctionReturned, "even"),
    ]


def test_an_allocator_that_never_returns_hides_no_later_allocation(boot: Boot, collect: Collect) -> None:
    machine = boot(
        """
        la sp, stack_top
        li a0, 0
        call frame_alloc        # gives up, and never returns
    recovered:
        la sp, stack_top
        addi sp, sp, -64
        li a0, 1
        call frame_alloc
        li a7, 8
        ecall
        .type frame_alloc, @function
    frame_alloc:
        beqz a0, recovered
        li a0, 0x80300
        ret
        .type frame_dealloc, @function
    frame_dealloc:
        ret
        .bss
        .balign 16
        .zero 4096
    stack_top:
        """
    )
    FrameObserver(machine)
    events = collect(machine, FrameAllocated)
    machine.run()
    assert [int(event.ppn) for event in events if isinstance(event, FrameAllocated)] == [0x80300]


def test_an_allocation_on_another_stack_is_not_taken_for_a_part_of_one_that_waits(boot: Boot, collect: Collect) -> None:
    machine = boot(
        """
        la sp, first_top
        li a0, 1
        call frame_alloc        # switches to the second stack before it has a frame
        li a7, 8
        ecall
    second:
        la sp, second_top
        li a0, 0
        call frame_alloc
        la t0, waiting
        ld sp, (t0)
        ld ra, 8(sp)
        addi sp, sp, 16
        li a0, 0x80301
        ret
        .type frame_alloc, @function
    frame_alloc:
        addi sp, sp, -16
        sd ra, 8(sp)
        beqz a0, 1f
        la t0, waiting
        sd sp, (t0)
        j second
    1:  li a0, 0x80300
        addi sp, sp, 16
        ret
        .type frame_dealloc, @function
    frame_dealloc:
        ret
        .bss
        .balign 16
        .zero 4096
    second_top:
        .zero 256
    first_top:
    waiting: .dword 0
        """
    )
    FrameObserver(machine)
    events = collect(machine, FrameAllocated)
    machine.run()
    assert [int(event.ppn) for event in events if isinstance(event, FrameAllocated)] == [0x80300, 0x80301]


def test_the_host_is_named_as_the_caller_of_what_it_calls(boot: Boot, collect: Collect) -> None:
    machine = boot(LEFT_FROM_INSIDE + ".text\n.type frame_alloc, @function\nframe_alloc: li a0, 0x80300\n ret\n")
    FrameObserver(machine)
    events = collect(machine, FrameAllocated)
    machine.call("frame_alloc")
    assert events[0].pc == HOST
