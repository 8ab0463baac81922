"""The address sanitizer in Python: its report, ranges of one's own, snapshots, threads and interrupts of allocators."""

import re
from pathlib import Path

import pytest

from emu.errors import ConfigError
from emu.events import HeapFreed
from emu.machine import Machine
from emu.observe.allocations.description import Allocator, read_description
from emu.observe.allocations.signatures import frame_allocator, heap_allocator
from emu.observe.code import HOST
from emu.observe.sanitizer.address import AddressSanitizer
from emu.observe.sanitizer.bugs import Bug, MemoryBug
from emu.report.sanitizer import BugReport

# A heap that hands out 64 bytes at a time, from the front; what is free begins with a word of its own.
HEAP = """
    li a7, 8
    ecall
take:
    la t0, next
    ld a0, (t0)
    addi t1, a0, 64
    sd t1, (t0)
    sd zero, (a0)
    ret
.size take, . - take
give:
    sd a0, 8(a0)
    ret
.size give, . - give
fill:
    addi sp, sp, -16
    sd ra, 8(sp)
    call take
    sd a0, 0(sp)
1:  sb a1, (a0)
    addi a0, a0, 1
    addi a2, a2, -1
    bnez a2, 1b
    ld a0, 0(sp)
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
.size fill, . - fill
drop_and_look:
    addi sp, sp, -16
    sd ra, 8(sp)
    sd a0, 0(sp)
    call give
    ld a0, 0(sp)
    lw a0, 4(a0)
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
.size drop_and_look, . - drop_and_look
poke:
    sd a1, (a0)
    ret
.size poke, . - poke
.type take, @function
.type give, @function
.type fill, @function
.type drop_and_look, @function
.type poke, @function
    .data
    .balign 8
next: .dword arena
    .balign 4096
arena: .zero 8192
"""


@pytest.fixture
def heap(boot) -> tuple[Machine, AddressSanitizer, list[MemoryBug]]:
    machine, found = boot(HEAP), []
    machine.hart.x["sp"] = 0x8090_0000
    sanitizer = AddressSanitizer(machine, (), (heap_allocator("take(size=a2),give"),))
    machine.on(MemoryBug, found.append)
    return machine, sanitizer, found


def test_the_report_has_the_order_and_the_words_of_kasan(heap):
    machine, _, found = heap
    block = machine.call("fill", 0, 0x55, 29)
    machine.call("drop_and_look", block)
    assert [bug.bug for bug in found] == [Bug.USE_AFTER_FREE]
    text = BugReport(machine).text(found[0])
    at = f"{block + 4:016x}"
    parts = [
        r"=+", r"BUG: ekernel: slab-use-after-free in drop_and_look\+0x[0-9a-f]+/0x[0-9a-f]+",
        rf"Read of size 4 at addr {at} by hart 0 in S mode, instret [\d,]+", "Call trace:",
        r" drop_and_look\+", " the host",
        r"Allocated by hart 0, instret [\d,]+:", r" fill\+", r"Freed by hart 0, instret [\d,]+:", r" drop_and_look\+",
        rf"The buggy address belongs to the object at {block:016x}", "The buggy address is located 4 bytes inside of",
        rf" 29-byte region \[{block:016x}, {block + 29:016x}\)", "Page walk:",
        rf" physical address {block + 4:#x} \(no paging\)",
        "Memory state around the buggy address:", rf">{block:016x}: fb fb fb fb", r" +\^", r"=+",
    ]  # fmt: skip
    assert re.search(r"(?s)^" + r".*?\n".join(parts) + "$", text), text
    lines = text.splitlines()
    shown = next(number for number, line in enumerate(lines) if line.startswith(">"))
    assert lines[shown + 1].index("^") == lines[shown].index("fb")


def test_a_free_with_another_size_is_reported_with_both(boot):
    machine, found = boot(HEAP), []
    machine.hart.x["sp"] = 0x8090_0000
    AddressSanitizer(machine, (), (heap_allocator("take(size=a2),give(a0,size=a1)"),))
    machine.on(MemoryBug, found.append)
    block = machine.call("fill", 0, 0x55, 29)
    machine.call("give", machine.call("fill", 0, 0x55, 29), 29)
    machine.call("give", block, 30)
    [bug] = found
    text = BugReport(machine).text(bug)
    parts = [
        r"BUG: ekernel: wrong-size-free in the host", rf"Free of size 30 at addr {block:016x} by hart 0",
        r"Call trace:", r"Allocated by hart 0", r" fill\+", r"The buggy address is located 0 bytes inside of",
        rf" 29-byte region \[{block:016x}, {block + 29:016x}\)", r">",
    ]  # fmt: skip
    assert re.search(r"(?s)" + r".*?\n".join(parts), text), text
    assert "Freed by" not in text
    assert "Page walk" not in text


