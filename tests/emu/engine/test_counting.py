"""Counts, coverage, edges and register writes of translated code, each against single steps."""

from collections import Counter

import pytest

from emu.engine import native
from emu.engine.translated.definitions import Block
from emu.engine.translated.features import blocks, registerwrites
from emu.engine.translated.features.blocks import Blocks
from emu.engine.translated.features.counts import NOWHERE, Counts, Coverage, Edges, place_of
from emu.engine.translated.features.registerwrites import RegisterWrites
from tests.emu.engine import feature_guest as guest


def by_single_steps(build, fidelity) -> tuple[Counter, int]:
    """How often each instruction has retired."""
    _, retired, _ = guest.life(build, fidelity)
    return Counter(retired), len(retired)


def test_counts_of_blocks_give_how_often_each_instruction_was_begun(build, fidelity, probes, plain):
    times, total = by_single_steps(build, fidelity)
    machine, counts, coverage = guest.machine(build, fidelity, probes), Counts(), Coverage()
    machine.core.engine.switch_on(counts)
    machine.run(300)
    machine.core.engine.switch_on(coverage)
    assert guest.run(machine) == plain
    machine.core.engine.flush_features()
    begun: Counter = Counter()
    retired = 0
    for (pc, privilege, code), (executions, not_retired) in counts.counts().items():
        addresses = Block(0, pc, 512, privilege, code).addresses()
        begun.update(dict.fromkeys(addresses, executions))
        retired += executions * len(addresses) - not_retired
    assert total == machine.instret
    assert set(begun) >= set(times)
    assert all(begun[pc] >= number for pc, number in times.items())
    assert {place for place, count in counts.counts().items() if count.executions} >= coverage.covered
    assert {pc for pc, _, _ in coverage.covered} <= set(begun)


def test_the_sum_of_all_counts_is_the_number_of_instructions_retired(build, fidelity, probes):
    machine, counts, blocks_known = guest.machine(build, fidelity, probes), Counts(), []
    record = Blocks(lambda _words: None)
    machine.core.engine.switch_on(counts)
    machine.core.engine.switch_on(record)
    guest.run(machine)
    machine.core.engine.flush_features()
    lengths = {(block.pc, block.privilege, block.code): block.length for block in record.known.values()}
    blocks_known = counts.counts()
    retired = sum(count.executions * lengths[place] - count.not_retired for place, count in blocks_known.items())
    assert retired == machine.instret


def test_coverage_that_is_cleared_shows_what_is_covered_from_then_on(boot, probes):
    machine = boot("nop\n j 1f\n1: li t0, 5\n2: addi t0, t0, -1\n bnez t0, 2b\n li a7, 8\n ecall", probes=probes)
    coverage = Coverage()
    machine.core.engine.switch_on(coverage)
    machine.run(5)
    machine.core.engine.flush_features()
    before, coverage.covered = coverage.covered, set()
    machine.run(4)
    machine.core.engine.flush_features()
    assert {pc for pc, _, _ in coverage.covered} == {0x8020_0006}
    assert 0x8020_0000 in {pc for pc, _, _ in before}


def test_each_way_between_blocks_is_counted(build, fidelity, probes, plain):
    machine, edges, words = guest.machine(build, fidelity, probes), Edges(), bytearray()
    record = Blocks(words.extend)
    machine.core.engine.switch_on(edges)
    machine.core.engine.switch_on(record)
    assert guest.run(machine) == plain
    machine.core.engine.flush_features()
    places = [place_of(record.known[block.number]) for block in blocks.decode(words)]
    assert edges.edges == Counter(zip([NOWHERE, *places], places, strict=False))


def test_every_write_of_a_register_is_recorded(build, fidelity, probes, plain):
    _, _, expected = guest.life(build, fidelity)
    machine, records = guest.machine(build, fidelity, probes), bytearray()
    machine.core.engine.switch_on(RegisterWrites(records.extend))
    assert guest.run(machine) == plain
    machine.core.engine.flush_features()
    found = list(registerwrites.decode(records))
    state = [0] * 64
    fresh = guest.machine(build, fidelity)
    state[2], state[10], state[11] = (fresh.hart.x[n] for n in (2, 10, 11))
    changed = []
    for write in found:
        if write.register < 32 and state[write.register] != write.value:
            changed.append((write.pc, write.register, write.value))
        state[write.register] = write.value
    assert changed == expected
    assert [write.instret for write in found] == sorted(write.instret for write in found)


def test_the_same_writes_are_recorded_with_and_without_native_probes(build, fidelity):
    if not native.can_replace_functions():
        pytest.skip("this host has no native probes")
    found = []
    for probes in ("native", "python"):
        machine, records = guest.machine(build, fidelity, probes), bytearray()
        machine.core.engine.switch_on(RegisterWrites(records.extend, size=1 << 10))
        guest.run(machine)
        machine.core.engine.flush_features()
        found.append(list(registerwrites.decode(records)))
    assert found[0] == found[1]
    assert any(write.register >= 32 for write in found[0])
