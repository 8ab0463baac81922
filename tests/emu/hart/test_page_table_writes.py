"""Written page-table entries as events: which, by whom, where in the address space; and what is no table any more."""

import pytest

from emu.events import PteWritten, TlbFilled
from emu.isa.privilege import Privilege
from emu.machine import Machine, MachineConfig, StopReason

OFF = "li a7, 8\n ecall\n"
GUEST = """
    la s0, root
    la s1, middle
    la s2, table
    la s3, spare
    li t1, 0x200000cf       # the gigabyte of RAM onto itself
    sd t1, 16(s0)
    srli t1, s1, 2
    ori t1, t1, 1
    sd t1, 0(s0)
    srli t1, s2, 2
    ori t1, t1, 1
    sd t1, 0(s1)
    srli t0, s0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    .globl writes
writes:
    {writes}
    li a7, 8
    ecall
    .balign 4096
    .globl root, middle, table, spare
root: .zero 4096
middle: .zero 4096
table: .zero 4096
spare: .zero 4096
    .globl data
data: .zero 4096
"""


def told(machine):
    """Starts to listen; the list fills with what each event says but when it was."""
    seen = []
    machine.on(PteWritten, seen.append)
    return seen


def brief(events):
    return [(event.level, int(event.first), event.old, event.new) for event in events]


def finish(machine):
    assert machine.run(max_instructions=100_000).reason is StopReason.POWERED_OFF


def test_a_store_to_an_entry_is_an_event_with_its_instruction(boot):
    machine = boot(
        GUEST.format(writes="li t1, 0x5f\n .globl store\n store: sd t1, 24(s2)\n sd t1, 24(s2)\n sd zero, 24(s2)")
    )
    events = told(machine)
    finish(machine)
    assert brief(events) == [(0, 0x3000, 0, 0x5F), (0, 0x3000, 0x5F, 0)]
    first = events[0]
    assert (first.pc, first.privilege, first.by_walk) == (machine.address_of("store"), Privilege.S, False)
    assert first.pte_address == machine.address_of("table") + 24
    quiet = boot(GUEST.format(writes=f".globl end\n end: {OFF}"))
    quiet.run(until="writes")
    assert first.instret == quiet.instret + 1


def test_each_level_knows_its_addresses(boot):
    writes = "li t1, 0x5f\n sd t1, 8(s0)\n sd t1, -8(s1)\n li t2, 0x5f\n sd t2, 16(s1)\n sd t2, 32(s2)"
    machine = boot(GUEST.format(writes=writes))
    events = told(machine)
    finish(machine)
    gib = 1 << 30
    assert brief(events) == [
        (2, gib, 0, 0x5F),
        (2, (1 << 64) - gib, 0, 0x5F),  # the last entry of the root, right before the next table
        (1, 2 << 21, 0, 0x5F),
        (0, 4 << 12, 0, 0x5F),
    ]


LINK = "srli t1, s3, 2\n ori t1, t1, 1\n sd t1, 8(s0)\n"


def test_a_table_is_watched_from_its_link_to_its_unlinking(boot):
    writes = f"li t2, 0x5f\n sd t2, 0(s3)\n {LINK} sd t2, 16(s3)\n sd zero, 8(s0)\n sd t2, 24(s3)"
    machine = boot(GUEST.format(writes=writes))
    events = told(machine)
    finish(machine)
    pointer = machine.address_of("spare") >> 2 | 1
    assert brief(events) == [
        (2, 1 << 30, 0, pointer),
        (1, (1 << 30) + (2 << 21), 0, 0x5F),
        (2, 1 << 30, pointer, 0),
    ]


def test_a_table_with_two_links_is_a_table_until_both_are_gone(boot):
    writes = f"li t2, 0x5f\n {LINK} sd t1, 24(s0)\n sd zero, 8(s0)\n sd t2, 16(s3)\n sd zero, 24(s0)\n sd t2, 32(s3)"
    machine = boot(GUEST.format(writes=writes))
    events = told(machine)
    finish(machine)
    assert [event.new for event in events if event.pte_address & ~0xFFF == machine.address_of("spare")] == [0x5F]


