"""A machine that is switched off and on is as new, whatever ran on it; a pool lends only such machines."""

import pytest

from emu.errors import ConfigError
from emu.events import ConsoleOutput, TrapTaken
from emu.isa.csrs import Csr
from emu.machine import Machine, MachineConfig, StopReason
from emu.machine.pool import MachinePool
from emu.testing.program import built
from tests.guests import PAGING_ON

_DIRTY = f"""
    la t0, 1f
    csrw stvec, t0
    li t0, 0x6000
    csrs sstatus, t0
    li t1, -3
    fcvt.d.l fa0, t1
    csrw sscratch, t1
    csrwi sie, 2
    li t0, 0x10000000
    li t2, 0x0f
    sb t2, 1(t0)
    li t2, 'd'
    sb t2, (t0)
    li t0, 0x0c000028
    sw t1, (t0)
    li t0, 0x0200bff8
    sd t1, (t0)
    li t0, 0x80400000
    li t3, 0x80480000
2:  sd t0, (t0)
    addi t0, t0, 256
    bltu t0, t3, 2b
    {PAGING_ON}
    ebreak
    .balign 4
1:  li a7, 8
    ecall
    .balign 4096
    .globl root
root: .dword 0, 0, 0x200000cf, 0x200000df
    .fill 508, 8, 0
"""
_SUMS = """
    la t0, 1f
    csrw stvec, t0
    li t0, 0x80400000
    ld a1, (t0)
    csrr a2, sscratch
    csrr a3, sie
    csrr a4, satp
    rdtime a5
    li t0, 0x10000000
    lb a6, 1(t0)
    li t1, 's'
    sb t1, (t0)
    fence.i
    .half 0
    .balign 4
1:  li a7, 8
    ecall
    .globl words
words: .dword 5
"""


def _life(machine: Machine, source: str) -> tuple[object, ...]:
    events: list[object] = []
    machine.load(built(source, 0x8020_0000))
    with machine.on(TrapTaken, events.append), machine.on(ConsoleOutput, events.append):
        outcome = machine.run(1_000_000)
    numbers = (Csr.SSTATUS, Csr.SEPC, Csr.SCAUSE, Csr.SIE, Csr.SIP, Csr.SATP, Csr.SSCRATCH, Csr.PMPCFG0, Csr.FCSR)
    csrs = [machine.hart.csr[number] for number in numbers]
    registers = [*machine.hart.x, *machine.hart.f]
    ram = bytes(machine.memory.ram.view)
    return outcome, events, csrs, registers, machine.time, machine.console, machine.device_tree, ram, machine.hart.pc


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_after_a_power_cycle_the_life_of_an_image_is_that_on_a_new_machine(fidelity):
    config = MachineConfig(ram_size=8 << 20, fidelity=fidelity)
    with Machine(config) as new, Machine(config) as used:
        expected = _life(new, _SUMS)
        assert expected[0].reason is StopReason.POWERED_OFF
        for _ in range(2):
            assert _life(used, _DIRTY)[0].reason is StopReason.POWERED_OFF
            used.power_cycle()
            assert used.image is None
            assert "root" not in used.symbols
            assert _life(used, _SUMS) == expected
            used.power_cycle()


def test_going_back_in_time_ends_at_the_power_cycle():
    with Machine(MachineConfig(ram_size=8 << 20)) as machine:
        _life(machine, _DIRTY)
        machine.power_cycle()
        _life(machine, _SUMS)
        end = machine.history.now
        machine.goto(0)
        assert (machine.instret, machine.hart.x["a7"]) == (0, 0)
        machine.goto(end)
        assert machine.console == b"s"


def test_a_pool_lends_the_same_machine_again_and_one_at_a_time():
    small, large = MachineConfig(ram_size=1 << 20), MachineConfig(ram_size=2 << 20)
    with MachinePool() as pool:
        with pool.machine(small) as first, pool.machine(small) as second, pool.machine(large) as third:
            assert len({id(first), id(second), id(third)}) == 3
        with pool.machine(large) as again:
            assert again is third
        with pool.machine(small) as again:
            assert again in (first, second)
    assert (first.is_closed, second.is_closed, third.is_closed) == (True, True, True)


def test_a_pool_closes_what_somebody_still_listens_to_and_what_it_cannot_keep():
    config = MachineConfig(ram_size=1 << 20)
    with MachinePool(kept=1) as pool:
        with pool.machine(config) as heard:
            heard.on(TrapTaken, print)
        with pool.machine(config) as watched:
            watched.watch_memory(0x8000_0000, print, length=4)
        with pool.machine(config) as closed:
            closed.close()
        with pool.machine(MachineConfig(ram_size=1 << 20, clock="host")) as clocked:
            pass
        with pool.machine(config) as one, pool.machine(config) as other:
            pass
        assert (heard.is_closed, watched.is_closed, clocked.is_closed) == (True, True, True)
        assert (one.is_closed, other.is_closed) == (False, True) or (one.is_closed, other.is_closed) == (True, False)


def test_a_machine_that_cannot_go_back_in_time_says_why_it_cannot_be_switched_off_and_on():
    with Machine(MachineConfig(ram_size=1 << 20, clock="host")) as machine, pytest.raises(ConfigError, match="clock"):
        machine.power_cycle()
