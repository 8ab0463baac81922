"""What fuzzing asks of an execution: which edges are new, how often they were taken, what was compared."""

import ctypes
from collections import Counter

import pytest

from emu.engine.translated.features.blocks import Blocks, decode
from emu.engine.translated.features.fuzzed import MAP_BITS, Fuzzed
from emu.machine import Machine
from tests.emu.engine import feature_guest as guest

LOOP = """
    li t0, {times}
1:  addi t0, t0, -1
    bnez t0, 1b
    li t1, 0x1234
    beq a0, t1, 2f
    nop
2:  j .
"""


def begun(machine: Machine) -> list[int]:
    """The address of each block that a run to the end begins, by the record of blocks."""
    words = bytearray()
    record = Blocks(words.extend)
    machine.core.engine.switch_on(record)
    machine.run()
    machine.core.engine.flush_features()
    return [record.known[block.number].pc for block in decode(words)]


def test_the_ways_of_a_run_are_those_between_the_blocks_that_it_began(build, fidelity, probes):
    places = begun(guest.machine(build, fidelity, probes))
    edges = Counter(zip([0, *places], places, strict=False))
    machine, fuzzed = guest.machine(build, fidelity, probes), Fuzzed()
    machine.core.engine.switch_on(fuzzed)
    fuzzed.begin()
    machine.run()
    assert fuzzed.blocks() == set(places)
    assert (fuzzed.total, len(fuzzed.edges()), fuzzed.lost) == (len(edges), len(edges), 0)
    # Each number of times up to 16 is new once, and then each doubling.
    assert fuzzed.news == sum(min(times, 16) + max(times.bit_length() - 5, 0) for times in edges.values())


def test_only_what_no_execution_before_has_done_is_new(boot):
    news = []
    machine, fuzzed = boot(LOOP.format(times=5)), Fuzzed()
    machine.core.engine.switch_on(fuzzed)
    start = machine.snapshot()
    for a0, times in (0, 5), (0, 5), (0, 3), (0, 6), (0x1234, 5), (0, 40), (0, 39):
        machine.restore(start)
        machine.hart.x["a0"] = a0
        machine.run(1)
        machine.hart.x["t0"] = times
        fuzzed.begin()
        machine.run(2 * times + 4)
        news.append(bool(fuzzed.news))
    assert news == [True, False, False, True, True, True, False]


def test_both_sides_of_each_comparison_are_kept(boot):
    machine, fuzzed = boot(LOOP.format(times=2)), Fuzzed()
    if not machine.core.engine.is_native:
        pytest.skip("this host has no native probes")
    machine.core.engine.switch_on(fuzzed)
    machine.hart.x["a0"] = 77
    fuzzed.begin()
    machine.run(10)
    assert fuzzed.compared() == [(1, 0), (0, 0), (77, 0x1234)]
    fuzzed.begin()
    assert fuzzed.compared() == []


def test_of_more_comparisons_than_there_is_room_for_the_last_ones_are_kept(boot):
    machine, fuzzed = boot(LOOP.format(times=100)), Fuzzed(compared_bits=3)
    if not machine.core.engine.is_native:
        pytest.skip("this host has no native probes")
    machine.core.engine.switch_on(fuzzed)
    fuzzed.begin()
    machine.run(1 + 2 * 100)
    assert sorted(fuzzed.compared()) == [(left, 0) for left in range(8)]


def test_a_full_table_is_said_and_does_no_harm(build, fidelity, probes):
    machine, fuzzed = guest.machine(build, fidelity, probes), Fuzzed(bits=3)
    machine.core.engine.switch_on(fuzzed)
    fuzzed.begin()
    machine.run()
    assert fuzzed.total == 8
    assert fuzzed.lost > 0


def test_each_way_is_counted_in_a_map_of_bytes_that_is_never_zero_again(boot, probes):
    machine, fuzzed = boot(LOOP.format(times=300), probes=probes), Fuzzed()
    octets = (ctypes.c_uint8 * (1 << MAP_BITS))()
    fuzzed.count_into(ctypes.addressof(octets))
    machine.core.engine.switch_on(fuzzed)
    machine.run(1 + 2 * 300)
    counted = Counter(bytes(octets)) - Counter({0: len(octets)})
    assert sorted(counted) == sorted({1, (298 - 1) % 255 + 1}), counted