@pytest.mark.parametrize(
    ("writes", "news"),
    [
        ("li t1, 3\n addi t0, s2, 8\n amoor.d a1, t1, (t0)\n amoswap.d a2, zero, (t0)", [3, 0]),
        ("li t1, 3\n addi t0, s2, 8\n lr.d a1, (t0)\n sc.d a2, t1, (t0)", [3]),
        ("li t1, -1\n sw t1, 12(s2)\n sb zero, 12(s2)", [0xFFFF_FFFF << 32, 0xFFFF_FF00 << 32]),
        ("li t1, -1\n sd t1, 13(s2)", [0xFFFFFF << 40, (1 << 40) - 1]),
        ("li t1, -1\n li t0, 4096\n add t0, t0, s2\n sd t1, -4(t0)", [0xFFFF_FFFF << 32]),
        ("li t1, -1\n sd t1, -4(s2)", [0xFFFF_FFFF << 32, 0xFFFF_FFFF]),
        (LINK + "amoswap.d a1, zero, (s0)\n sd t1, (s2)\n sd t1, 8(s3)", None),
    ],
)
def test_every_kind_of_store_does_what_it_does_unwatched(boot, writes, news):
    plain, watched = boot(GUEST.format(writes=writes)), boot(GUEST.format(writes=writes))
    events = told(watched)
    finish(plain)
    finish(watched)
    assert plain.instret == watched.instret
    assert list(plain.hart.x) == list(watched.hart.x)
    tables = plain.address_of("root"), 5 * 4096
    assert plain.memory.read(*tables) == watched.memory.read(*tables)
    assert news is None or [event.new for event in events] == news


@pytest.mark.parametrize("listening", [False, True])
def test_both_kinds_of_probes_see_and_count_the_same(build, fidelity, listening):
    writes = f"li t2, 0x5f\n {LINK} sd t2, 16(s3)\n amoswap.d a1, zero, (s2)\n"
    runs = []
    for probes in ("native", "python"):
        machine = Machine(MachineConfig(ram_size=16 << 20, fidelity=fidelity, probes=probes))
        machine.load(build(GUEST.format(writes=writes + "sd zero, 8(s0)\n sd t2, 24(s3)\n csrr s6, instret")))
        events = told(machine) if listening else []
        finish(machine)
        runs.append((machine.instret, machine.hart.x["s6"], events))
    assert runs[0] == runs[1]


def test_the_first_listener_installs_the_watch_and_the_last_removes_it(boot):
    machine = boot(
        GUEST.format(writes="li t1, 0x5f\n sd t1, 8(s2)\n .globl later\n later: sd t1, 16(s2)\n sd t1, 24(s2)")
    )
    machine.run(until="writes")
    seen = []
    subscription = machine.on(PteWritten, lambda event: seen.append(int(event.first)))
    machine.run(until="later")
    subscription.cancel()
    machine.step()
    assert seen == [0x1000]
    machine.on(PteWritten, lambda event: seen.append(int(event.first)))
    finish(machine)
    assert seen == [0x1000, 0x3000]


def test_a_listener_can_come_in_the_middle_of_a_run(boot):
    machine = boot(GUEST.format(writes="li t1, 0x5f\n sd t1, 8(s2)\n .globl later\n later: j 1f\n 1: sd t1, 16(s2)"))
    seen = []
    machine.watch("later", lambda: machine.on(PteWritten, seen.append))
    finish(machine)
    assert brief(seen) == [(0, 0x2000, 0, 0x5F)]


def test_a_root_that_was_cleared_is_ordinary_memory_again(boot):
    writes = """
    srli t0, s3, 12         # another address space with the same gigabyte
    li t1, 8 << 60
    or t0, t0, t1
    li t1, 0x200000cf
    sd t1, 16(s3)
    csrw satp, t0
    sfence.vma
    sd zero, 0(s0)          # the first root, cleared entry by entry
    sd zero, 16(s0)
    li t1, 0x1234567
    sd t1, 40(s0)           # used for something else
    sd t1, 40(s3)
    """
    machine = boot(GUEST.format(writes=writes))
    events = told(machine)
    finish(machine)
    assert [(int(event.pte_address) - machine.address_of("root"), event.new) for event in events] == [
        (0, 0), (16, 0), (3 * 4096 + 40, 0x1234567)
    ]  # fmt: skip


