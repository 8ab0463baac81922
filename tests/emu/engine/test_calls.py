"""The record of calls, returns and traps, natively and by Python, against single steps."""

from functools import cache

import pytest

from emu.engine import native
from emu.engine.translated.features.calls import Calls, Kind, Transfer, always_jumps, decode
from emu.events import TrapReturned, TrapTaken
from emu.isa.operands import instruction_length
from emu.machine import Machine, MachineConfig, StopReason

PROGRAM = """
    la sp, stack0
    la t1, handler
    csrw stvec, t1
    call main
main:
    li s0, 3
1:  call twice
    la t1, leaf
    jalr t1
    jalr ra, 0(t1)
    la t1, saved
    jal t0, millicode
    la t1, 2f
    c.jr t1
2:  call tail
    ecall
    li a7, 0
    .word 0
    csrsi sie, 2
    csrsi sstatus, 2
    csrsi sip, 2
    call jumps
    la a0, second
    la a1, first
    call switch
    addi s0, s0, -1
    bnez s0, 1b
    li a7, 8
    ecall
leaf:
    ret
twice:
    addi sp, sp, -16
    sd ra, 8(sp)
    call leaf
    c.addi a0, 1
    call leaf
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
millicode:
    addi sp, sp, -32
    addi sp, sp, 32
    jr t0
saved:
    ret
tail:
    nop
    tail leaf
jumps:
    addi sp, sp, -16
    sd ra, 8(sp)
    la a0, buffer
    sd sp, 8(a0)
    la t1, 3f
    sd t1, (a0)
    call deep
    j 4f
3:
4:  ld ra, 8(sp)
    addi sp, sp, 16
    ret
deep:
    addi sp, sp, -64
    call deeper
deeper:
    addi sp, sp, -64
    la a0, buffer
    ld ra, (a0)
    ld sp, 8(a0)
    ret
switch:
    addi sp, sp, -16
    sd ra, 8(sp)
    sd sp, (a1)
    ld sp, (a0)
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
thread:
    la a0, first
    la a1, second
    call switch
    call leaf
    j thread
    .balign 4
handler:
    addi sp, sp, -16
    sd ra, 8(sp)
    sd t0, 0(sp)
    call leaf
    csrci sip, 2
    csrr t0, scause
    bltz t0, 5f
    csrr t0, sepc
    addi t0, t0, 4
    csrw sepc, t0
5:  ld t0, 0(sp)
    ld ra, 8(sp)
    addi sp, sp, 16
    sret
    .balign 16
first:  .dword 0
second: .dword stack1 - 16
buffer: .zero 16
    .zero 512
stack0: .zero 504
    .dword thread
stack1:
"""


@pytest.fixture(params=["native", "python"])
def probes(request):
    if request.param == "native" and not native.can_replace_functions():
        pytest.skip("this host has no native probes")
    return request.param


def machine(build, fidelity, probes=None):
    made = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20, probes=probes))
    made.load(build(PROGRAM))
    return made


@cache
def stepped(build, fidelity: str) -> list[tuple[Kind, int, int, int, int]]:
    """Kind, pc, target, sp and instret of each transfer, told by what each single step has done."""
    single = machine(build, fidelity)
    found, traps, returns = [], [], []
    x, stopped = single.hart.x, False
    single.on(TrapTaken, lambda trap: traps.append((trap, x["sp"])))
    single.on(TrapReturned, returns.append)

    def trapped():
        found.extend((Kind.TRAP, int(t.pc), int(t.handler), sp, t.instret) for t, sp in traps)
        traps.clear()

    while not stopped:
        pc, before, old = int(single.hart.pc), single.instret, list(x)
        stopped = single.step().reason is StopReason.POWERED_OFF
        if traps and traps[0][0].instret == before:  # the step goes on to the handler's first instruction
            pc = int(traps[0][0].handler)
            trapped()
        if single.instret == before:
            continue
        word = single.memory.read_int(pc, 4)
        behind = pc + instruction_length(word)
        target = int(traps[0][0].pc) if traps else int(single.hart.pc)
        links = [n for n in (1, 5) if x[n] == behind and (target != behind or old[n] != behind)]
        kind = None
        if returns:
            kind = Kind.TRAP_RETURN
            returns.clear()
        elif links:
            kind = Kind.CALL
        elif word & 0xFFFF in (0x8082, 0x8282) or word in (0x8067, 0x28067):  # ret, jr t0
            kind = Kind.RETURN
        elif always_jumps(word if behind == pc + 4 else word & 0xFFFF):
            kind = Kind.JUMP
        if kind is not None:
            found.append((kind, pc, target, x["sp"], single.instret))
        trapped()
    return found


def record(made: Machine, run=None, **options) -> list[Transfer]:
    words = bytearray()
    made.core.engine.switch_on(feature := Calls(words.extend, **options))
    if run is not None:
        run(made)
    assert made.run().reason is StopReason.POWERED_OFF
    made.core.engine.flush_features()
    made.core.engine.switch_off(feature)
    return list(decode(words))


def seen(transfers):
    return [(t.kind, t.pc, t.target, t.stack_pointer, t.instret) for t in transfers]


def test_calls_returns_jumps_and_traps_are_those_of_single_steps(build, fidelity, probes):
    expected = stepped(build, fidelity)
    assert {kind for kind, *_ in expected} == set(Kind) - {Kind.SWAP, Kind.OTHER_STACK}
    assert seen(record(machine(build, fidelity, probes), jumps=True, size=1 << 10)) == expected
    calls = record(machine(build, fidelity, probes))
    assert [t for t in seen(calls) if t[0] is not Kind.JUMP] == [t for t in expected if t[0] is not Kind.JUMP]
    assert len(calls) < len(expected)


def test_they_are_the_same_over_stops_between_any_two_instructions(build, fidelity, probes):
    expected = stepped(build, fidelity)

    def by_pieces(made):
        for count in (1, 2, 3, 5, 1, 1, 1, 7, 11, 4):
            made.run(count)
            made.core.engine.flush_features()

    assert seen(record(machine(build, fidelity, probes), by_pieces, jumps=True)) == expected


def test_a_return_to_where_nothing_can_be_fetched_is_recorded_too(build, fidelity):
    made = machine(build, fidelity)
    transfers = record(made, run=lambda machine: machine.call("leaf"))
    (call, end), leaf = transfers[:2], made.symbols.lookup("leaf").address
    assert (call.kind, call.target, end.kind, end.target) == (Kind.CALL, leaf, Kind.RETURN, call.return_address)
