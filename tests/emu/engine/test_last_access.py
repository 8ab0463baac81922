"""The last access to some bytes, against single steps, with native probes and with Python's."""

import random

from emu.engine.translated.features import Access
from emu.engine.translated.features.lastaccess import LastAccess, Watched
from tests.emu.engine import feature_guest as guest


def touched(access: Access) -> range:
    """The physical addresses of an access's bytes, of those in its first page."""
    start = guest.physical(access.address)
    return range(start, min(start + access.size, (start | 0xFFF) + 1))


def expected_last(accesses: list[Access], watched: list[Watched]) -> int | None:
    times = [
        access.instret
        for access in accesses
        for start, end, reads, writes in watched
        if (writes if access.is_store else reads) and any(start <= byte < end for byte in touched(access))
    ]
    return max(times, default=None)


def test_the_last_access_to_watched_bytes_is_known_to_the_byte(build, fidelity, probes):
    accesses, _, _ = guest.life(build, fidelity)
    chance = random.Random(f"{fidelity} {probes}")
    bytes_touched = sorted({byte for access in accesses for byte in touched(access)})
    machine = guest.machine(build, fidelity, probes)
    begin, found = machine.snapshot(), set()
    for number in range(8 if probes == "native" else 4):
        watched = []
        for _ in range(number % 4 + 1):  # next to each other, in several pages, over the end of a page
            start = chance.choice(bytes_touched) + chance.randrange(-3, 4)
            kind = chance.choice([(True, False), (False, True), (True, True)])
            watched.append(Watched(start, start + chance.choice([1, 1, 2, 8, 5000]), *kind))
        last = LastAccess(watched)
        machine.restore(begin)
        machine.core.engine.switch_on(last)
        machine.run()
        machine.core.engine.switch_off(last)
        assert last.instret == expected_last(accesses, watched)
        found.add(last.instret)
        last.forget()
        assert last.instret is None
    assert len(found) > 2


def test_bytes_outside_ram_are_never_accessed(boot):
    machine = boot("li t0, 0x10000000\nli t1, 65\nsb t1, (t0)\nlbu t1, 5(t0)\nli a7, 8\necall")
    last = LastAccess([Watched(0x1000_0000, 0x1000_0008, reads=True, writes=True)])
    machine.core.engine.switch_on(last)
    machine.run()
    assert (bytes(machine.console)[:1], last.instret) == (b"A", None)
