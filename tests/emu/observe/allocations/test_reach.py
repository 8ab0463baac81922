"""What nothing points to: frames and blocks behind each kind of pointer, and those whose pointer is gone."""

from collections.abc import Callable

import pytest

from emu.events import HeapAllocated
from emu.machine import Machine
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.allocations.reach import unreachable

Boot = Callable[..., Machine]

KERNEL = """
    .type frame_alloc, @function
frame_alloc:
    la t0, next_frame
    ld a0, (t0)
    addi t1, a0, 1
    sd t1, (t0)
    ret
    .type frame_dealloc, @function
frame_dealloc:
    ret
    .type heap_alloc, @function
heap_alloc:
    la t0, next_block
    ld t1, (t0)
    add t2, t1, a0
    sd t2, (t0)
    mv a0, t1
    ret
    .type heap_dealloc, @function
heap_dealloc:
    ret
    .data
    .balign 8
next_frame: .dword 0x80400
next_block: .dword arena
    .globl kept
kept: .dword 0
    .bss
    .balign 8
arena: .zero 4096
"""


@pytest.fixture
def machine(boot: Boot) -> Machine:
    made = boot(KERNEL)
    FrameObserver(made)
    HeapObserver(made)
    made.hart.x["sp"] = 0x8090_0000
    return made


@pytest.fixture
def ledger(machine: Machine) -> AllocationLedger:
    return AllocationLedger(machine)


def keep(machine: Machine, value: int, place: int | None = None) -> None:
    at = machine.address_of("kept") if place is None else place
    machine.memory.write(at, value.to_bytes(8, "little"))


def lost(machine: Machine, ledger: AllocationLedger) -> tuple[list[int], list[int]]:
    found = unreachable(machine, ledger)
    return [int(event.ppn) for event in found.frames], [int(event.address) for event in found.blocks]


FORMS = {
    "its page number": lambda ppn: ppn,
    "its address": lambda ppn: ppn << 12,
    "an address inside it": lambda ppn: (ppn << 12) + 0x123,
    "a PTE": lambda ppn: ppn << 10 | 0xCF,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_frame_is_reachable_by_each_form_of_pointer(machine: Machine, ledger: AllocationLedger, form: str) -> None:
    frame, other = machine.call("frame_alloc"), machine.call("frame_alloc")
    keep(machine, other + 1, machine.address_of("next_frame"))
    keep(machine, FORMS[form](frame))
    assert lost(machine, ledger) == ([other], [])


def test_frames_are_followed_from_frame_to_frame_and_from_satp(machine: Machine, ledger: AllocationLedger) -> None:
    root, table, page, forgotten = (machine.call("frame_alloc") for _ in range(4))
    keep(machine, table << 10 | 1, root << 12)
    keep(machine, page << 10 | 0xDF, (table << 12) + 8 * 17)
    keep(machine, forgotten << 10 | 0xDE, (table << 12) + 8 * 18)  # V is 0
    assert lost(machine, ledger)[0] == [root, table, page, forgotten]
    machine.hart.csr["satp"] = 8 << 60 | root
    assert forgotten in lost(machine, ledger)[0]
    assert not {root, table, page} & set(lost(machine, ledger)[0])


def test_blocks_that_only_point_to_each_other_are_unreachable(machine: Machine, ledger: AllocationLedger) -> None:
    first, second, third = (machine.call("heap_alloc", 64, 8) for _ in range(3))
    keep(machine, second, first)
    keep(machine, first, second + 8)
    keep(machine, third, machine.address_of("kept"))
    assert lost(machine, ledger)[1] == [first, second]
    keep(machine, first + 16, third + 56)  # into the middle of the first, from one that is kept
    assert lost(machine, ledger)[1] == []


def test_what_is_left_in_a_freed_block_points_to_nothing(machine: Machine, ledger: AllocationLedger) -> None:
    first, second = machine.call("heap_alloc", 64, 8), machine.call("heap_alloc", 64, 8)
    keep(machine, second, first)
    keep(machine, first)
    assert lost(machine, ledger)[1] == []
    machine.call("heap_dealloc", first, 64)
    assert lost(machine, ledger)[1] == [second]


def test_frames_that_a_heap_has_given_back_are_read_again(machine: Machine, ledger: AllocationLedger) -> None:
    table, page = machine.call("frame_alloc"), machine.call("frame_alloc")
    machine.call("frame_dealloc", table)
    block = table << 12
    machine.events.emit(
        HeapAllocated(
            instret=machine.instret, pc=machine.hart.pc, privilege=machine.hart.privilege,
            address=machine.hart.pc + (block - machine.hart.pc), size=4096, align=8,
        )
    )  # fmt: skip
    machine.call("heap_dealloc", block, 4096)
    keep(machine, table, machine.address_of("next_frame"))
    assert machine.call("frame_alloc") == table
    keep(machine, page << 10 | 1, block)
    keep(machine, table)
    assert lost(machine, ledger) == ([], [])


def test_registers_and_the_stack_keep_what_they_hold(machine: Machine, ledger: AllocationLedger) -> None:
    blocks = [machine.call("heap_alloc", 32, 8) for _ in range(3)]
    machine.hart.x["s3"] = blocks[0]
    keep(machine, blocks[1], 0x8090_0040)
    assert lost(machine, ledger)[1] == [blocks[2]]