def test_a_root_that_is_given_back_as_it_is_tells_of_what_comes_first_and_of_no_more(boot):
    writes = """
    srli t0, s3, 12         # another address space with the same gigabyte
    li t1, 8 << 60
    or t0, t0, t1
    li t1, 0x200000cf
    sd t1, 16(s3)
    csrw satp, t0
    sfence.vma
    sd t1, 24(s0)           # a table still
    li t2, 0xcccccccccccccccc
    sd t2, 24(s0)           # poison of an allocator
    sd t2, 32(s0)
    sd t2, 8(s1)            # nor is what it led to
    sd t2, 24(s3)           # a mistake, in the root that satp holds
    sd t1, 32(s3)
    """
    machine = boot(GUEST.format(writes=writes))
    events = told(machine)
    finish(machine)
    poison = 0xCCCC_CCCC_CCCC_CCCC
    assert [(int(event.pte_address) - machine.address_of("root"), event.new) for event in events] == [
        (24, 0x200000CF), (24, poison), (3 * 4096 + 24, poison), (3 * 4096 + 32, 0x200000CF),
    ]  # fmt: skip


def test_a_table_of_a_tree_that_is_not_the_present_one_is_one_until_something_else_is_written(boot):
    writes = """
    srli t0, s3, 12
    li t1, 8 << 60
    or t0, t0, t1
    li t1, 0x200000cf
    sd t1, 16(s3)
    csrw satp, t0
    sfence.vma
    li t1, 0x1000
    sd t1, 24(s1)           # no entry: the page is used again
    sd t1, 32(s1)
    sd t1, 24(s2)           # and with it went this one
    """
    machine = boot(GUEST.format(writes=writes))
    events = told(machine)
    finish(machine)
    assert [(event.level, int(event.pte_address) - machine.address_of("middle")) for event in events] == [(1, 24)]


@pytest.mark.parametrize("tables_first", [False, True])
def test_a_watchpoint_and_the_watch_of_tables_see_the_same_stores(boot, tables_first):
    writes = "li t1, 0x5f\n sd t1, 24(s2)\n sd t1, 24(s2)\n la t2, data\n sd t1, (t2)\n sd zero, 24(s2)"
    machine = boot(GUEST.format(writes=writes))
    seen = []
    events = told(machine) if tables_first else []
    layer = machine.core.shadow.open(lambda access: seen.append((access.address, access.value)))
    layer.poison(machine.address_of("table") + 24, 8)
    layer.poison(machine.address_of("data"), 8)
    events = events if tables_first else told(machine)
    finish(machine)
    entry = machine.address_of("table") + 24
    assert seen == [(entry, 0x5F), (entry, 0x5F), (machine.address_of("data"), 0x5F), (entry, 0)]
    assert [event.new for event in events] == [0x5F, 0]


def test_a_function_that_the_host_calls_tells_of_the_entries_that_it_writes(boot):
    machine = boot(GUEST.format(writes=f"{OFF} .globl set\n set: ld a2, (a0)\n sd a1, (a0)\n mv a0, a2\n ret"))
    machine.run(until="writes")
    events = told(machine)
    entry = machine.address_of("table") + 40
    assert [machine.call("set", entry, value) for value in (0x5F, 0x5F, 7)] == [0, 0x5F, 0x5F]
    assert [(event.old, event.new) for event in events] == [(0, 0x5F), (0x5F, 7)]
    assert {int(event.pc) for event in events} == {machine.address_of("set") + 2}


def test_a_and_d_that_the_walk_sets_are_told_apart(build):
    writes = "la t1, data\n srli t1, t1, 2\n ori t1, t1, 7\n sd t1, 40(s2)\n sfence.vma\n li t0, 0x5000\n .globl load\n"
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(build(GUEST.format(writes=writes + "load: lw t2, (t0)\n lw t2, 4(t0)\n sw t2, (t0)")))
    events = told(machine)
    finish(machine)
    leaf = machine.address_of("data") >> 2 | 7
    assert [(event.by_walk, event.old, event.new) for event in events] == [
        (False, 0, leaf),
        (True, leaf, leaf | 0x40),
        (True, leaf | 0x40, leaf | 0xC0),
    ]
    assert (events[1].pc, events[1].first) == (machine.address_of("load"), 0x5000)
    plain = Machine(MachineConfig(ram_size=16 << 20))
    plain.load(build(GUEST.format(writes=writes + "load: lw t2, (t0)\n lw t2, 4(t0)\n sw t2, (t0)")))
    finish(plain)
    assert plain.instret == machine.instret


