"""Calls of two processes that execute the same code on equal stack pointers, each in its own address space."""

from collections.abc import Callable

import pytest

from emu.address import VirtAddr
from emu.engine import native
from emu.machine import Machine
from emu.observe.calls.kept import KeptTracer, Meaning, Recorded
from emu.observe.calls.tracer import Call, CallTracer, Return
from tests.emu.processes import USER, two_processes

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


@pytest.mark.parametrize("way", ["python", "kept", "recorded"])
def test_each_processs_call_returns_to_that_process(way: str, boot: Boot) -> None:
    if way != "python" and not native.can_replace_functions():
        pytest.skip("this host has no native probes")
    machine, told = boot(KERNEL), []
    address = VirtAddr(machine.address_of("yields") - USER)
    if way == "python":
        python(machine, address, told)
    else:
        kept(machine, address, told, way == "recorded")
    machine.run(2_000)
    returns = [one for one in told if one[0] == "return"]
    assert len(returns) > 20
    assert returns == [("return", number, number + 10) for _ in returns for number in (1, 2)][: len(returns)]
    if way != "recorded":
        assert told[:4] == [("call", 1, 0), ("call", 2, 0), ("return", 1, 11), ("return", 2, 12)]


def test_a_process_that_comes_to_where_another_ones_call_returns_ends_nothing(boot: Boot) -> None:
    machine, told = boot(KERNEL.replace("call yields", "li t0, 2\n beq s1, t0, skip\n call yields\nskip:")), []
    python(machine, VirtAddr(machine.address_of("yields") - USER), told)
    machine.run(2_000)
    assert len(told) > 20
    assert told == [("call", 1, 0), ("return", 1, 11)] * (len(told) // 2) + [("call", 1, 0)] * (len(told) % 2)
