"""The check against a shadow of memory: byte-precise, with native probes and with Python's, against single steps."""

import pytest

from emu.engine import native
from emu.engine.translated import accesses
from emu.engine.translated.accesses import Accesses
from emu.engine.translated.shadow import Poisoned, Shadow
from tests.emu.engine import feature_guest as guest
from tests.emu.engine.test_features import run


@pytest.fixture(params=["native", "python"])
def probes(request):
    if request.param == "native" and not native.can_replace_functions():
        pytest.skip("this host has no native probes")
    return request.param


def touches(access, ranges) -> bool:
    return any(access.address < end and start < access.address + access.size for start, end in ranges)


def data_of(build, fidelity) -> int:
    """Where the guest's data are: s0."""
    machine = guest.machine(build, fidelity)
    machine.run(60)
    return machine.hart.x["s0"]


@pytest.mark.parametrize(
    "places",
    [[(0, 1)], [(9, 1)], [(11, 3)], [(8, 8)], [(4095, 2)], [(28, 4), (35, 1)], [(7976, 24)], [(0, 8192)], [(3000, 64)]],
    ids=str,
)
@pytest.mark.parametrize("alias", [False, True], ids=["linear", "alias"])
def test_each_access_to_a_poisoned_byte_is_reported_and_carried_out(build, fidelity, probes, places, alias):
    plain = run(guest.machine(build, fidelity))
    expected, _, _ = guest.stepped(guest.machine(build, fidelity))
    base = data_of(build, fidelity) - guest.ALIAS * alias
    ranges = [(base + offset, base + offset + length) for offset, length in places]
    found: list[Poisoned] = []
    recorded: list = []
    machine, shadow = guest.machine(build, fidelity, probes), Shadow(found.append)
    for start, end in ranges:
        shadow.poison(start, end - start)
    machine.core.engine.switch_on(Accesses(accesses.collect(recorded)))
    machine.core.engine.switch_on(shadow)
    assert run(machine) == plain
    machine.core.engine.flush_features()
    wanted = [
        Poisoned(a.pc, a.address, a.size, a.is_store, a.value if a.is_store else 0)
        for a in expected if touches(a, ranges)
    ]  # fmt: skip
    assert [report for report in found if report.address < 1 << 40 and report.address > 0xFFF] == wanted
    assert recorded == expected
    untouched = places == [(3000, 64)] or (places[0] == (7976, 24) if alias else places[0] == (28, 4))
    assert bool(wanted) != untouched


def test_what_is_cleared_is_reported_no_more_and_a_shadow_that_is_off_costs_nothing(build, fidelity, probes):
    base = data_of(build, fidelity)
    found: list[Poisoned] = []
    machine, shadow = guest.machine(build, fidelity, probes), Shadow(found.append)
    engine = machine.core.engine
    engine.switch_on(shadow)
    shadow.poison(base, 64)
    machine.run(200)
    assert found
    shadow.clear(base, 64)
    found.clear()
    machine.run(200)
    engine.flush_features()
    assert not found
    shadow.poison(base, 64)
    engine.switch_off(shadow)
    run(machine)
    assert not found


def test_what_a_report_raises_comes_out_of_the_run_with_the_machine_usable(build, fidelity, probes):
    def report(poisoned):
        raise LookupError(hex(poisoned.address))

    plain = run(guest.machine(build, fidelity))
    base = data_of(build, fidelity)
    machine, shadow = guest.machine(build, fidelity, probes), Shadow(report)
    shadow.poison(base + 9, 1)
    machine.core.engine.switch_on(shadow)
    with pytest.raises(LookupError, match=hex(base + 9)):
        machine.run()
    shadow.clear(base + 9, 1)
    assert run(machine) == plain