def test_a_partly_held_cell_is_shown_by_its_number_of_bytes(heap):
    machine, _, found = heap
    block = machine.call("fill", 0, 0x55, 29)
    machine.call("poke", block + 24, 1)
    [bug] = found
    assert (bug.bug, int(bug.address), bug.size, bug.value) == (Bug.OUT_OF_BOUNDS, block + 24, 8, 1)
    codes = dict(bug.shadow)[int(bug.address) & -128]
    start = (block & 127) // 8
    assert codes[start : start + 4] == bytes([0, 0, 0, 5])
    assert "located 24 bytes inside of" in BugReport(machine).text(bug)


def test_ones_own_ranges_are_told_with_their_reason_until_they_are_unpoisoned(heap):
    machine, sanitizer, found = heap
    place = machine.address_of("arena") + 4096
    sanitizer.poison(range(place, place + 12), "the header is read-only")
    machine.call("poke", place + 12, 7)
    assert found == []
    machine.call("poke", place + 8, 7)
    assert [(bug.bug, bug.why) for bug in found] == [(Bug.USER, "the header is read-only")]
    assert "Poisoned because: the header is read-only" in BugReport(machine).text(found[0])
    sanitizer.unpoison(range(place, place + 12))
    machine.call("poke", place, 7)
    assert sanitizer.found == 1


def test_a_snapshot_brings_back_what_was_held_and_what_was_not(heap):
    machine, _, found = heap
    block = machine.call("fill", 0, 1, 20)
    held = machine.snapshot()
    machine.call("give", block)
    machine.restore(held)
    machine.call("poke", block, 1)
    assert found == []
    machine.call("give", block)
    machine.call("poke", block, 1)
    assert [bug.bug for bug in found] == [Bug.USE_AFTER_FREE]


@pytest.mark.parametrize("probes", [None, "python"])
@pytest.mark.parametrize("others_listen", [False, True])
def test_a_bad_free_is_told_at_its_moment_however_calls_are_followed(boot, probes, others_listen):
    machine, found = boot(HEAP, probes=probes), []
    machine.hart.x["sp"] = 0x8090_0000
    sanitizer = AddressSanitizer(machine, (), (heap_allocator("take(size=a2),give"),))
    if others_listen:
        machine.on(HeapFreed, lambda _event: None)
    machine.on(MemoryBug, lambda bug: found.append((bug.bug, bug.instret, machine.instret, bug.callers)))
    block, freed = machine.call("fill", 0, 0x55, 29), []
    machine.watch("give", lambda: freed.append(machine.instret))
    for _ in range(2):
        machine.call("drop_and_look", block)
    assert [bug for bug, *_ in found] == [Bug.USE_AFTER_FREE, Bug.DOUBLE_FREE]
    assert found[1][1:] == (freed[1], freed[1], (HOST,))
    sanitizer.tell_again()

    def stops(bug: MemoryBug) -> None:
        raise LookupError(bug.bug.value)

    machine.on(MemoryBug, stops)
    with pytest.raises(LookupError, match="double-free"):
        machine.call("drop_and_look", block)


def described(folder: Path, low: str) -> tuple[Allocator, ...]:
    file = folder / "mine.toml"
    file.write_text(
        '[[blocks]]\nfunction = "take"\ndoes = "allocate"\nsize = "a2"\n'
        f'[[stack]]\nlow = "{low}"\nhigh = "&arena + 8192"\n'
    )
    return (read_description(file, trusted=True),)


def test_a_description_may_say_where_the_kernels_stack_is(boot, tmp_path):
    machine, found = boot(HEAP), []
    AddressSanitizer(machine, (), described(tmp_path, "&arena + 4096"))
    machine.on(MemoryBug, found.append)
    low = machine.address_of("arena") + 4096
    for sp in low + 64, low - 64:
        machine.hart.x["sp"] = sp
        machine.call("poke", low - 8, 1)
    [bug] = found
    assert (bug.bug, bug.address, bug.region.start, bug.region.size) == (Bug.STACK, low - 8, low, 4096)


@pytest.mark.parametrize("low", ["&arena + 8192", "&no_such_stack"])
def test_a_described_stack_that_the_image_has_not_is_an_error(boot, tmp_path, low):
    with pytest.raises(ConfigError, match=f"mine: no stack lies from {re.escape(low)} to &arena"):
        AddressSanitizer(boot(HEAP), (), described(tmp_path, low))


def test_each_place_is_told_once(heap):
    machine, _, found = heap
    block = machine.call("fill", 0, 1, 20)
    machine.call("give", block)
    for _ in range(3):
        machine.call("poke", block, 1)
    assert len(found) == 1


