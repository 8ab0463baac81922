"""Every device of the map in a machine: found, described, interrupting through the PLIC, part of snapshots."""

from pathlib import Path

import pytest

from emu.devices.uart_registers import IER, IER_RDI
from emu.devices.virtio.mmio import MAGIC, VENDOR
from emu.errors import ConfigError, ImageError
from emu.events import InterruptRaised, TrapTaken
from emu.firmware import fdt
from emu.machine import Drive, Machine, MachineConfig, StopReason
from emu.machine.timers import POWER_ON_NANOSECONDS

OFF = "li t0, 0x100000\n li t1, 0x5555\n sw t1, (t0)\n"
PLIC_FOR = """
    li t0, 0x0c000000
    li t1, 1
    sw t1, 4*{source}(t0)
    li t0, 0x0c002000 + 0x80 * {context}
    li t1, 1 << {source}
    sw t1, (t0)
"""
ALARM = """
    li t0, 0x101000
    li t1, 1
    sw t1, 0x10(t0)         # IRQ_ENABLED
    lwu t2, 0(t0)
    lwu t3, 4(t0)
    slli t3, t3, 32
    or t2, t2, t3
    li t4, 50000            # nanoseconds: 500 ticks
    add t2, t2, t4
    srli t3, t2, 32
    sw t3, 0xc(t0)
    sw t2, 8(t0)            # ALARM_LOW sets the alarm
"""


def properties(tree: bytes) -> dict[str, fdt.Node]:
    root, _ = fdt.decode(tree, "generated")
    soc = next(node for node in root.children if node.name == "soc")
    return {node.name: node for node in soc.children}


def test_the_device_tree_names_every_device_of_the_map():
    nodes = properties(Machine(MachineConfig(ram_size=4 << 20)).device_tree)
    virtio = {f"virtio_mmio@{0x1000_1000 + slot * 0x1000:x}" for slot in range(8)}
    others = {"clint@2000000", "plic@c000000", "serial@10000000", "rtc@101000", "test@100000"}
    assert set(nodes) == virtio | others


def test_a_guest_finds_eight_slots_and_the_disk_in_the_first(boot, tmp_path: Path):
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(4096))
    body = "".join(
        f"li t0, {0x1000_1000 + slot * 0x1000}\n lw t1, 0(t0)\n lw t2, 8(t0)\n lw t3, 12(t0)\n"
        f"add s0, s0, t1\n slli s1, s1, 8\n or s1, s1, t2\n add s2, s2, t3\n"
        for slot in range(7, -1, -1)
    )
    machine = boot(body + OFF, firmware="none", drives=(Drive(path=disk),), entropy=True, virtio_console=True)
    assert machine.run(max_instructions=1000).reason is StopReason.POWERED_OFF
    assert machine.hart.x["s0"] == 8 * MAGIC
    assert machine.hart.x["s2"] == 8 * VENDOR
    assert machine.hart.x["s1"] == 0x03_04_02


def test_the_clock_shows_a_fixed_date_and_goes_with_the_instructions(boot):
    read = "lwu a{0}, 0(t0)\n lwu a{1}, 4(t0)\n"
    machine = boot("li t0, 0x101000\n" + read.format(0, 1) + "nop\n" * 1000 + read.format(2, 3) + OFF, firmware="none")
    machine.run(max_instructions=2000)
    first, second = (machine.hart.x[low + 1] << 32 | machine.hart.x[low] for low in (10, 12))
    assert first == POWER_ON_NANOSECONDS
    assert second - first == 100 * 100


@pytest.mark.parametrize(("context", "cause"), [(0, 11), (1, 9)])
def test_the_alarm_interrupts_m_and_s_mode_through_the_plic(boot, collect, context, cause):
    machine = boot(
        f"""
        la t0, handler
        csrw mtvec, t0
        csrw stvec, t0
        li t0, {1 << cause}
        csrw mie, t0
        csrw mideleg, {0 if context == 0 else "t0"}
        {PLIC_FOR.format(source=11, context=context)}
        {ALARM}
        .if {context} == 0
        csrsi mstatus, 8
        .else
        la t0, supervisor
        csrw mepc, t0
        li t0, 0x800
        csrs mstatus, t0
        li t0, 0x1000
        csrc mstatus, t0
        li t0, -1
        csrw pmpaddr0, t0
        li t0, 0x1f
        csrw pmpcfg0, t0
        mret
    supervisor:
        csrsi sstatus, 2
        .endif
    1:  wfi
        j 1b
        .balign 4
    handler:
        li t0, 0x0c200004 + 0x1000 * {context}
        lw s0, (t0)
        {OFF}
        """.replace("csrw mideleg, 0", "csrw mideleg, zero"),
        firmware="none",
    )
    raised = collect(machine, InterruptRaised)
    traps = collect(machine, TrapTaken)
    assert machine.run(max_instructions=100_000).reason is StopReason.POWERED_OFF
    assert machine.hart.x["s0"] == 11
    assert [event.cause for event in raised] == [cause]
    assert [(trap.cause, trap.interrupt) for trap in traps] == [(cause, True)]
    assert 500 <= machine.time < 520


