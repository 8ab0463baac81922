"""The calls that are open at each call of a program, natively and by Python, against stacks made of a whole record."""

from itertools import takewhile

import pytest

from emu.address import VirtAddr
from emu.engine import native
from emu.engine.translated.features.callentries import OpenCall
from emu.engine.translated.features.callrecords import CallRecords
from emu.engine.translated.features.calls import Kind
from emu.engine.translated.features.opencalls import KeptCalls
from emu.machine import Machine, MachineConfig
from emu.observe.calls.stacks import CallStacks
from tests.emu.engine.test_calls import machine, probes, record
from tests.emu.processes import USER, two_processes

__all__ = ["probes"]
native_only = pytest.mark.skipif(not native.can_replace_functions(), reason="this host has no native probes")
RETURNS = """
    li s0, 10
again:
    la ra, next
    ret
next:
    addi s0, s0, -1
    bnez s0, again
done:
    j done
"""
FUNCTIONS = ("main", "leaf", "twice", "tail", "jumps", "deep", "deeper", "switch")


def expected(made):
    """By the count of instructions at each call: the calls around it up to the last trap, innermost first."""
    stacks, found = CallStacks(), {}
    for transfer in record(made):
        stacks.apply(transfer)
        if transfer.kind is Kind.CALL and transfer.link == 1:
            inner = takewhile(lambda frame: not frame.is_trap, reversed(stacks.current[:-1]))
            found[transfer.instret] = [OpenCall(frame.return_address, frame.stack_pointer) for frame in inner]
    return found


def known(made, kept):
    """By the count of instructions at each call: the calls around it, as they are kept."""
    found = {}

    def entered():
        calls = kept.open_calls(made.hart.x["ra"], made.hart.x["sp"])
        found[made.instret] = None if calls is None else list(calls)

    for name in FUNCTIONS:
        made.watch(name, entered)
    made.run(100_000)
    return found


def test_each_call_knows_those_around_it_through_tail_calls_longjmp_threads_and_traps(build, fidelity, probes):
    around = expected(machine(build, fidelity, probes))
    made, kept = machine(build, fidelity, probes), KeptCalls()
    made.core.engine.switch_on(kept)
    found = known(made, kept)
    assert {instret: found[instret] for instret in around} == around
    assert max(map(len, around.values())) > 2


@native_only
def test_the_same_is_known_while_calls_are_recorded(build, fidelity):
    around = expected(machine(build, fidelity))
    made, kept = machine(build, fidelity), KeptCalls()
    for feature in (kept, CallRecords(kept, has_model=fidelity == "exact")):
        made.core.engine.switch_on(feature)
    found = known(made, kept)
    assert {instret: found[instret] for instret in around} == around


@native_only
def test_python_hears_of_no_return_where_no_call_is_open_while_calls_are_recorded(build, fidelity, monkeypatch):
    told = []
    monkeypatch.setattr(KeptCalls, "_returned", lambda _self, call, _instret: told.append(call))
    for recorded, times in (False, 10), (True, 0):
        made, kept = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20)), KeptCalls()
        made.load(build(RETURNS))
        made.core.engine.switch_on(kept)
        if recorded:
            made.core.engine.switch_on(CallRecords(kept, has_model=fidelity == "exact"))
        made.run(until="done")
        assert len(told) == times
        told.clear()


def test_what_was_open_before_a_state_is_restored_is_forgotten(build, fidelity, probes):
    made, kept = machine(build, fidelity, probes), KeptCalls()
    made.core.engine.switch_on(kept)
    made.run(until="leaf")
    where = made.hart.x["ra"], made.hart.x["sp"]
    assert kept.innermost == where
    assert kept.open_calls(*where) is not None
    kept.forget()
    assert kept.innermost is None
    assert kept.open_calls(*where) is None


PROCESSES = two_processes(
    "one",
    "two",
    """
one:
    call outer_one
in_one:
    ecall
two:
    call outer_two
in_two:
    j .
outer_one:
    addi sp, sp, -16
    mv s1, ra
    call inner
in_outer_one:
    call leaf
    j out
outer_two:
    addi sp, sp, -16
    mv s1, ra
    call inner
in_outer_two:
    call leaf
out:
    mv ra, s1
    addi sp, sp, 16
    ret
inner:
    addi sp, sp, -16
    mv s2, ra
    ecall
    call leaf
    ecall
    mv ra, s2
    addi sp, sp, 16
    ret
leaf:
    ret
""",
)


def test_processes_with_equal_stack_pointers_have_their_own_calls(boot, probes):
    made, found, kept = boot(PROCESSES, probes=probes), [], KeptCalls()
    made.core.engine.switch_on(kept)

    def entered():
        calls = kept.open_calls(made.hart.x["ra"], made.hart.x["sp"])
        assert calls is not None
        found.append([(call.return_address, call.stack_pointer) for call in calls])

    leaf = VirtAddr(made.address_of("leaf") - USER)
    made.run(until=leaf)
    entered()
    state, calls = made.snapshot(), kept.saved([])
    made.watch(leaf, entered)
    made.run(2_000)
    once, found[:] = found[:], []  # the place where it stands comes again
    made.restore(state)
    kept.restore(calls)
    made.run(2_000)
    at = {name: made.address_of(name) - USER for name in ("in_one", "in_two", "in_outer_one", "in_outer_two")}
    outer = [[(at[f"in_{name}"], USER + 0x30_0000)] for name in ("one", "two")]
    inner = [[(at[f"in_outer_{name}"], USER + 0x30_0000 - 16), *outer[n]] for n, name in enumerate(("one", "two"))]
    assert found == once == [*inner, *outer]
