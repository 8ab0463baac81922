"""Calls of two processes that execute the same code on equal stack pointers, each in its own address space."""

from collections.abc import Callable

import pytest

from emu.address import VirtAddr
from emu.engine import native
from emu.engine.translated.features.calls import Calls, Kind, decode
from emu.machine import Machine
from emu.observe.calls.kept import KeptTracer, Meaning, Recorded
from emu.observe.calls.stacks import CallStacks
from emu.observe.calls.tracer import Call, CallTracer, Return
from tests.emu.processes import USER, two_kernel_stacks, two_processes

Boot = Callable[..., Machine]
KERNEL = two_processes(
    "program",
    "program",
    """
program:
    mv a0, s1
    call yields
    ecall
    j program
yields:
    ecall
    addi a0, s1, 10
    ret
""",
)


def python(machine: Machine, address: VirtAddr, told: list[tuple[str, int, int]]) -> None:
    def returned(end: Return) -> None:
        told.append(("return", end.call.args[0], end.value))

    CallTracer(machine).trace("yields", address, lambda call: told.append(("call", call.args[0], 0)), returned)


def kept(machine: Machine, address: VirtAddr, told: list[tuple[str, int, int]], recorded: bool = False) -> None:
    def ended(call: Call, _instret: int) -> None:
        told.append(("return", call.args[0], machine.hart.x["a0"]))

    def tell(arguments, _privilege, _instret, _led, _meaning, results) -> None:
        told.append(("return", arguments[0], results[0]))

    tracer = KeptTracer(machine)
    by_argument = Recorded(False, 0, lambda call: Meaning((), call.args[0]), None, tell) if recorded else None
    # A listener at entries is for calls that are not recorded.
    on_call = None if recorded else lambda call: told.append(("call", call.args[0], 0))
    assert tracer.trace("", "yields", address, on_call, ended, lambda _end: None, nested=False, recorded=by_argument)


def told_of_own_returns(machine: Machine, way: str) -> list[tuple[str, int, int]]:
    """What is told of a run in which the calls of two processes return by turns, each with ten more than its number."""
    if way != "python" and not native.can_replace_functions():
        pytest.skip("this host has no native probes")
    told: list[tuple[str, int, int]] = []
    address = VirtAddr(machine.address_of("yields") - USER)
    if way == "python":
        python(machine, address, told)
    else:
        kept(machine, address, told, way == "recorded")
    machine.run(2_000)
    returns = [one for one in told if one[0] == "return"]
    assert len(returns) > 20
    assert returns == [("return", number, number + 10) for _ in returns for number in (1, 2)][: len(returns)]
    return told


@pytest.mark.parametrize("way", ["python", "kept", "recorded"])
def test_each_processs_call_returns_to_that_process(way: str, boot: Boot) -> None:
    told = told_of_own_returns(boot(KERNEL), way)
    if way != "recorded":
        assert told[:4] == [("call", 1, 0), ("call", 2, 0), ("return", 1, 11), ("return", 2, 12)]


def test_a_process_that_comes_to_where_another_ones_call_returns_ends_nothing(boot: Boot) -> None:
    machine, told = boot(KERNEL.replace("call yields", "li t0, 2\n beq s1, t0, skip\n call yields\nskip:")), []
    python(machine, VirtAddr(machine.address_of("yields") - USER), told)
    machine.run(2_000)
    assert len(told) > 20
    assert told == [("call", 1, 0), ("return", 1, 11)] * (len(told) // 2) + [("call", 1, 0)] * (len(told) % 2)


COROUTINES = two_processes(
    "program",
    "program",
    """
program:
    mv a0, s1
    call yields
    j program
yields:
    mv s2, ra
    li sp, 0x40200000
    la ra, other
    ret
other:
    ecall
    li sp, 0x40300000
    la ra, back
    ret
back:
    addi a0, s1, 10
    mv ra, s2
    ret
""",
)
"""Each goes from one stack of its own to another in a call, and to the other process there."""


@pytest.mark.parametrize("way", ["python", "kept", "recorded"])
def test_calls_on_stacks_that_wait_in_a_process_are_told_from_those_of_another_one(way: str, boot: Boot) -> None:
    told_of_own_returns(boot(COROUTINES), way)


IN_THE_KERNEL = two_kernel_stacks("""
second:
    li sp, 0x40001000
first:
    mv a0, s1
    call outer
    j first
outer:
    addi sp, sp, -16
    sd ra, 8(sp)
    li t0, 2
    beq s1, t0, 1f
    call reads
    j 2f
1:  call writes
2:  ld ra, 8(sp)
    addi sp, sp, 16
    ret
reads:
    addi sp, sp, -16
    sd ra, 8(sp)
    mv a0, s1
    call yields
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
writes:
    addi sp, sp, -16
    sd ra, 8(sp)
    nop
    mv a0, s1
    call yields
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
yields:
    addi sp, sp, -16
    sd ra, 8(sp)
    mv a0, s1
    call switch
    addi a0, s1, 10
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
""").replace("4096 - 48\n", "4096 - 80\n")
"""The second process begins where the first one is when it has called `switch`, in `yields` in `reads` in `outer`."""


@pytest.mark.parametrize("function", ["outer", "yields", "switch"])
@pytest.mark.parametrize("way", ["python", "kept"])
def test_calls_on_stacks_of_a_kernel_that_share_an_address_return_on_their_own(
    way: str, function: str, boot: Boot
) -> None:
    if way != "python" and not native.can_replace_functions():
        pytest.skip("this host has no native probes")
    machine, told = boot(IN_THE_KERNEL), []
    address = VirtAddr(machine.address_of(function))
    (python if way == "python" else kept)(machine, address, told)
    machine.run(4_000)
    returns = [number for word, number, _ in told if word == "return"]
    assert len(returns) > 20
    assert returns == [1 + number % 2 for number in range(len(returns))]
    if function == "yields":
        assert all(value == number + 10 for word, number, value in told if word == "return")
    assert told[:4] == [("call", 1, 0), ("call", 2, 0), *told[2:4]]


def test_stacks_of_a_kernel_that_share_an_address_are_told_apart(boot: Boot) -> None:
    machine = boot(IN_THE_KERNEL)
    stacks, seen = CallStacks(), []
    names = {int(machine.address_of(name)): name for name in ("outer", "reads", "writes", "yields", "switch")}
    calls = Calls(lambda records: seen.extend(decode(bytes(records))))
    machine.core.engine.switch_on(calls)
    machine.run(4_000)
    machine.core.engine.flush_features()
    paths = []
    for transfer in seen:
        stacks.apply(transfer)
        if transfer.kind is Kind.CALL and names.get(transfer.target) == "switch":
            paths.append([names[frame.entry] for frame in stacks.current])
    ways = ["outer", "reads", "yields", "switch"], ["outer", "writes", "yields", "switch"]
    assert len(paths) > 20
    assert paths == [ways[number % 2] for number in range(len(paths))]
    assert stacks.unwound == 0
