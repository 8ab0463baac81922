"""Calls of two processes that execute the same code on equal stack pointers, each in its own address space."""

from collections.abc import Callable

import pytest

from emu.address import VirtAddr
from emu.engine import native
from emu.machine import Machine
from emu.observe.calls.kept import KeptTracer, Meaning, Recorded
from emu.observe.calls.tracer import Call, CallTracer, Return

Boot = Callable[..., Machine]
USER = 0x4000_0000
"""How far below its symbols the code of both processes is executed."""
KERNEL = """
    la t0, handler
    csrw stvec, t0
    la s6, first
    la s7, second
    la a1, root1
    mv a2, s6
    li a3, 1
    call process
    la a1, root2
    mv a2, s7
    li a3, 2
    call process
    j leave
process:
    la a0, program
    li t0, 0x40000000
    sub a0, a0, t0
    sd a0, (a2)
    li t0, 0x40300000
    sd t0, 8(a2)
    sd a3, 16(a2)
    li t0, 0x200000CF
    sd t0, 16(a1)
    li t0, 0x200000DF
    sd t0, 8(a1)
    srli a1, a1, 12
    li t0, 8 << 60
    or a1, a1, t0
    sd a1, 40(a2)
    ret
    .balign 4
handler:
    csrr t0, sepc
    addi t0, t0, 4
    sd t0, (s6)
    sd sp, 8(s6)
    sd s1, 16(s6)
    sd ra, 32(s6)
    mv t0, s6
    mv s6, s7
    mv s7, t0
leave:
    ld t0, 40(s6)
    csrw satp, t0
    sfence.vma
    ld t0, (s6)
    csrw sepc, t0
    ld sp, 8(s6)
    ld s1, 16(s6)
    ld ra, 32(s6)
    li t0, 0x100
    csrc sstatus, t0
    sret
program:
    mv a0, s1
    call yields
    ecall
    j program
yields:
    ecall
    addi a0, s1, 10
    ret
    .balign 4096
root1: .zero 4096
root2: .zero 4096
first: .zero 48
second: .zero 48
"""


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