def test_a_fill_that_sets_a_bit_tells_of_both_once(build, collect):
    writes = "la t1, data\n srli t1, t1, 2\n ori t1, t1, 7\n sd t1, 40(s2)\n sfence.vma\n li t0, 0x5000\n lw t2, (t0)"
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(build(GUEST.format(writes=writes)))
    events = collect(machine, PteWritten, TlbFilled)
    finish(machine)
    assert [type(event) for event in events if event.pc == events[-2].pc][-2:] == [PteWritten, TlbFilled]
    assert [event.by_walk for event in events if isinstance(event, PteWritten)] == [False, True]
    assert [event.ppn for event in events if isinstance(event, TlbFilled) and event.vpn == 5] == [
        machine.address_of("data") >> 12
    ]


def test_a_snapshot_returns_to_the_tables_that_it_had(boot):
    machine = boot(GUEST.format(writes=f"{LINK} sd t1, 16(s3)"))
    events = told(machine)
    machine.run(until="writes")
    start = machine.snapshot()
    finish(machine)
    once = brief(events)
    machine.restore(start)
    events.clear()
    finish(machine)
    assert brief(events) == once
    assert len(once) == 2


def test_of_a_thousand_tables_each_write_is_told(boot):
    writes = "li t1, 0x80801000\n li t2, 500\n li t3, 0x4f\n lui t4, 1\n"
    writes += "8: sd t3, 24(t1)\n add t1, t1, t4\n addi t2, t2, -1\n bnez t2, 8b"
    machine = boot(GUEST.format(writes=writes))
    machine.run(until="writes")
    many = 0x8080_0000
    pages = [many + 4096 * (1 + number) for number in range(500)]
    machine.memory.write(machine.address_of("root") + 8, (many >> 2 | 1).to_bytes(8, "little"))
    machine.memory.write(many, b"".join((page >> 2 | 1).to_bytes(8, "little") for page in pages))
    events = told(machine)
    machine.restore(machine.snapshot())
    finish(machine)
    assert [int(event.pte_address) for event in events] == [page + 24 for page in pages]
    assert {(event.level, event.old, event.new) for event in events} == {(0, 0, 0x4F)}
    assert [int(event.first) for event in events] == [
        (1 << 30) + (number << 21) + (3 << 12) for number in range(500)
    ]  # fmt: skip


def test_a_table_is_watched_at_all_addresses_that_the_kernel_maps_it_at(boot):
    machine = boot(
        """
        la s0, root
        li t1, (0x80000000 >> 12 << 10) | 0xcf
        sd t1, 16(s0)
        la s1, middle
        srli t1, s1, 2
        ori t1, t1, 1
        sd t1, 8(s0)
        la s2, last
        srli t1, s2, 2
        ori t1, t1, 1
        sd t1, (s1)
        srli t1, s2, 2
        ori t1, t1, 0xc7
        sd t1, 5 * 8(s2)
        li t1, 8 << 60
        srli t0, s0, 12
        or t1, t1, t0
        csrw satp, t1
        sfence.vma
    writes:
        li t2, 0x40005000
        li t1, (0x80210000 >> 12 << 10) | 0x4f
        sd t1, 8 * 8(t2)
        srli t3, s2, 2
        ori t3, t3, 0xc7
        sd t3, 9 * 8(t2)
        sfence.vma
        li t2, 0x40009000
        sd zero, 8 * 8(t2)
        sw t1, 10 * 8(t2)
        li a7, 8
        ecall
        .balign 4096
    root: .zero 4096
    middle: .zero 4096
    last: .zero 4096
        """
    )
    machine.run(until="writes")
    events = told(machine)
    machine.run()
    last = machine.address_of("last")
    assert [int(event.pte_address) - last for event in events if not event.by_walk] == [64, 72, 64, 80]
    assert [event.new & 0xFF for event in events if not event.by_walk] == [0x4F, 0xC7, 0, 0x4F]