def test_a_snapshot_before_the_alarm_can_be_returned_to_and_rings_again(boot, collect):
    machine = boot(
        f"""
        la t0, handler
        csrw mtvec, t0
        li t0, 0x800
        csrw mie, t0
        csrsi mstatus, 8
        {PLIC_FOR.format(source=11, context=0)}
        {ALARM}
    1:  addi s1, s1, 1
        j 1b
        .balign 4
    handler:
        {OFF}
        """,
        firmware="none",
    )
    machine.run(max_instructions=100)
    snapshot = machine.snapshot()
    ends = []
    for _ in range(3):
        assert machine.run(max_instructions=100_000).reason is StopReason.POWERED_OFF
        ends.append((machine.instret, machine.hart.x["s1"], machine.time))
        machine.restore(snapshot)
    assert len(set(ends)) == 1


def test_a_claimed_interrupt_of_the_uart_does_not_return_with_a_snapshot(boot):
    machine = boot(
        f"""
        {PLIC_FOR.format(source=10, context=0)}
        li t0, 0x10000000
        li t1, 2
        sb t1, 1(t0)            # transmitter interrupt: high at once
        li t2, 0x0c200004
        lw s0, (t2)
        .globl claimed
    claimed:
        nop
        lw s1, (t2)
        sw s0, (t2)
        lw s2, (t2)
        {OFF}
        """,
        firmware="none",
    )
    machine.run(until="claimed")
    machine.restore(machine.snapshot())
    machine.run(max_instructions=1000)
    assert [machine.hart.x[name] for name in ("s0", "s1", "s2")] == [10, 0, 0]


TIMEBASE = """
    la t0, handler
    csrw stvec, t0
    {arm}
    li t0, 32
    csrs sie, t0
    csrsi sstatus, 2
    li t0, 0x0200bff8
    li t1, {written}
    sd t1, (t0)
    csrr s1, time
1:  {body}
    j 1b
    .balign 4
handler:
    csrr s0, time
    li a7, 8
    ecall
"""
ARM_SBI = "li a0, 100000\n li a7, 0\n ecall\n"


@pytest.mark.parametrize("body", ["nop", "wfi"])
@pytest.mark.parametrize("written", [99_900, 100_000, 5_000_000])
def test_the_sbi_timer_follows_what_the_guest_writes_to_mtime(boot, body, written):
    machine = boot(TIMEBASE.format(arm=ARM_SBI, body=body, written=written))
    assert machine.run(max_instructions=200_000).reason is StopReason.POWERED_OFF
    expected = max(100_000, written)
    assert expected <= machine.hart.x["s0"] <= expected + 2
    assert machine.hart.x["s1"] in range(written, written + 2) or written >= 100_000


@pytest.mark.parametrize("body", ["nop", "wfi"])
@pytest.mark.parametrize("written", [99_900, 5_000_000])
def test_stimecmp_follows_what_the_guest_writes_to_mtime(boot, body, written):
    arm = "li t0, 100000\n csrw 0x14d, t0\n"
    source = TIMEBASE.format(arm=arm, body=body, written=written).replace("li a7, 8\n    ecall", OFF)
    enter = """
        li t0, 1 << 63
        csrw 0x30a, t0
        li t0, 7
        csrw mcounteren, t0
        li t0, 32
        csrw mideleg, t0
        li t0, 0x800
        csrs mstatus, t0
        li t0, -1
        csrw pmpaddr0, t0
        li t0, 0x1f
        csrw pmpcfg0, t0
        la t0, supervisor
        csrw mepc, t0
        mret
    supervisor:
    """
    machine = boot(enter + source, firmware="none")
    assert machine.run(max_instructions=200_000).reason is StopReason.POWERED_OFF
    expected = max(100_000, written)
    assert expected <= machine.hart.x["s0"] <= expected + 2


