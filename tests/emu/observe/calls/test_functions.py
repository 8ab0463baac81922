"""Function calls and returns, as events."""

from collections.abc import Callable

import pytest

from emu.errors import GuestPanic, LimitExceeded, SymbolError
from emu.events import Event, FunctionCalled, FunctionReturned
from emu.machine import Machine
from emu.observe.calls.functions import FunctionObserver

Boot = Callable[..., Machine]
Collect = Callable[..., list[Event]]

FACTORIAL = """
    la sp, stack_top
    li a0, 4
    call factorial
    li a7, 8
    ecall
    .type factorial, @function
factorial:
    li t0, 1
    bleu a0, t0, 1f
    addi sp, sp, -16
    sd ra, 0(sp)
    sd a0, 8(sp)
    addi a0, a0, -1
    call factorial
    ld ra, 0(sp)
    ld t0, 8(sp)
    addi sp, sp, 16
    mul a0, a0, t0
    ret
1:  li a0, 1
    ret
    .type double_of_next, @function
double_of_next:
    addi a0, a0, 1
    tail double
    .type double, @function
double:
    slli a0, a0, 1
    ret
    .type power_off, @function
power_off:
    li a7, 8
    ecall
    .type loop_forever, @function
loop_forever:
    j loop_forever
    .bss
    .balign 16
    .zero 4096
stack_top:
"""


def test_a_recursive_function_is_followed_at_every_depth(boot: Boot, collect: Collect) -> None:
    machine = boot(FACTORIAL)
    FunctionObserver(machine, ["factorial"])
    events = collect(machine, FunctionCalled, FunctionReturned)
    machine.run()
    calls = [(event.depth, event.args[0]) for event in events if isinstance(event, FunctionCalled)]
    returns = [(event.depth, event.args[0], event.value) for event in events if isinstance(event, FunctionReturned)]
    assert calls == [(0, 4), (1, 3), (2, 2), (3, 1)]
    assert returns == [(3, 1, 1), (2, 2, 2), (1, 3, 6), (0, 4, 24)]


def test_times_of_calls_and_returns_are_exact(boot: Boot, collect: Collect) -> None:
    machine = boot(FACTORIAL)
    FunctionObserver(machine, ["factorial"])
    events = collect(machine, FunctionCalled, FunctionReturned)
    machine.run()
    innermost_call, innermost_return = events[3], events[4]
    assert isinstance(innermost_return, FunctionReturned)
    # li, bleu, li, ret
    assert innermost_return.instret - innermost_call.instret == 4
    assert innermost_return.called_at == innermost_call.instret


def test_a_tail_call_returns_together_with_its_caller(boot: Boot, collect: Collect) -> None:
    machine = boot(FACTORIAL)
    FunctionObserver(machine, ["double*"])
    events = collect(machine, FunctionCalled, FunctionReturned)
    assert machine.call("double_of_next", 20) == 42
    names = [(type(event).__name__, event.name) for event in events]  # type: ignore[attr-defined]
    assert names == [
        ("FunctionCalled", "double_of_next"),
        ("FunctionCalled", "double"),
        ("FunctionReturned", "double"),
        ("FunctionReturned", "double_of_next"),
    ]


def test_a_call_that_the_host_gives_up_does_not_stay_open(boot: Boot, collect: Collect) -> None:
    machine = boot(FACTORIAL)
    FunctionObserver(machine, ["*"])
    events = collect(machine, FunctionCalled)
    with pytest.raises(LimitExceeded):
        machine.call("loop_forever", max_instructions=10)
    with pytest.raises(GuestPanic):
        machine.call("power_off")
    start = machine.snapshot()
    machine.call("double", 1)
    machine.restore(start)
    machine.call("double", 1)
    assert {event.depth for event in events if isinstance(event, FunctionCalled)} == {0}


def test_nobody_listening_means_no_watch(boot: Boot) -> None:
    machine = boot(FACTORIAL)
    seen: list[Event] = []
    FunctionObserver(machine, ["factorial"])
    machine.on(FunctionCalled, seen.append).cancel()
    machine.run()
    assert seen == []


def test_a_pattern_without_a_match_is_an_error_that_names_it(boot: Boot) -> None:
    with pytest.raises(SymbolError, match=r"factoral.*factorial"):
        FunctionObserver(boot(FACTORIAL), ["factoral"])
