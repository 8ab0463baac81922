"""Executing a function again and again: each execution is as the first one, whatever those before it have done."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.errors import EmuError, LimitExceeded
from emu.machine import Machine
from emu.machine.repetition import Repetition
from emu.memory import Ram
from emu.memory.baseline import RamHistory
from emu.memory.rewind import Rewinder

STACK = 0x8030_0000
GUEST = """
    j .
again:                  # counts in memory, which is there for the first time each time
    la t0, number
    ld t1, (t0)
    addi t1, t1, 1
    sd t1, (t0)
    addi sp, sp, -16
    sd t1, 8(sp)
    ld a0, 8(sp)
    addi sp, sp, 16
    ret
scratch:                # a CSR
    csrr a0, sscratch
    addi t0, a0, 5
    csrw sscratch, t0
    ret
changes:                # its own code: li a0, 1 becomes li a0, 9
    la t0, changed
    li t1, 0x00900513
    lw t2, (t0)
    sw t1, (t0)
    fence.i
    .option push
    .option norvc
changed:
    addi a0, zero, 1
    ret
    .option pop
prints:                 # a device
    li t0, 0x10000000
    li t1, 'x'
    sb t1, (t0)
    la t0, number
    lw a0, (t0)
    sw t1, (t0)
    ret
jumps: jr a0
endless: j .
clock:
    nop
    rdinstret a0
    rdtime a1
    add a0, a0, a1
    ret
    .balign 4096
number: .dword 0
"""


@pytest.fixture
def machine(boot):
    made = boot(GUEST)
    made.hart.x["sp"] = STACK
    return made


def repeated(machine: Machine, name: str, most: int = 1000) -> Repetition:
    return Repetition(machine, name, machine.address_of(name), most)


def state(machine: Machine) -> tuple[object, ...]:
    hart = machine.hart
    return (
        list(hart.x), int(hart.pc), machine.instret, hart.csr["sscratch"], hart.csr["sstatus"], hart.csr["scause"],
        machine.console, machine.read_virtual("number", 8), machine.read_virtual(STACK - 64, 64),
        machine.read_virtual("changed", 4), hart.privilege,
    )  # fmt: skip


FUNCTIONS = {"again": 1, "scratch": 0, "changes": 9, "prints": 0, "clock": 1}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_execution_finds_what_the_first_one_found(machine, name):
    before = state(machine)
    again = repeated(machine, name)
    for _ in range(5):
        again.executed([machine.address_of("changed")])
        assert again.call(()) == FUNCTIONS[name]
        assert again.instructions <= 16
        again.rewind()
        assert state(machine) == before
    again.close()
    assert machine.call(name) == FUNCTIONS[name]  # the machine is as good as new


@settings(max_examples=5, deadline=None)
@given(order=st.lists(st.sampled_from(["again", "changes", "prints", "wild", "endless"]), max_size=6))
def test_whatever_was_executed_before_changes_nothing(build, order):
    machine = Machine()
    machine.load(build(GUEST))
    machine.hart.x["sp"] = STACK
    before, again = state(machine), {name: repeated(machine, name) for name in ["jumps", "endless", *FUNCTIONS]}
    again["changes"].executed([machine.address_of("changed")])
    for name in order:
        if name == "wild":
            with pytest.raises(EmuError):
                again["jumps"].call((0,))
            again["jumps"].return_whole()
        elif name == "endless":
            with pytest.raises(LimitExceeded):
                again[name].call(())
            again[name].rewind()
        else:
            assert again[name].call(()) == FUNCTIONS[name]
            again[name].rewind()
        assert state(machine) == before
    machine.close()


def test_an_execution_is_cut_off_behind_its_last_instruction(machine):
    again = repeated(machine, "endless", 1000)
    for _ in range(3):
        with pytest.raises(LimitExceeded, match="endless has not returned after 1,000 instructions"):
            again.call(())
        assert again.instructions == 1000
        again.rewind()


def test_what_an_execution_maps_the_next_one_does_not_find(boot):
    machine = boot("""
        j .
    maps:                   # what 0x40000000 leads to: a page when the entry is there
        la t0, table
        li t1, 8 << 60
        srli t2, t0, 12
        or t1, t1, t2
        ld a0, 8(t0)
        li t2, (0x80000000 >> 12 << 10) | 0xcf
        sd t2, 8(t0)
        sd t2, 16(t0)
        csrw satp, t1
        sfence.vma
        li t2, 0x40200000
        lw t3, (t2)
        csrw satp, zero
        sfence.vma
        ret
        .balign 4096
    table: .zero 4096
    """)
    again = repeated(machine, "maps")
    for _ in range(4):
        assert again.call(()) == 0
        again.rewind()
        assert machine.hart.csr["satp"] == 0


pages = st.integers(0, 255)


@given(rounds=st.lists(st.lists(st.tuples(pages, st.integers(0, 4095), st.integers(1, 255)), max_size=6), max_size=5))
@settings(max_examples=15, deadline=None)
def test_ram_is_as_it_was_after_any_writes(rounds):
    ram = Ram(1 << 20)
    ram.view[: 1 << 19] = bytes(range(256)) * 2048
    history = RamHistory(ram)
    rewinder = Rewinder(ram, history, history.take())
    before = bytes(ram.view)
    for writes in rounds:
        for page, offset, value in writes:
            ram.view[page << 12 | offset] = value
        rewinder.rewind()
        assert bytes(ram.view) == before
    rewinder.close()


def test_more_written_pages_than_are_kept_are_put_back_all_the_same():
    ram = Ram(8 << 20)
    history = RamHistory(ram)
    rewinder = Rewinder(ram, history, history.take())
    for place in range(0, 6 << 20, 4096):
        ram.view[place] = 1
    rewinder.rewind()
    assert not any(ram.view[0 : 6 << 20 : 4096])
    ram.view[5] = 1
    rewinder.rewind()
    assert ram.view[5] == 0
    rewinder.close()


@pytest.mark.parametrize("once", [20, 511, 513, 2000])
def test_pages_that_were_written_once_are_not_copied_for_ever(once):
    ram = Ram(16 << 20)
    if ram.file is None:
        pytest.skip("which pages were written is not known here")
    history = RamHistory(ram)
    ram.view[5000] = 3
    rewinder = Rewinder(ram, history, history.take())
    for page in range(once):
        ram.view[page << 12] = 1
    rewinder.rewind()
    for _ in range(200):
        ram.view[5000] = 7
        rewinder.rewind()
        assert ram.view[5000] == 3
    assert rewinder.pages <= 8
    assert not any(ram.view[page << 12] for page in range(once))
    rewinder.close()


def test_changed_code_is_told_of_and_data_beside_it_is_not():
    ram = Ram(1 << 20)
    history = RamHistory(ram)
    rewinder = Rewinder(ram, history, history.take())
    rewinder.add_code(100, 120)
    ram.view[99] = ram.view[120] = 1
    assert not rewinder.rewind()
    ram.view[119] = 1
    assert rewinder.rewind()
    assert not rewinder.rewind()
    rewinder.close()
