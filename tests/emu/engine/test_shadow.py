"""The check against a shadow of memory: byte-precise, with native probes and with Python's, against single steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.engine.translated.features import accesses
from emu.engine.translated.features.accesses import Accesses
from emu.engine.translated.features.bits import Bits
from emu.engine.translated.features.opencalls import KeptCalls
from emu.engine.translated.features.shadow import Poisoned, Shadow
from tests.emu.engine import feature_guest as guest


def touches(access, ranges) -> bool:
    return any(access.address < end and start < access.address + access.size for start, end in ranges)


def shadow_of(machine) -> Shadow:
    return Shadow(machine.core.engine.size)


def data_of(build, fidelity) -> int:
    """Where the guest's data are: s0."""
    machine = guest.machine(build, fidelity)
    machine.run(60)
    return machine.hart.x["s0"]


@pytest.fixture(scope="module")
def lives() -> dict:
    """What the guest does by itself in each fidelity: how it ends, its accesses, and where its data are."""
    return {}


@pytest.mark.parametrize(
    "places",
    [[(0, 1)], [(9, 1)], [(11, 3)], [(8, 8)], [(4095, 2)], [(28, 4), (35, 1)], [(7976, 24)], [(0, 8192)], [(3000, 64)]],
    ids=str,
)
@pytest.mark.parametrize("alias", [False, True], ids=["linear", "alias"])
def test_each_access_to_a_poisoned_byte_is_reported_and_carried_out(build, fidelity, probes, places, alias, lives):
    if fidelity not in lives:
        alone, stepped = guest.machine(build, fidelity), guest.machine(build, fidelity)
        lives[fidelity] = guest.run(alone), guest.stepped(stepped)[0], data_of(build, fidelity)
    plain, expected, data = lives[fidelity]
    base = data - guest.ALIAS * alias
    ranges = [(base + offset, base + offset + length) for offset, length in places]
    found: list[Poisoned] = []
    recorded: list = []
    machine = guest.machine(build, fidelity, probes)
    shadow = shadow_of(machine)
    layer = shadow.add(found.append, base, base + 8192)
    for start, end in ranges:
        layer.poison(start, end - start)
    machine.core.engine.switch_on(Accesses(accesses.collect(recorded)))
    machine.core.engine.switch_on(shadow)
    assert guest.run(machine) == plain
    machine.core.engine.flush_features()
    wanted = [
        Poisoned(a.pc, a.address, a.size, a.is_store, a.value if a.is_store else 0)
        for a in expected if touches(a, ranges)
    ]  # fmt: skip
    assert found == wanted
    assert recorded == expected
    untouched = places == [(3000, 64)] or (places[0] == (7976, 24) if alias else places[0] == (28, 4))
    assert bool(wanted) != untouched


def test_what_is_cleared_is_reported_no_more_and_a_shadow_that_is_off_costs_nothing(build, fidelity, probes):
    base = data_of(build, fidelity)
    found: list[Poisoned] = []
    machine = guest.machine(build, fidelity, probes)
    shadow, engine = shadow_of(machine), machine.core.engine
    layer = shadow.add(found.append)
    engine.switch_on(shadow)
    layer.poison(base, 64)
    machine.run(200)
    assert found
    layer.clear(base, 64)
    found.clear()
    machine.run(200)
    engine.flush_features()
    assert not found
    layer.poison(base, 64)
    engine.switch_off(shadow)
    guest.run(machine)
    assert not found


def test_what_a_report_raises_comes_out_of_the_run_with_the_machine_usable(build, fidelity, probes):
    def report(poisoned):
        raise LookupError(hex(poisoned.address))

    plain = guest.run(guest.machine(build, fidelity))
    base = data_of(build, fidelity)
    machine = guest.machine(build, fidelity, probes)
    shadow = shadow_of(machine)
    layer = shadow.add(report)
    layer.poison(base + 9, 1)
    machine.core.engine.switch_on(shadow)
    with pytest.raises(LookupError, match=hex(base + 9)):
        machine.run()
    layer.clear(base + 9, 1)
    assert guest.run(machine) == plain


def test_layers_are_told_apart_by_their_ranges_and_one_that_is_removed_is_not_told(build, fidelity, probes):
    base = data_of(build, fidelity)
    machine = guest.machine(build, fidelity, probes)
    shadow = shadow_of(machine)
    told: dict[str, list[Poisoned]] = {"here": [], "alias": [], "other": []}
    here = shadow.add(told["here"].append, base, base + 8192)
    alias = shadow.add(told["alias"].append, base - guest.ALIAS, base - guest.ALIAS + 8192)
    other = shadow.add(told["other"].append, base, base + 8192)
    here.poison(base, 16)
    alias.poison(base - guest.ALIAS, 16)
    other.poison(base + 4090, 16)
    machine.core.engine.switch_on(shadow)
    machine.run(150)
    assert {poisoned.address - base for poisoned in told["here"]} == {0, 8, 9, 12}
    assert {poisoned.address - base + guest.ALIAS for poisoned in told["alias"]} == {0, 8, 12}
    assert {poisoned.address - base for poisoned in told["other"]} == {4093}
    shadow.remove(alias)
    before = {name: len(seen) for name, seen in told.items()}
    machine.run(150)
    assert [len(seen) > before[name] for name, seen in told.items()] == [True, False, True]


