"""Page replacement: a program that is larger than memory finishes, under every policy, and nothing is left of it."""

import pytest

from emu.machine import Machine

FIFO, CLOCK, LRU = 1, 2, 3
SLOTS = 512
LIMIT = 400_000_000


def leave_free(machine: Machine, frames: int) -> None:
    """Take frames until so many are free."""
    count = 1 << 15
    while count:
        left = machine.call("frame_total") - machine.call("frame_in_use") - frames
        if count > left or not machine.call("frame_alloc_contiguous", count):
            count //= 2


def doubleword(machine: Machine, name: str) -> int:
    return machine.memory.read_int(machine.address_of(name), 8)


def run(machine: Machine, name: str) -> tuple[int, str]:
    string = machine.call("heap_alloc", 64, 8)
    machine.memory.write(string, name.encode() + b"\0")
    use = machine.call("frame_in_use"), machine.call("heap_requested")
    before = len(machine.console)
    code = machine.call("process_run", string, max_instructions=LIMIT)
    assert (machine.call("frame_in_use"), machine.call("heap_requested")) == use
    stored = machine.memory.read(machine.address_of("store_map"), SLOTS)
    assert doubleword(machine, "store_used") == 0
    assert stored == bytes(SLOTS), "a slot of the store was not given back"
    return code, machine.console[before:].decode()


def run_in_short_memory(machine: Machine, policy: int, free: int) -> int:
    """Runs `large`, which has 512 pages; returns how many pages had to be fetched back."""
    assert machine.call("replacement_init", policy, SLOTS) == 0
    leave_free(machine, free)
    assert run(machine, "large") == (0, "large: 512 pages, written and read twice\n")
    assert doubleword(machine, "pages_stored") >= doubleword(machine, "pages_fetched") > 0
    return doubleword(machine, "pages_fetched")


def test_a_program_larger_than_memory_finishes_and_a_page_in_use_stays_unless_the_policy_is_blind_to_use(
    paging: Machine,
) -> None:
    start = paging.snapshot()
    fetched = {}
    for policy in (FIFO, CLOCK, LRU):
        paging.restore(start)
        fetched[policy] = run_in_short_memory(paging, policy, 48)
    assert fetched[CLOCK] < fetched[FIFO]
    assert fetched[LRU] < fetched[FIFO]


def test_without_a_policy_the_program_is_ended_in_order(paging: Machine) -> None:
    leave_free(paging, 48)
    string = paging.call("heap_alloc", 64, 8)
    paging.memory.write(string, b"large\0")
    before = len(paging.console)
    assert paging.call("process_run", string, max_instructions=LIMIT) == (1 << 64) - 2
    assert paging.console[before:].endswith(b": no available frame to allocate\n")


def test_a_store_that_is_too_small_ends_the_program_in_order(paging: Machine) -> None:
    assert paging.call("replacement_init", CLOCK, 100) == 0
    leave_free(paging, 48)
    use = paging.call("frame_in_use")
    string = paging.call("heap_alloc", 64, 8)
    paging.memory.write(string, b"large\0")
    before = len(paging.console)
    assert paging.call("process_run", string, max_instructions=LIMIT) == (1 << 64) - 2
    assert paging.console[before:].endswith(b": no available frame to allocate\n")
    assert paging.call("frame_in_use") == use


@pytest.mark.parametrize("policy", [FIFO, CLOCK, LRU])
def test_forks_and_shared_pages_survive_replacement(paging: Machine, policy: int) -> None:
    assert paging.call("replacement_init", policy, SLOTS) == 0
    leave_free(paging, 40)
    code, text = run(paging, "memory")
    assert code == 0
    assert text.splitlines() == [
        "memory: the child wrote 33 and still sees 22",
        "memory: the parent still sees 11 and 22; the child left with 5",
        "memory: mapped, written over a page boundary: 0x20000ffc, and unmapped",
    ]


def test_replacement_needs_room_for_its_table(paging: Machine) -> None:
    leave_free(paging, 100)
    use = paging.call("frame_in_use")
    assert paging.call("replacement_init", FIFO, SLOTS) == (1 << 64) - 1
    assert paging.call("frame_in_use") == use


@pytest.mark.parametrize("program", ["memory", pytest.param("large", marks=pytest.mark.slow), "faults"])
@pytest.mark.parametrize("policy", [FIFO, CLOCK, LRU])
def test_however_little_memory_is_left_a_program_finishes_or_ends_in_order(
    paging: Machine, policy: int, program: str
) -> None:
    assert paging.call("replacement_init", policy, SLOTS) == 0
    leave_free(paging, 30)
    start = paging.snapshot()
    codes = []
    for free in (*range(10), 12, 15, 20, 25, 30):
        paging.restore(start)
        leave_free(paging, free)
        code, text = run(paging, program)
        assert not code or "no available frame to allocate" in text or "no memory" in text or not text, text
        codes.append(code)
    assert not codes[-1]
    assert not any(codes[codes.index(0) :]), "with more memory it fails again"
