"""Page replacement: a program that is larger than memory finishes, under every policy, and nothing is left of it."""

import pytest

from emu.machine import Machine
from tests.kernel import running
from tests.kernel.running import ERROR, doubleword, leave_free

FIFO, CLOCK, LRU = 1, 2, 3
SLOTS = 512


def run(machine: Machine, name: str) -> tuple[int, str]:
    """What a program makes; no slot of the store may be lost, either."""
    ended = running.run(machine, name)
    assert doubleword(machine, "store_used") == 0
    stored = machine.memory.read(machine.address_of("store_map"), SLOTS)
    assert stored == bytes(SLOTS), "a slot of the store was not given back"
    return ended


def run_in_short_memory(machine: Machine, policy: int, free: int) -> int:
    """Runs `large`, which has 512 pages; returns how many pages had to be fetched back."""
    assert machine.call("replacement_init", policy, SLOTS) == 0
    leave_free(machine, free)
    assert run(machine, "large") == (0, "large: 512 pages, written and read twice\n")
    assert doubleword(machine, "pages_stored") >= doubleword(machine, "pages_fetched") > 0
    return doubleword(machine, "pages_fetched")


def test_a_program_larger_than_memory_finishes_and_a_page_in_use_stays_unless_the_policy_is_blind_to_use(
    machine: Machine,
) -> None:
    start = machine.snapshot()
    fetched = {}
    for policy in (FIFO, CLOCK, LRU):
        machine.restore(start)
        fetched[policy] = run_in_short_memory(machine, policy, 48)
    assert fetched[CLOCK] < fetched[FIFO]
    assert fetched[LRU] < fetched[FIFO]


@pytest.mark.parametrize("slots", [0, 100], ids=["without a policy", "with a store that is too small"])
def test_a_program_larger_than_memory_is_ended_in_order(machine: Machine, slots: int) -> None:
    assert not slots or machine.call("replacement_init", CLOCK, slots) == 0
    leave_free(machine, 48)
    code, text = running.run(machine, "large")
    assert code == ERROR - 1
    assert text.endswith(": no available frame to allocate\n")


@pytest.mark.parametrize("policy", [FIFO, CLOCK, LRU])
def test_forks_and_shared_pages_survive_replacement(machine: Machine, policy: int) -> None:
    assert machine.call("replacement_init", policy, SLOTS) == 0
    leave_free(machine, 40)
    code, text = run(machine, "memory")
    assert code == 0
    assert text.splitlines() == [
        "memory: the child wrote 33 and still sees 22",
        "memory: the parent still sees 11 and 22; the child left with 5",
        "memory: mapped, written over a page boundary: 0x20000ffc, and unmapped",
    ]


def test_replacement_needs_room_for_its_table(machine: Machine) -> None:
    leave_free(machine, 100)
    use = machine.call("frame_in_use")
    assert machine.call("replacement_init", FIFO, SLOTS) == ERROR
    assert machine.call("frame_in_use") == use


@pytest.mark.parametrize("program", ["memory", pytest.param("large", marks=pytest.mark.slow), "faults"])
@pytest.mark.parametrize("policy", [FIFO, CLOCK, LRU])
def test_however_little_memory_is_left_a_program_finishes_or_ends_in_order(
    machine: Machine, policy: int, program: str
) -> None:
    assert machine.call("replacement_init", policy, SLOTS) == 0
    leave_free(machine, 30)
    start = machine.snapshot()
    codes = []
    for free in (*range(10), 12, 15, 20, 25, 30):
        machine.restore(start)
        leave_free(machine, free)
        code, text = run(machine, program)
        assert not code or "no available frame to allocate" in text or "no memory" in text or not text, text
        codes.append(code)
    assert not codes[-1]
    assert not any(codes[codes.index(0) :]), "with more memory it fails again"
