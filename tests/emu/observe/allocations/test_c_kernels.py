"""C kernels with the habits of well-known ones: correct work accuses nobody, each planted mistake is named."""

import random

import pytest

from emu.machine import Machine, MachineConfig, Semihosting
from emu.observe.allocations.catalogue import shipped
from emu.observe.allocations.freelists import free_blocks
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import HeapObserver
from emu.observe.allocations.reach import unreachable
from emu.observe.code import HOST
from emu.observe.sanitizer.address import AddressSanitizer
from emu.observe.sanitizer.bugs import Bug, MemoryBug
from emu.observe.sanitizer.uninit.sanitizer import UninitSanitizer
from tests.emu.observe.allocations.conftest import Build, loaded


@pytest.fixture
def pages(built: Build) -> tuple[Machine, AllocationLedger]:
    machine, ledger = loaded(built("pages"))
    machine.run()
    machine.hart.x["sp"] = 0x8090_0000
    return machine, ledger


def test_a_kernel_that_frees_all_memory_first_is_accused_of_nothing(pages: tuple[Machine, AllocationLedger]) -> None:
    machine, ledger = pages
    assert ledger.frames.given > 1000
    assert ledger.frames.allocated == 0
    machine.call("works", 40)
    assert (ledger.frames.wrong.total(), ledger.frames.held) == (0, {})
    assert ledger.frames.allocated == ledger.frames.freed > 150


@pytest.mark.parametrize(
    ("mistake", "wrong"),
    [
        ("frees_twice", "freed twice"),
        ("frees_foreign", "freed but not held"),
        ("frees_inside", "freed from its middle"),
        ("corrupts_the_list", "handed out while held"),
    ],
)
def test_each_planted_mistake_is_named_with_the_function_that_made_it(
    pages: tuple[Machine, AllocationLedger], mistake: str, wrong: str
) -> None:
    machine, ledger = pages
    machine.call("works", 3)
    machine.call(mistake)
    last = ledger.frames.mistakes[-1]
    assert last.wrong.value == wrong
    place = machine.symbols.at(last.event.pc)
    assert place is not None
    assert place[0].name == mistake
    assert last.event.callers == (HOST,)  # type: ignore[union-attr]


def test_what_is_forgotten_is_unreachable_and_what_is_kept_is_not(pages: tuple[Machine, AllocationLedger]) -> None:
    machine, ledger = pages
    machine.call("keeps")
    assert unreachable(machine, ledger).frames == ()
    machine.call("forgets")
    names = [machine.symbols.at(event.pc) for event in unreachable(machine, ledger).frames]
    assert 2 <= len(names) <= 3  # the stack may still have one of the addresses
    assert {place[0].name for place in names if place is not None} == {"forgets"}
    assert len(ledger.frames.held) == 4


def test_the_free_list_in_memory_has_what_the_ledger_says_is_free(pages: tuple[Machine, AllocationLedger]) -> None:
    machine, ledger = pages
    machine.call("keeps")
    (lists,) = next(one.free_lists for one in shipped() if one.name == "xv6")
    free = {block.address >> 12 for block in free_blocks(machine, lists)}
    assert free == set(ledger.frames.frees)


def test_random_work_with_a_heap_of_joining_blocks_is_accused_of_nothing(built: Build) -> None:
    machine, ledger = loaded(built("freertos", "-DHEAP=4"))
    chance, held = random.Random(7), dict[int, int]()
    for _ in range(400):
        if held and chance.random() < 0.5:
            address = chance.choice(list(held))
            machine.call("vPortFree", address)
            del held[address]
        else:
            size = chance.choice([1, 24, 100, 500, 3000])
            address = machine.call("pvPortMalloc", size)
            if address:
                held[address] = size
        assert {int(key): event.size for key, event in ledger.blocks.held.items()} == held
    assert ledger.blocks.wrong.total() == 0


@pytest.mark.parametrize(
    ("option", "held", "wrong"),
    [("-DRIGHT", 0, {}), ("-DFORGET", 20, {}), ("-DTWICE", 0, {"freed twice": 20})],
)
def test_malloc_of_a_c_library_is_followed_through_realloc_and_calloc(
    built: Build, option: str, held: int, wrong: dict[str, int]
) -> None:
    machine = Machine(MachineConfig(fidelity="fast", firmware="none", semihosting=Semihosting()))
    machine.load(built("library", option))
    HeapObserver(machine)
    ledger = AllocationLedger(machine)
    machine.run(3_000_000)
    assert option == "-DTWICE" or b"done" in machine.console
    kept = [event for event in ledger.blocks.held.values() if 8 < event.size < 16]
    assert len(kept) == held
    if option != "-DTWICE":
        assert {kind.value: count for kind, count in ledger.blocks.wrong.items()} == wrong
    else:
        assert ledger.blocks.mistakes[0].wrong.value == "freed twice"
    for event in kept:
        place = machine.symbols.at(event.pc)
        assert place is not None
        assert place[0].name == "push"


@pytest.mark.parametrize("written", [8, 9])
def test_what_lies_behind_a_block_of_malloc_is_the_heaps_also_where_the_block_fills_all_of_its_words(
    built: Build, written: int
) -> None:
    machine = Machine(MachineConfig(fidelity="fast", firmware="none", semihosting=Semihosting()))
    machine.load(built("library", f"-DBEYOND={written}"))
    found: list[MemoryBug] = []
    AddressSanitizer(machine)
    machine.on(MemoryBug, found.append)
    machine.run(3_000_000)
    assert b"done" in machine.console
    told = [(bug.bug, bug.region and bug.address - bug.region.start, bug.value) for bug in found]
    assert told == [(Bug.OUT_OF_BOUNDS, 64, 8)] * (written > 8)


@pytest.mark.parametrize("name", ["pages", "ucore", "freertos", "library"])
def test_correct_work_uses_nothing_that_was_never_written(built: Build, name: str) -> None:
    options = {"freertos": ("-DHEAP=4",), "library": ("-DRIGHT",)}.get(name, ())
    hosted = {"firmware": "none", "semihosting": Semihosting()} if name == "library" else {}
    machine = Machine(MachineConfig(fidelity="fast", **hosted))
    machine.load(built(name, *options))
    found: list[MemoryBug] = []
    uninit = UninitSanitizer(machine, AddressSanitizer(machine))
    machine.on(MemoryBug, found.append)
    machine.run(3_000_000)
    if machine.symbols.named("works"):
        machine.hart.x["sp"] = 0x8090_0000
        machine.call("works", 40)
    assert found == []
    assert uninit.marked > 100
