"""The calls that are open at each call of a program, natively and by Python, against stacks made of a whole record."""

from itertools import takewhile

from emu.engine.translated.calls import Kind
from emu.engine.translated.opencalls import KeptCalls, OpenCall
from emu.observe.callstacks import CallStacks
from tests.emu.engine.test_calls import machine, probes, record

__all__ = ["probes"]
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


def test_each_call_knows_those_around_it_through_tail_calls_longjmp_threads_and_traps(build, fidelity, probes):
    around = expected(machine(build, fidelity, probes))
    made, found, kept = machine(build, fidelity, probes), {}, KeptCalls()
    made.core.engine.switch_on(kept)

    def entered():
        calls = kept.open_calls(made.hart.x["ra"], made.hart.x["sp"])
        found[made.instret] = None if calls is None else list(calls)

    for name in FUNCTIONS:
        made.watch(name, entered)
    made.run(100_000)
    assert {instret: found[instret] for instret in around} == around
    assert max(map(len, around.values())) > 2


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
