"""What a guest programs never keeps the machine from ending a run, nor grows the host's memory."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices import rtc as rtc_registers
from emu.devices.clint import MTIME, MTIMECMP
from emu.events import ConsoleOutput
from emu.hart.counter_csrs import STCE
from emu.isa.csrs import Csr
from emu.machine import Drive, Machine, MachineConfig, StopReason

MASK64 = (1 << 64) - 1
OFF = "li a7, 8\n ecall\n"
RTC, CLINT = 0x10_1000, 0x200_0000

DISK_THAT_ASKS_FOR_ITSELF = """
    .equ Q, 0x80300000
    li s0, 0x10001000       # a modern virtio slot
    li t1, 15
    sw t1, 0x70(s0)
    li t1, 16
    sw t1, 0x38(s0)
    li t2, Q                # descriptors; the available ring lies where each sector is read to
    sw t2, 0x80(s0)
    li t2, Q + 0x1000
    sw t2, 0x90(s0)
    li t2, Q + 0x2000
    sw t2, 0xa0(s0)
    li t1, 1
    sw t1, 0x44(s0)
    li t0, Q
    li t1, Q + 0x1040       # the header is behind the ring, so that a sector writes the next one too
    sd t1, 0(t0)
    li t1, 0x0001000100000010
    sd t1, 8(t0)
    li t1, Q + 0x1000
    sd t1, 16(t0)
    li t1, 0x0002000300000200
    sd t1, 24(t0)
    li t1, Q + 0x3000
    sd t1, 32(t0)
    li t1, 0x0000000200000001
    sd t1, 40(t0)
    li t0, Q + 0x1000
    li t1, 1
    sh t1, 2(t0)
    sw zero, 0x50(s0)
1:  j 1b
"""


def test_a_disk_whose_sectors_ask_for_the_next_does_not_keep_a_run_from_its_limit(boot, tmp_path):
    sectors = 8192
    disk = tmp_path / "disk.img"
    with disk.open("wb") as file:
        for number in range(sectors):
            ring = struct.pack("<HH", 0, number + 2 & 0xFFFF).ljust(64, b"\0")
            file.write((ring + struct.pack("<IIQ", 0, 0, (number + 1) % sectors)).ljust(512, b"\0"))
    machine = boot(DISK_THAT_ASKS_FOR_ITSELF, virtio_version=2, drives=(Drive(path=disk, read_only=True, slot=0),))
    assert machine.run(max_instructions=100_000).reason is StopReason.INSTRUCTION_LIMIT
    first = machine.memory.read_int(0x8030_2002, 2)
    assert first > 1_000, "it did many requests at once"
    machine.run(max_instructions=7_000_000)
    assert machine.memory.read_int(0x8030_2002, 2) != first, "and goes on while the guest executes"


def near(*places: int) -> st.SearchStrategy[int]:
    return st.one_of([st.integers(place - 3, place + 3).map(lambda value: value & MASK64) for place in places])


times = st.one_of(near(0, 1 << 32, 1 << 63, 1 << 64), st.integers(0, MASK64))
alarms = st.lists(
    st.tuples(st.sampled_from(["mtimecmp", "mtime", "stimecmp", "rtc alarm", "rtc time", "enable"]), times), max_size=8
)


@settings(max_examples=60, deadline=None)
@given(alarms, st.sampled_from(["exact", "fast"]))
def test_a_hart_that_waits_wakes_or_is_said_to_wait_for_ever(fidelity_machines, alarms, kind):
    """Whatever is written into the timers: `wfi` ends at a deadline, or nothing can end it and the run does."""
    machine, start = fidelity_machines[kind]
    machine.restore(start)
    write = machine.platform.device_write
    for name, value in alarms:
        if name == "mtimecmp":
            write(CLINT + MTIMECMP, 8, value)
        elif name == "mtime":
            write(CLINT + MTIME, 8, value)
        elif name == "stimecmp":
            machine.hart.csr[Csr.STIMECMP] = value
        elif name == "rtc alarm":
            write(RTC + rtc_registers.ALARM_HIGH, 4, value >> 32)
            write(RTC + rtc_registers.ALARM_LOW, 4, value & 0xFFFF_FFFF)
        elif name == "rtc time":
            write(RTC + rtc_registers.TIME_LOW, 8, value)
        else:
            machine.hart.csr[Csr.MIE] = value & 0xAAA
    outcome = machine.run(max_instructions=1000)
    assert outcome.reason in (StopReason.IDLE_FOREVER, StopReason.POWERED_OFF)
    if outcome.reason is StopReason.IDLE_FOREVER:
        assert not machine.hart.csr[Csr.MIE] & machine.hart.csr[Csr.MIP]


@pytest.fixture(scope="module")
def fidelity_machines(build):
    machines = {}
    for kind in ("exact", "fast"):
        machine = Machine(MachineConfig(fidelity=kind, ram_size=4 << 20, firmware="none"))
        machine.load(build("wfi\n li t0, 0x100000\n li t1, 0x5555\n sw t1, (t0)\n", 0x8000_0000))
        machine.hart.csr[Csr.MENVCFG] = STCE
        machines[kind] = machine, machine.snapshot()
    return machines


@pytest.mark.parametrize("alarm", [MASK64, MASK64 - 1, 0, 1, 1 << 63])
def test_an_alarm_at_any_end_of_time_goes_off_once(boot, alarm):
    machine = boot(
        f"""
        li t0, {RTC:#x}
        li t1, {alarm >> 32:#x}
        sw t1, 12(t0)
        li t1, {alarm & 0xFFFF_FFFF:#x}
        sw t1, 8(t0)
        wfi
        lw a0, 24(t0)
        {OFF}"""
    )
    assert machine.run(max_instructions=1000).reason is StopReason.IDLE_FOREVER
    assert machine.platform.device_read(RTC + rtc_registers.ALARM_STATUS, 4) == 0, "it has gone off, and nobody heard"


PRINTS_FOR_EVER = """
    li a7, 0x4442434e
    li a6, 0
1:  li a0, 4096
    li a1, 0x80200000
    li a2, 0
    ecall
    addi s0, s0, 1
    j 1b
"""


def test_the_machine_keeps_the_end_of_the_console_and_listeners_get_all_of_it(boot):
    machine = boot(PRINTS_FOR_EVER, console_kept=100_000)
    sent = bytearray()
    machine.on(ConsoleOutput, lambda event: sent.extend(event.data))
    machine.run(max_instructions=1_000)
    assert len(sent) > 500_000
    assert machine.console == bytes(sent[-100_000:])
    assert machine.platform.console.written == len(sent)


def test_what_the_console_keeps_is_bounded(boot):
    machine = boot(PRINTS_FOR_EVER, console_kept=100_000)
    machine.run(max_instructions=20_000)
    state = machine.platform.console.save()
    assert sum(map(len, state.parts)) + len(state.tail) < 300_000


def test_a_snapshot_returns_to_the_console_as_it_was(boot):
    machine = boot(PRINTS_FOR_EVER, console_kept=50_000)
    machine.run(max_instructions=300)
    snapshot, before = machine.snapshot(), (machine.console, machine.platform.console.written)
    machine.run(max_instructions=300)
    after = machine.console, machine.platform.console.written
    assert after[1] > before[1]
    machine.restore(snapshot)
    assert (machine.console, machine.platform.console.written) == before
    machine.run(max_instructions=300)
    assert (machine.console, machine.platform.console.written) == after