def test_what_is_done_inside_of_marked_calls_is_not_reported_to_who_leaves_it_out(build, fidelity, probes):
    base, mark = data_of(build, fidelity), 4
    machine = guest.machine(build, fidelity, probes)
    shadow, kept = shadow_of(machine), KeptCalls()
    told: list[Poisoned] = []
    layer = shadow.add(told.append)
    layer.leave_out(kept, mark)
    layer.poison(base + 7984, 24)
    for feature in shadow, kept:
        machine.core.engine.switch_on(feature)

    def places(instructions: int) -> set[int]:
        told.clear()
        machine.run(instructions)
        return {poisoned.address - base for poisoned in told}

    assert places(200) == {7992, 8000}
    hart = machine.hart
    machine.watch("leaf", lambda: kept.mark_only(hart.x["ra"], hart.x["sp"], mark))
    assert places(150) == {8000}
    another: list[Poisoned] = []
    shadow.add(another.append).poison(base + 7992, 8)  # Python is asked for both then
    assert places(150) == {8000}
    assert {poisoned.address - base for poisoned in another} == {7992}
    layer.leave_out(kept, mark << 1)
    assert places(150) == {7992, 8000}


@given(st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 600), st.booleans()), max_size=20))
def test_bits_are_those_of_each_byte_and_come_back_as_they_were_saved(changes):
    bits, model, middle = Bits(127), bytearray(1024), None
    for number, (address, length, poisoned) in enumerate(changes):
        bits.change(address, length, poisoned=poisoned)
        for byte in range(address, address + length):
            model[byte % 1024] = poisoned
        if number == len(changes) // 2:
            middle = bits.save(), bytes(model)
    assert [bits.at(byte, 1) for byte in range(1024)] == list(model)
    assert bits.table[128] == bits.table[0]
    if middle is not None:
        for again in changes, changes[:1], ():  # what was changed since is returned to, however often
            bits.restore(middle[0])
            assert [bits.at(byte, 1) for byte in range(1024)] == list(middle[1])
            for address, length, poisoned in again:
                bits.change(address, length, poisoned=poisoned)
        bits.save()
        bits.restore(middle[0])  # not the one that was saved last
        assert [bits.at(byte, 1) for byte in range(1024)] == list(middle[1])
        bits.restore(None)
        assert not any(bits.table)


def test_loads_of_what_was_never_written_are_reported_until_it_is_stored_to_by_any_address(
    build, fidelity, probes, lives
):
    if fidelity not in lives:
        alone, stepped = guest.machine(build, fidelity), guest.machine(build, fidelity)
        lives[fidelity] = guest.run(alone), guest.stepped(stepped)[0], data_of(build, fidelity)
    plain, expected, base = lives[fidelity]
    machine, found = guest.machine(build, fidelity, probes), list[Poisoned]()
    shadow, ram = shadow_of(machine), machine.memory.ram
    layer = shadow.mark_unwritten(found.append)
    shadow.linear = low = base - (guest.physical(base) - ram.base)
    layer.reach(low - 7, low + ram.size)
    layer.poison(base, 8192)
    machine.core.engine.switch_on(shadow)
    assert guest.run(machine) == plain
    machine.core.engine.flush_features()
    marked, wanted = set(range(guest.physical(base), guest.physical(base) + 8192)), []
    for access in expected:
        places = {guest.physical(access.address + index) for index in range(access.size)}
        if access.is_store:
            marked -= places
        elif marked & places and low - 7 <= access.address < low + ram.size:
            wanted.append(Poisoned(access.pc, access.address, access.size, is_store=False, value=0))
    assert found == wanted
    assert found
    assert any(access.is_store and access.address < low for access in expected)
    assert all(
        layer.bits.at(low + place - ram.base, 1) == (place in marked)
        for place in range(guest.physical(base), guest.physical(base) + 8192)
    )


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 100), st.booleans()), max_size=8), st.integers(0, 900),
       st.integers(1, 100))  # fmt: skip
def test_whether_any_bit_of_a_range_is_set(changes, start, length):
    bits, model = Bits(127), bytearray(1024)
    for address, size, poisoned in changes:
        bits.change(address, size, poisoned=poisoned)
        model[address : address + size] = bytes((poisoned,)) * size
    assert bits.are_set(start, length) == any(model[start : start + length])
