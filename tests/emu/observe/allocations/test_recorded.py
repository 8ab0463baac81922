"""Calls that native code records are told of as those are that Python is asked about, one by one."""

from pathlib import Path

import pytest

from ekernel import assemble, link
from emu.engine.translated.features.callrecords import CallRecords
from emu.events import Event, HeapAllocated, HeapFreed
from emu.machine import Machine, MachineConfig
from emu.observe.allocations.description import Allocator, Does, Function
from emu.observe.allocations.observers import HeapObserver
from emu.observe.allocations.values import Value

PAGING = {
    "no paging": "",
    "a gigapage of Sv39": """
    la t0, tables
    li t1, (0x80000 << 10) | 0xcf
    sd t1, 16(t0)
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
""",
    "megapages of Sv48": """
    la t0, tables
    srli t1, t0, 12
    addi t2, t1, 1
    slli t2, t2, 10
    ori t2, t2, 1
    sd t2, 0(t0)
    li t3, 4096
    add t4, t0, t3
    addi t2, t1, 2
    slli t2, t2, 10
    ori t2, t2, 1
    sd t2, 16(t4)
    add t4, t4, t3
    li t2, (0x80200 << 10) | 0xcf
    sd t2, 8(t4)
    li t2, 9 << 60
    or t1, t1, t2
    csrw satp, t1
    sfence.vma
""",
}
"""Address spaces in which all that the guest uses is where it was."""
GUEST = """
    .globl _start
_start:
    la sp, stack
    {paging}
    li s1, 40
again:
    la a0, cache
    andi t0, s1, 1
    beqz t0, even
    call once
    j made
even:
    call twice
made:
    li t0, 30
    bne s1, t0, same_size
    la t1, cache
    li t2, 48
    sw t2, 4(t1)
same_size:
    li t0, 20
    bne s1, t0, same_name
    la t1, name
    li t2, 'B'
    sb t2, 1(t1)
same_name:
    li t0, 10
    bne s1, t0, same_place
    la t1, cache
    la t2, other_name
    sd t2, 8(t1)
same_place:
    addi s1, s1, -1
    bnez s1, again
    li a7, 8
    ecall
twice:
    addi sp, sp, -16
    sd ra, 8(sp)
    call once
    la a0, cache
    call jumping
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
once:
    addi sp, sp, -32
    sd ra, 24(sp)
    call take
    sd a0, 8(sp)
    beqz a0, nothing
    call give
nothing:
    ld ra, 24(sp)
    addi sp, sp, 32
    ret
jumping:
    j take
take:
    addi sp, sp, -16
    sd ra, 8(sp)
    call take_inside
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
take_inside:
    la t0, following
    ld a0, 0(t0)
    addi t1, a0, 64
    sd t1, 0(t0)
    andi t1, a0, 0x1c0
    bnez t1, some
    li a0, 0
some:
    ret
give:
    ret
    .data
    .balign 16
cache: .word 0, 32
    .quad name
following: .quad 0x80400000
name: .asciz "a name that is longer than one word"
other_name: .asciz "another"
    .bss
    .balign 4096
tables: .zero 3 * 4096
    .zero 1024
stack:
"""
STACKS = 24
ON_MANY_STACKS = f"""
    .globl _start
_start:
    la t0, trapped
    csrw stvec, t0
    li s1, {STACKS}
again:
    la sp, stacks
    slli t0, s1, 8
    add sp, sp, t0
    ebreak
    addi s1, s1, -1
    bnez s1, again
    li a7, 8
    ecall
    .balign 4
trapped:
    csrr t0, sepc
    lhu t1, 0(t0)
    andi t1, t1, 3
    addi t0, t0, 2
    addi t1, t1, -3
    bnez t1, compressed
    addi t0, t0, 2
compressed:
    csrw sepc, t0
    la ra, back
    li t0, {STACKS // 3}
    bltu t0, s1, handled
    la ra, other_back
handled:
    addi sp, sp, -32
    sd ra, 24(sp)
    call once
    call once
    ld ra, 24(sp)
    addi sp, sp, 32
    ret
back:
    sret
other_back:
    nop
    sret
once:
    addi sp, sp, -16
    sd ra, 8(sp)
    la a0, cache
    call take
    call give
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
take:
    addi sp, sp, -16
    sd ra, 8(sp)
    call take_inside
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
take_inside:
    la a0, place
    ret
give:
    ret
    .data
    .balign 16
cache: .word 0, 32
    .quad name
place: .zero 32
name: .asciz "one"
    .bss
    .balign 16
stacks: .zero 256 * {STACKS + 1}
"""
A0 = Value.parse("a0")
ALLOCATOR = Allocator(
    "caches",
    "",
    blocks=(
        Function("take", Does.ALLOCATE, at=(A0,), size=Value.parse("u32[a0 + 4]"), kind=(Value.parse("[a0 + 8]"),)),
        Function("take_inside", Does.ALLOCATE, at=(A0,), size=Value.parse("1")),
        Function("give", Does.FREE, at=(A0,)),
    ),
    trusted=True,
)


