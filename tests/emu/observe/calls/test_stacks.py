"""Stacks of calls, from the record of a program that switches threads, jumps out of calls and takes traps."""

import pytest

from emu.engine.translated.features.calls import Kind, Transfer
from emu.observe.calls.stacks import CallStacks, Frame
from tests.emu.engine.test_calls import machine, probes, record

__all__ = ["probes"]
SATP = 8 << 60
A, B = SATP | 1 << 44 | 0x80400, SATP | 2 << 44 | 0x80500


def test_stacks_follow_tail_calls_longjmp_threads_and_traps(build, fidelity, probes):
    made = machine(build, fidelity, probes)
    name = {int(made.symbols.lookup(n).address): n for n in ("main", "twice", "leaf", "deep", "deeper", "jumps", "tail",
            "switch", "handler", "millicode")}  # fmt: skip
    stacks, found = CallStacks(), []
    for transfer in record(made):
        stacks.apply(transfer)
        if transfer.kind in (Kind.CALL, Kind.TRAP):
            found.append(" ".join(name[frame.entry] for frame in stacks.current))
    first = [
        "main", "main twice", "main twice leaf", "main twice leaf", "main leaf", "main leaf", "main millicode",
        "main tail", "main handler", "main handler leaf", "main handler", "main handler leaf", "main jumps",
        "main jumps deep", "main jumps deep deeper", "main switch", "switch",
    ]  # fmt: skip
    again = [*first[1:-1], "leaf", "switch"]
    assert found == [*first, *again, *again]
    assert stacks.unwound == 3 * 2
    assert stacks.switches == 3 * 2
    assert [name[frame.entry] for frame in stacks.current] == ["main"]


def call(target, sp, site=0x100):
    return Transfer(Kind.CALL, site, target, sp, 0, site + 4, 1, 0)


def back(target, sp, link=1):
    return Transfer(Kind.RETURN, 0x900, target, sp, 0, 0x902, link, 0)


def trap(pc, sp, satp=SATP):
    return Transfer(Kind.TRAP, pc, 0x8000, sp, 0, pc, 0, satp)


def trap_return(target, sp, satp=SATP):
    return Transfer(Kind.TRAP_RETURN, 0x8100, target, sp, 0, 0x8104, 0, satp)


def entries(*transfers):
    stacks = CallStacks()
    for transfer in transfers:
        stacks.apply(transfer)
    return [frame.entry for frame in stacks.current]


@pytest.mark.parametrize(("transfers", "expected"), [
    ((call(1, 99), call(2, 80), back(0x104, 80)), [1]),
    ((call(1, 99), call(1, 80), call(1, 60), back(0x104, 60)), [1, 1]),  # recursion: the same return address
    ((call(1, 99), call(2, 80), call(3, 60), back(0x500, 80)), [1]),  # longjmp into the caller of 2
    ((call(1, 99), call(2, 80), call(3, 60), call(4, 80)), [1, 2, 4]),  # ... and without a return
    ((call(1, 99), call(2, 80, 0x200), back(0x777, 999), back(0x204, 80)), [1]),  # to a new thread, and back
    ((call(1, 99), call(2, 80), back(0x777, 20), call(7, 20)), [7]),
    ((call(1, 99), back(0x777, 400), call(7, 400, 0x300), back(0x104, 99)), []),
    ((call(1, 99), call(2, 80), back(0x104, 48, link=5)), [1]),  # millicode has moved sp
    ((call(1, 99), trap(0x10, 80), call(2, 70), trap_return(0x14, 80)), [1]),
    ((call(1, 99), trap(0x10, 80), call(2, 500), trap_return(0x14, 80)), [1]),  # the handler has a stack of its own
    ((call(1, 99), trap(0x10, 80), call(2, 70), trap(0x20, 60, 1), trap_return(0x20, 60, 1)), [1, 0x8000, 2]),
    ((call(1, 99), trap(0x10, 80), trap_return(0x10, 80, 5), call(2, 80)), [2]),  # another program with the same sp
    ((call(1, 99), trap(0x10, 80), trap_return(0x10, 80, 5), call(2, 80), trap(0x30, 70, 5),
      trap_return(0x14, 80)), [1]),
    # Two processes with one program, each with coroutines: stacks that wait have equal places.
    ((trap_return(0, 99, A), call(1, 99), call(2, 80, 0x200), back(0x777, 999), trap(0x10, 999, A),
      trap_return(0, 99, B), call(3, 99), call(4, 80, 0x200), back(0x777, 999), trap(0x10, 999, B),
      trap_return(0x10, 999, A), back(0x204, 80)), [1]),
    ((trap_return(0, 99, A), call(1, 99), call(2, 80, 0x200), back(0x777, 999), trap(0x10, 999, A),
      trap_return(0, 99, B), back(0x204, 80)), []),
    # A kernel's thread that was begun by `sret`, and one that was not, switch by a return.
    ((call(1, 99), call(2, 80, 0x200), trap(0x10, 70), trap_return(0, 400, A), call(3, 400), call(4, 380),
      back(0x777, 999), trap(0x10, 70), back(0x104, 380)), [3]),
    ((trap_return(0x10, 80),), []),
    ((back(0x104, 80), back(0x104, 90)), []),
])  # fmt: skip
def test_each_way_off_the_top_of_a_stack_leads_to_the_right_stack(transfers, expected):
    assert entries(*transfers) == expected


def test_a_stack_is_bounded_and_keeps_its_inner_frames():
    stacks = CallStacks()
    for depth in range(200_000):
        stacks.apply(call(depth, 1 << 40))
    assert len(stacks.current) <= 1 << 16
    assert stacks.current[-1] == Frame(199_999, 0x100, 0x104, 1 << 40, 0, False, 0)
    assert stacks.current[-2].entry == 199_998
