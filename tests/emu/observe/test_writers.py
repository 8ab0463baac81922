"""Who wrote last is the store that a step-by-step look finds, in both fidelities."""

from collections.abc import Callable

from emu.machine import Machine, StopReason
from emu.observe.writers import LastWrite, LastWrites

SOURCE = """
    la s0, 0x80210000
    li t0, 50
loop:
    andi t1, t0, 7
    slli t1, t1, 3
    add t1, t1, s0
    sb t0, 3(t1)
    addi t0, t0, -1
    bnez t0, loop
    sd zero, 12(s0)     # over two cells
    li a7, 8
    ecall
"""
CELLS = range(0x8021_0000, 0x8021_0048, 8)


def stepped(machine: Machine) -> dict[int, LastWrite]:
    """The last change of each cell, found by looking at memory before and after every instruction."""
    found: dict[int, LastWrite] = {}
    outcome = None
    while outcome is None or outcome.reason is StopReason.INSTRUCTION_LIMIT:
        pc, instret = machine.hart.pc, machine.instret
        code = machine.read_virtual(pc, 4)
        is_store = code[0] & 0x7F == 0x23
        before = [machine.memory.read(cell, 8) for cell in CELLS]
        outcome = machine.step()
        for cell, old in zip(CELLS, before, strict=True):
            if is_store and machine.memory.read(cell, 8) != old:
                found[cell] = LastWrite(instret, pc)
    return found


def test_the_last_writer_is_the_one_that_steps_find(boot: Callable[..., Machine]) -> None:
    source = ".option norvc\n" + SOURCE.replace("sd zero", "not t2, zero\n sd t2")
    expected = stepped(boot(source))
    machine = boot(source)
    with LastWrites(machine) as writes:
        machine.run()
        assert {cell: writes.at(cell) for cell in CELLS if writes.at(cell)} == expected
        assert writes.at(0x8021_0800) is None
    assert len(expected) == 8


def test_what_a_restored_snapshot_has_undone_is_not_told(boot: Callable[..., Machine]) -> None:
    machine = boot(SOURCE)
    with LastWrites(machine) as writes:
        machine.step(3)
        early = machine.snapshot()
        machine.run(100)
        assert writes.at(CELLS[0]) or writes.at(CELLS[1])
        machine.restore(early)
        assert all(writes.at(cell) is None for cell in CELLS)