def linked(folder: Path, guest: str) -> Path:
    """A guest's file."""
    script = "SECTIONS { . = 0x80200000; .text : { *(.text) } .data : { *(.data) } .bss : { *(.bss) } }"
    elf = folder / "guest.elf"
    elf.write_bytes(link([assemble(guest, name="guest.S")], script=script).elf)
    return elf


def noting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The keys of facts that are learned from now on."""
    learned, learn = list[int](), CallRecords.learn
    monkeypatch.setattr(CallRecords, "learn", lambda self, key, *more: learned.append(key) or learn(self, key, *more))
    return learned


def told(elf: Path, fidelity: str, *, at_once: bool | None) -> tuple[list[Event], bool]:
    """The events of a run, with `at_once` as they are collected; and whether native code can record their calls."""
    events = list[Event]()
    with Machine(MachineConfig(ram_size=16 << 20, fidelity=fidelity)) as machine:
        machine.load(elf)
        HeapObserver(machine, [ALLOCATOR])
        if at_once is None:
            for kind in (HeapAllocated, HeapFreed):
                machine.on(kind, events.append)
        else:
            HeapObserver.collect(machine, events.append, at_once=at_once)
        machine.run(20_000)
        return events, machine.core.engine.is_native


@pytest.mark.parametrize("paging", PAGING)
def test_recorded_calls_are_told_as_each_at_its_moment_and_python_is_asked_about_what_is_new(
    tmp_path: Path, fidelity: str, paging: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    elf, learned = linked(tmp_path, GUEST.format(paging=PAGING[paging])), noting(monkeypatch)
    expected, is_native = told(elf, fidelity, at_once=None)
    made = [event for event in expected if isinstance(event, HeapAllocated)]
    assert len(made) == 52  # of 60 calls of `take` each eighth gets nothing
    assert {(event.size, event.kind) for event in made} == {
        (32, "a name that is longer than one word"),
        (48, "a name that is longer than one word"),
        (48, "aBname that is longer than one word"),
        (48, "another"),
    }
    assert len({event.callers for event in made}) > 2
    for at_once in (False, True):
        learned.clear()
        assert told(elf, fidelity, at_once=at_once)[0] == expected
        assert not is_native or 4 < len(learned) < len(expected) / 3


def test_python_is_not_asked_about_each_stack_where_equal_words_of_them_say_who_has_called(
    tmp_path: Path, fidelity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    elf, learned = linked(tmp_path, ON_MANY_STACKS), noting(monkeypatch)
    expected, is_native = told(elf, fidelity, at_once=None)
    assert len(expected) == 4 * STACKS
    assert len({event.callers for event in expected if isinstance(event, HeapAllocated)}) == 4
    for at_once in (False, True):
        learned.clear()
        assert told(elf, fidelity, at_once=at_once)[0] == expected
        assert not is_native or 4 < len(learned) < STACKS
