"""Every feature of translated code at once: each records what it records alone, however often it is switched, and in a
child of the process as well."""

import os
import threading
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import pytest

from emu.engine.translated.definitions import Block
from emu.engine.translated.features import Feature, accesses, blocks, calls, registerwrites
from emu.engine.translated.features.accesses import Accesses
from emu.engine.translated.features.blocks import Blocks
from emu.engine.translated.features.calls import Calls
from emu.engine.translated.features.counts import NOWHERE, Counts, Coverage, Edges, Place, place_of
from emu.engine.translated.features.fuzzed import Fuzzed
from emu.engine.translated.features.lastaccess import LastAccess, Watched
from emu.engine.translated.features.lastwriter import LastWriter
from emu.engine.translated.features.opencalls import KeptCalls
from emu.engine.translated.features.registerwrites import RegisterWrites
from emu.engine.translated.features.shadow import Shadow
from emu.machine import Machine, StopReason
from tests.emu.engine import feature_guest as guest

DATA = 0x8020_1000


class Watching(NamedTuple):
    """A feature, and what it has seen."""

    feature: Feature
    seen: Callable[[], object]


class Measured(Counts):
    """Knows how long its blocks are."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: dict[Place, int] = {}

    def block_defined(self, block: Block, /) -> None:
        super().block_defined(block)
        self.lengths[place_of(block)] = block.length


def everything(machine: Machine) -> dict[str, Watching]:
    """One of each, for this machine."""
    words: dict[str, bytearray] = {name: bytearray() for name in ("accesses", "registers", "blocks", "calls")}
    record = Blocks(words["blocks"].extend, size=1 << 10)
    counts, coverage, edges, writers, fuzzed, kept = (
        Measured(), Coverage(), Edges(), LastWriter(), Fuzzed(), KeptCalls(),
    )  # fmt: skip
    last = LastAccess([Watched(DATA, DATA + 16, reads=True, writes=True)])
    ram = machine.memory.ram
    shadow, poisoned = Shadow(ram.size), []
    shadow.add(poisoned.append).poison(DATA + 8, 2)
    fuzzed.begin()

    def executed() -> list[int]:
        known = [(record.known[block.number], block.not_retired) for block in blocks.decode(words["blocks"])]
        return [pc for block, missing in known for pc in block.addresses()[: block.length - missing]]

    def written() -> list[object]:
        return [writers.of(cell) for cell in range(0x8020_0000, 0x8020_8000, 8)]

    return {
        "accesses": Watching(
            Accesses(words["accesses"].extend, size=1 << 12), lambda: list(accesses.decode(words["accesses"]))
        ),
        "registers": Watching(
            RegisterWrites(words["registers"].extend), lambda: list(registerwrites.decode(words["registers"]))
        ),
        "blocks": Watching(record, executed),
        "calls": Watching(Calls(words["calls"].extend, jumps=True), lambda: list(calls.decode(words["calls"]))),
        "counts": Watching(counts, counts.counts),
        "coverage": Watching(coverage, lambda: set(coverage.covered)),
        "edges": Watching(edges, lambda: dict(edges.edges)),
        "writers": Watching(writers, written),
        "last": Watching(last, lambda: last.instret),
        "fuzzed": Watching(fuzzed, lambda: (fuzzed.total, fuzzed.news, fuzzed.lost, fuzzed.blocks())),
        "open calls": Watching(kept, lambda: kept.innermost),
        "shadow": Watching(shadow, lambda: list(poisoned)),
    }  # fmt: skip


@pytest.fixture
def alone(build, fidelity):
    """What each feature sees when no other one is on, natively where that is possible."""

    @lru_cache
    def of(name: str) -> object:
        machine = guest.machine(build, fidelity)
        watching = everything(machine)[name]
        machine.core.engine.switch_on(watching.feature)
        guest.run(machine)
        machine.core.engine.flush_features()
        return watching.seen()

    return of


def test_each_feature_sees_with_all_others_what_it_sees_alone(build, fidelity, probes, plain, alone):
    machine = guest.machine(build, fidelity, probes)
    watching = everything(machine)
    for each in watching.values():
        machine.core.engine.switch_on(each.feature)
    assert guest.run(machine) == plain
    machine.core.engine.flush_features()
    for name, each in watching.items():
        assert each.seen() == alone(name), name
        assert each.seen() or name == "open calls", f"{name} has seen nothing"


@pytest.mark.parametrize(("step", "times"), [(250, 6), pytest.param(15, 100, marks=pytest.mark.slow)])
def test_each_feature_is_switched_again_and_again_in_a_run_and_sees_what_falls_into_its_times(
    build, fidelity, plain, alone, step, times
):
    machine = guest.machine(build, fidelity)
    engine, watching = machine.core.engine, everything(machine)
    on: dict[str, list[int]] = {name: [] for name in watching}
    slices = 0
    while True:
        for place, (name, each) in enumerate(watching.items()):
            if (slices + place) % 2:
                engine.switch_on(each.feature)
            elif slices:
                engine.switch_off(each.feature)
            if slices or place % 2:
                on[name].append(machine.instret)
        slices += 1
        if machine.run(step).reason is StopReason.POWERED_OFF:
            break
    engine.flush_features()
    assert min(map(len, on.values())) >= times
    assert (machine.instret, list(machine.hart.x)) == plain[:2]

    def within(name: str, time: int) -> bool:
        times = on[name]
        spans = zip(times[::2], [*times[1::2], machine.instret + 1], strict=False)
        return any(begin <= time < end for begin, end in spans)

    for name in ("accesses", "registers"):
        assert watching[name].seen() == [each for each in alone(name) if within(name, each.instret)], name
    seen, whole = (
        [each for each in transfers if each.kind < calls.Kind.TRAP]
        for transfers in (watching["calls"].seen(), alone("calls"))
    )
    assert seen == [each for each in whole if within("calls", each.instret - 1)]
    pcs = watching["blocks"].seen()
    assert pcs == [pc for time, pc in enumerate(alone("blocks")) if within("blocks", time)]
    edges = watching["edges"].seen()
    assert sum(number for (source, _), number in edges.items() if source == NOWHERE) == len(on["edges"][::2])
    lengths = watching["counts"].feature.lengths
    retired = sum(
        count.executions * lengths[place] - count.not_retired for place, count in watching["counts"].seen().items()
    )
    assert retired == sum(within("counts", time) for time in range(machine.instret))
    assert {pc for pc, _, _ in watching["coverage"].seen()} <= set(alone("blocks"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this host has no fork")
def test_a_child_of_the_process_goes_on_with_all_features_as_its_parent_does(build, fidelity, plain):
    machine = guest.machine(build, fidelity)
    watching = everything(machine)
    for each in watching.values():
        machine.core.engine.switch_on(each.feature)
    machine.run(300)

    def rest() -> int:
        assert guest.run(machine) == plain
        machine.core.engine.flush_features()
        return zlib.crc32(repr([each.seen() for each in watching.values()]).encode())

    assert threading.active_count() == 1
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writer, str(rest()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    here = rest()
    with os.fdopen(reader, "rb") as told:
        assert told.read().decode() == str(here)
    os.waitpid(child, 0)