def test_an_mtime_that_goes_back_lets_the_timers_wait_again(boot):
    source = TIMEBASE.format(arm="li a0, 0\n li a7, 0\n ecall\n", body="nop", written=0)
    back = source.replace("li a0, 0\n", "li a0, 1000\n").replace("csrr s1, time", "csrr s1, sip\n")
    far = "li t0, 0x0200bff8\n li t1, 2000\n sd t1, (t0)\n csrr s2, sip\n"
    machine = boot(back.replace("li t0, 32\n", far + "li t0, 32\n", 1).replace("csrsi sstatus, 2\n", ""))
    machine.run(max_instructions=300)
    assert machine.hart.x["s2"] & 32
    assert not machine.hart.x["s1"] & 32


def test_input_comes_when_the_guest_asks_and_never_is_lost(boot):
    machine = boot(
        f"""
        li t0, 0x10000000
        li t1, 7
        sb t1, 2(t0)            # enables and clears the FIFOs, as each driver does at its start
        li s0, 3
    1:  lbu t1, 5(t0)
        andi t1, t1, 1
        beqz t1, 1b
        lbu t1, 0(t0)
        slli s1, s1, 8
        or s1, s1, t1
        addi s0, s0, -1
        bnez s0, 1b
        {OFF}
        """,
        firmware="none",
    )
    machine.type_text(b"abc")
    assert machine.run(max_instructions=10_000).reason is StopReason.POWERED_OFF
    assert machine.hart.x["s1"].to_bytes(3, "big") == b"abc"


def test_input_wakes_a_guest_that_waits_for_the_uarts_interrupt(boot):
    machine = boot(
        f"""
        la t0, handler
        csrw mtvec, t0
        li t0, 0x800
        csrw mie, t0
        csrsi mstatus, 8
        {PLIC_FOR.format(source=10, context=0)}
        li t0, 0x10000000
        li t1, {IER_RDI}
        sb t1, {IER}(t0)
    1:  wfi
        j 1b
        .balign 4
    handler:
        lbu s1, (t0)
        {OFF}
        """,
        firmware="none",
    )
    assert machine.run(max_instructions=10_000).reason is StopReason.IDLE_FOREVER
    machine.type_text(b"z")
    assert machine.run(max_instructions=10_000).reason is StopReason.POWERED_OFF
    assert machine.hart.x["s1"] == ord("z")


def test_the_sbi_and_the_uart_share_one_keyboard(boot):
    getchar = "li a7, 2\n ecall\n mv s{0}, a0\n"
    machine = boot(getchar.format(0) + getchar.format(1) + getchar.format(2) + OFF)
    machine.type_text(b"xy")
    machine.run(max_instructions=1000)
    assert [machine.hart.x[name] for name in ("s0", "s1", "s2")] == [ord("x"), ord("y"), (1 << 64) - 1]


def test_what_does_not_fit_is_refused_before_anything_starts(tmp_path: Path):
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(512))
    with pytest.raises(ImageError, match="does not exist"):
        Machine(MachineConfig(drives=(Drive(path=tmp_path / "none.img"),)))
    read_only = Drive(path=disk, read_only=True)
    with pytest.raises(ConfigError, match="9 virtio devices: the machine has 8 slots"):
        Machine(MachineConfig(drives=(read_only,) * 8, entropy=True))
    with pytest.raises(ConfigError, match="virtio slot 8"):
        Machine(MachineConfig(drives=(Drive(path=disk, slot=8, read_only=True),)))
    with pytest.raises(ConfigError, match="virtio version 3"):
        MachineConfig(virtio_version=3)


def test_the_sbi_and_stimecmp_are_one_timer(boot, collect):
    """As under OpenSBI where the hart has Sstc, which the device tree says."""
    machine = boot(
        """
        csrr a0, time
        addi a0, a0, 1000
        li a7, 0
        ecall                       # the SBI's timer: 1000 ticks
        csrr s0, 0x14d
        csrr a0, time
        addi a0, a0, 100
        csrw 0x14d, a0              # stimecmp: 100 ticks
        li t0, 0x20
        csrs sie, t0
        wfi
        csrr s1, time
        sub s1, s1, a0
        li a7, 8
        ecall
        """
    )
    raised = collect(machine, InterruptRaised)
    assert machine.run(max_instructions=10_000).reason is StopReason.POWERED_OFF
    assert [event.cause for event in raised] == [5]
    assert 1000 <= machine.hart.x["s0"] <= 1002
    assert machine.hart.x["s1"] <= 1
    assert b"_sstc\0" in machine.device_tree