def test_a_sanitizer_that_is_closed_leaves_a_machine_without_any_cost(heap):
    machine, sanitizer, found = heap
    block = machine.call("fill", 0, 1, 20)
    sanitizer.close()
    machine.call("give", block)
    machine.call("poke", block, 1)
    assert found == []
    assert machine.core.engine._features == ()


def test_a_frame_that_was_freed_is_named_by_whoever_touches_it(boot):
    machine, found = boot(HEAP), []
    machine.hart.x["sp"] = 0x8090_0000
    with AddressSanitizer(machine, (frame_allocator("take,give,address"),), ()):
        machine.on(MemoryBug, found.append)
        page = machine.address_of("arena")
        assert machine.call("take") == page
        machine.call("poke", page + 4088, 1)
        assert found == []
        machine.call("give", page)
        machine.call("poke", page + 4088, 1)
        [bug] = found
        assert bug.bug is Bug.PAGE_USE_AFTER_FREE
        assert "4088 bytes inside of\n 4096-byte page" in BugReport(machine).text(bug)


# A heap that hands out first what came back last.
STACKED = """
    li a7, 8
    ecall
take:
    la t0, list
    ld a0, (t0)
    beqz a0, 1f
    ld t1, (a0)
    sd t1, (t0)
    ret
1:  la t0, next
    ld a0, (t0)
    addi t1, a0, 64
    sd t1, (t0)
    ret
.size take, . - take
give:
    la t0, list
    ld t1, (t0)
    sd t1, (a0)
    sd a0, (t0)
    ret
.size give, . - give
late:
    addi sp, sp, -32
    sd ra, 24(sp)
    sd s0, 16(sp)
    li a2, 64
    call take
    mv s0, a0
    call give
    li a2, 64
    call take
    sd zero, 8(s0)
    ld s0, 16(sp)
    ld ra, 24(sp)
    addi sp, sp, 32
    ret
.size late, . - late
.type take, @function
.type give, @function
.type late, @function
    .data
    .balign 8
list: .dword 0
next: .dword arena
    .balign 4096
arena: .zero 8192
"""


def stacked(boot, quarantine: int, probes: str | None = None) -> tuple[Machine, list[MemoryBug]]:
    machine, found = boot(STACKED, probes=probes), []
    machine.hart.x["sp"] = 0x8090_0000
    AddressSanitizer(machine, (), (heap_allocator("take(size=a2),give"),), quarantine=quarantine)
    machine.on(MemoryBug, found.append)
    return machine, found


def take(machine: Machine) -> int:
    machine.hart.x["a2"] = 64
    return machine.call("take")


@pytest.mark.parametrize("probes", [None, "python"])
def test_a_late_access_is_found_while_its_block_is_held_back(boot, probes):
    machine, found = stacked(boot, 0, probes)
    machine.call("late")
    assert found == []  # the block has a new owner, whom nobody can tell from the old one
    machine, found = stacked(boot, 4096, probes)
    machine.call("late")
    [bug] = found
    assert bug.bug is Bug.USE_AFTER_FREE
    assert int(bug.address) == machine.address_of("arena") + 8
    text = BugReport(machine).text(bug)
    assert re.search(r"Allocated by.*\n late\+.*\n(.*\n)+Freed by.*\n late\+", text)
    assert machine.memory.read_int(machine.address_of("list"), 8) == 0  # nothing has gone back yet


def test_behind_the_limit_the_oldest_goes_back_first_and_nothing_twice(boot):
    machine, found = stacked(boot, 128)
    blocks = [take(machine) for _ in range(5)]
    before = machine.snapshot()
    for _ in range(2):
        for block in blocks:
            machine.call("give", block)
        assert found == []
        machine.call("give", blocks[4])
        assert [bug.bug for bug in found] == [Bug.DOUBLE_FREE]
        assert [take(machine) for _ in range(4)] == [blocks[2], blocks[1], blocks[0], blocks[4] + 64]
        assert [bug.bug for bug in found] == [Bug.DOUBLE_FREE]
        machine.restore(before)
        found.clear()
        machine.events.observers[AddressSanitizer].tell_again()


def test_a_machine_poisons_by_the_sanitizer_that_it_has_or_one_of_its_own(heap, boot):
    machine, sanitizer, found = heap
    place = machine.address_of("arena") + 4096
    machine.poison(range(place, place + 8), "mine")
    machine.call("poke", place, 7)
    assert [bug.why for bug in found] == ["mine"]
    assert sanitizer.found == 1
    machine.unpoison(range(place, place + 8))
    machine.call("poke", place, 7)
    assert len(found) == 1
    other, told = boot(HEAP), []
    other.poison(range(place, place + 8), "read-only")
    other.on(MemoryBug, told.append)
    AddressSanitizer(other, (), (heap_allocator("take(size=a2),give"),))  # takes over what was said
    other.call("poke", place, 7)
    assert [bug.why for bug in told] == ["read-only"]
