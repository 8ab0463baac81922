"""A machine that is switched off and on is as new, whatever ran on it; a pool lends only such machines."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest

from emu.engine.cores import make_room
from emu.engine.translated.features.accesses import Accesses
from emu.engine.translated.features.blocks import Blocks
from emu.engine.translated.installation import obstacle
from emu.engine.window import STATE_BYTES, of_the_guest
from emu.errors import ConfigError, LimitExceeded
from emu.events import ConsoleOutput, MmioAccess, TlbFilled, TrapTaken
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


# Cores of machines that were closed.


def _watched(machine: Machine) -> None:
    """Features, a watch, watched memory and listeners are on when it is closed, in the middle of a loop."""
    machine.load(built(_DIRTY, 0x8020_0000))
    machine.core.engine.switch_on(Accesses(lambda records: None))
    machine.watch(0x8020_0000, lambda: None)
    machine.watch_memory(0x8040_0000, lambda access: None, length=4096)
    for kind in (TlbFilled, MmioAccess):
        if machine.events.has_source(kind):
            machine.on(kind, lambda event: None)
    assert machine.run(max_instructions=3_000).reason is StopReason.INSTRUCTION_LIMIT


def _failed(machine: Machine) -> None:
    """A listener has raised in the middle of a store to a device."""
    machine.load(built(_DIRTY, 0x8020_0000))
    machine.on(ConsoleOutput, lambda event: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        machine.run()


def _asleep(machine: Machine) -> None:
    """The hart waits for an interrupt that never comes."""
    machine.load(built("csrwi sie, 2\n wfi", 0x8020_0000))
    assert machine.run().reason is StopReason.IDLE_FOREVER


def _interrupted(machine: Machine) -> None:
    """An interrupt is pending, that is not taken."""
    machine.load(built("csrwi sie, 2\n csrwi sip, 2\n 1: j 1b", 0x8020_0000))
    machine.run(max_instructions=10)


def _called(machine: Machine) -> None:
    """The host has called a function, which was left in its middle."""
    machine.load(built(_DIRTY, 0x8020_0000))
    with pytest.raises(LimitExceeded):
        machine.call(0x8020_0000, max_instructions=20)


def _whole(machine: Machine) -> None:
    assert _life(machine, _DIRTY)[0].reason is StopReason.POWERED_OFF


def _seen(machine: Machine) -> tuple[object, ...]:
    """A life with everything that a core could betray: its state, its blocks' numbers, what it asks for."""
    blocks: list[object] = []
    feature = Blocks(blocks.extend)
    machine.core.engine.switch_on(feature)
    asked: list[object] = []
    for kind in (TlbFilled, MmioAccess):
        if machine.events.has_source(kind):
            machine.on(kind, asked.append)
    life = _life(machine, _SUMS)
    machine.core.engine.flush_features()
    return life, asked, blocks, _of_the_guest(machine)


@cache
def _seen_on_a_new_core(fidelity: str) -> tuple[MachineConfig, tuple[object, ...]]:
    config = MachineConfig(ram_size=8 << 20, fidelity=fidelity)
    make_room()
    with Machine(config) as new:
        return config, _seen(new)


def _of_the_guest(machine: Machine) -> bytes:
    """The core's state without what belongs to this process."""
    octets = bytes(machine.core.engine.window.octets)
    return of_the_guest(octets, bytes(STATE_BYTES), range(16))


@pytest.mark.parametrize("use", [_whole, _watched, _failed, _asleep, _interrupted, _called])
@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_a_machine_with_the_core_of_a_closed_one_lives_as_with_a_new_core(fidelity, use: Callable[[Machine], None]):
    if obstacle():
        pytest.skip(f"cores are not used again here: {obstacle()}")
    config, expected = _seen_on_a_new_core(fidelity)
    make_room()
    with Machine(config) as dirty:
        handle = dirty.core.engine.handle.value
        use(dirty)
    with Machine(config) as again:
        assert again.core.engine.handle.value == handle
        assert _seen(again) == expected


def test_cores_are_used_again_by_threads_and_after_forks_as_new_ones():
    config = MachineConfig(ram_size=8 << 20)

    def lives(times: int) -> list[tuple[object, ...]]:
        made = []
        for number in range(times):
            with Machine(config) as machine:
                made.append(_life(machine, (_SUMS, _DIRTY)[number % 2]))
        return made

    expected = lives(2)
    with ThreadPoolExecutor(3) as threads:
        for made in threads.map(lives, [4, 4, 4]):
            assert made == expected * 2
    child = os.fork()
    if not child:
        os._exit(0 if lives(2) == expected else 1)
    assert (lives(2), os.waitpid(child, 0)[1]) == (expected, 0)
