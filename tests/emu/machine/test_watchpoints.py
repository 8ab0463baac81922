"""Watchpoints: each access to watched bytes with its values, against single steps; any number of them."""

import pytest

from emu.errors import ConfigError
from emu.events import MemoryAccessed
from emu.machine import Machine, StopReason
from emu.observe.memory import MemoryObserver, WatchedRange
from tests.emu.engine import feature_guest as guest


def data_of(build, fidelity) -> int:
    machine = guest.machine(build, fidelity)
    machine.run(60)
    return machine.hart.x["s0"]


def ran(machine: Machine) -> tuple[object, ...]:
    machine.run()
    return machine.instret, list(machine.hart.x), bytes(machine.console)


@pytest.mark.parametrize("probes", [None, "python"])
def test_each_access_to_watched_bytes_is_told_once_with_its_place_time_and_values(build, fidelity, probes):
    plain = ran(guest.machine(build, fidelity))
    expected, _, _ = guest.life(build, fidelity)
    base = data_of(build, fidelity)
    ranges = [(base + 9, 1), (base + 12, 4), (base + 4093, 8), (base - guest.ALIAS + 24, 12), (base + 7976, 100)]
    machine = guest.machine(build, fidelity, probes)
    told: list[MemoryAccessed] = []
    MemoryObserver(machine, tuple(WatchedRange(*each) for each in ranges))
    machine.on(MemoryAccessed, told.append)
    assert ran(machine) == plain

    def touched(access) -> bool:
        return any(access.address < at + length and at < access.address + access.size for at, length in ranges)

    wanted = [access for access in expected if touched(access)]
    assert [(e.pc, e.address, e.size, e.write, e.instret) for e in told] == [
        (a.pc, a.address, a.size, a.is_store, a.instret) for a in wanted
    ]
    assert [e.new for e in told] == [a.value for a in wanted]
    held: dict[int, int] = {}
    olds = iter(event.old for event in told)
    for access in expected:  # what was stored or loaded before is what the next access finds there
        places = range(guest.physical(access.address), guest.physical(access.address) + access.size)
        if touched(access):
            old = next(olds).to_bytes(access.size, "little")
            assert all(held.get(place, byte) == byte for place, byte in zip(places, old, strict=True))
        held.update(zip(places, access.value.to_bytes(access.size, "little"), strict=True))


def test_reads_and_writes_are_chosen_and_a_cancelled_watch_leaves_its_neighbours(build, fidelity):
    base = data_of(build, fidelity)
    machine = guest.machine(build, fidelity)
    reads: list[MemoryAccessed] = []
    writes: list[MemoryAccessed] = []
    both: list[MemoryAccessed] = []
    machine.watch_memory(base + 8, reads.append, length=4, writes=False)
    watch = machine.watch_memory(base + 8, writes.append, length=8, reads=False)
    machine.watch_memory(base + 9, both.append, length=2)
    machine.run(200)
    assert {event.write for event in reads} == {False}
    assert {event.write for event in writes} == {True}
    assert {event.write for event in both} == {True, False}
    watch.cancel()
    watch.cancel()
    count = len(writes), len(reads), len(both)
    machine.run(200)
    assert (len(writes), len(reads) > count[1], len(both) > count[2]) == (count[0], True, True)


def test_of_a_thousand_watches_each_is_told_its_own_accesses_alone(build, fidelity):
    plain = ran(guest.machine(build, fidelity))
    expected, _, _ = guest.life(build, fidelity)
    base = data_of(build, fidelity)
    places = range(base, base + 3000, 3)
    machine, told = guest.machine(build, fidelity), dict[int, list[tuple[int, int]]]()
    for place in places:
        heard = told.setdefault(place, [])
        machine.watch_memory(
            place, lambda event, heard=heard: heard.append((int(event.address), event.instret)), length=1
        )
    assert ran(machine) == plain
    wanted = {
        place: [(a.address, a.instret) for a in expected if a.address <= place < a.address + a.size] for place in places
    }
    assert told == wanted
    assert sum(map(bool, wanted.values())) > 3


def test_a_watch_that_is_set_while_the_guest_runs_sees_what_follows(build, fidelity):
    base = data_of(build, fidelity)
    machine, told, times = guest.machine(build, fidelity), [], []
    leaf = machine.symbols.lookup("leaf").address

    def reached() -> None:
        if not times:
            machine.watch_memory(base + 9, told.append, length=1)
        times.append(machine.instret)

    machine.watch(leaf, reached)
    machine.run()
    assert told
    assert times[0] < told[0].instret <= times[1]


def test_an_access_that_is_refused_is_told_when_it_is_carried_out(boot):
    machine = boot(
        """
        la t0, table
        la t1, handler
        csrw stvec, t1
        li t1, (0x80000000 >> 12 << 10) | 0xcf
        sd t1, 16(t0)
        srli t0, t0, 12
        li t1, 8 << 60
        or t0, t0, t1
        csrw satp, t0
        li s0, 0x40210000
        li s1, 77
    store: sd s1, (s0)
        li a7, 8
        ecall
        .balign 4
    handler:
        la t0, table
        li t1, (0x80000000 >> 12 << 10) | 0xcf
        sd t1, 8(t0)
        sfence.vma
        sret
        .balign 4096
    table: .zero 4096
        """
    )
    told: list[MemoryAccessed] = []
    machine.watch_memory(0x4021_0000, told.append, length=8)
    machine.run()
    assert [(event.pc, event.new) for event in told] == [(machine.symbols.lookup("store").address, 77)]
    assert told[0].instret == machine.instret - 3


@pytest.mark.parametrize(
    ("text", "address", "length"),
    [
        ("0x80200000", 0x8020_0000, 8), ("0x80200000+0x10", 0x8020_0000, 16), ("0x80200000-0x80200007", 0x8020_0000, 8),
        ("leaf", None, 8), ("leaf+3", None, 3),
    ],
)  # fmt: skip
def test_a_range_is_written_by_symbol_or_address(build, text, address, length):
    machine = guest.machine(build, "exact")
    if address is None:
        address = machine.symbols.lookup("leaf").address
    assert WatchedRange.parse(machine, text) == WatchedRange(address, length)


@pytest.mark.parametrize("text", ["0x80200000-0x801fffff", "leaf+0", "0x12z", "leaf+many"])
def test_a_range_that_is_none_says_how_to_write_one(build, text):
    with pytest.raises(ConfigError, match=r"SYMBOL, ADDRESS, PLACE\+BYTES or FIRST-LAST"):
        WatchedRange.parse(guest.machine(build, "exact"), text)


def test_bytes_that_cannot_be_watched_are_an_error(build):
    machine = guest.machine(build, "exact")
    with pytest.raises(ConfigError, match="Give a length"):
        machine.watch_memory(0x8020_0000, print)
    with pytest.raises(ConfigError, match="give 1 or more"):
        machine.watch_memory(0x8020_0000, print, length=0)


def test_a_listener_that_stops_the_machine_leaves_its_counts_exact(build, fidelity):
    plain = ran(guest.machine(build, fidelity))
    base = data_of(build, fidelity)
    machine, stops = guest.machine(build, fidelity), 0
    machine.watch_memory(base + 9, lambda _event: machine.interrupt(), length=1)
    while machine.run().reason is StopReason.INTERRUPTED:
        stops += 1
    assert (machine.instret, list(machine.hart.x), bytes(machine.console)) == plain
    assert stops >= 40
