"""The address sanitizer in Python: its report, ranges of one's own, snapshots, threads and interrupts of allocators."""

import re

import pytest

from emu.machine import Machine
from emu.observe.allocations.signatures import frame_allocator, heap_allocator
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
