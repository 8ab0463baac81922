"""The reset that a guest asks for: the same as QEMU's, by the finisher and by the SBI; and what it leaves alone."""

import subprocess

import pytest

from emu.errors import ConfigError, GuestPanic
from emu.events import MachineReset, StateRestored
from emu.machine import Machine, MachineConfig, StopReason
from linker import link
from linker.assembler import assemble

COUNTER = 0x8050_0000
SCRIPT = "ENTRY(_start) SECTIONS { . = 0x80000000; .text : { *(.text) } .data : { *(.data) } .bss : { *(.bss) } }"
BOOTS = """
    .macro show register
    mv a0, \\register
    jal hex
    .endm
    li s0, 0x80500000       # outside of what is loaded: kept
    ld s1, (s0)
    addi s1, s1, 1
    sd s1, (s0)
    show s1
    la s0, loaded           # loaded again
    ld s2, (s0)
    addi s2, s2, 1
    sd s2, (s0)
    show s2
    la s0, zeroed
    ld s2, (s0)
    addi s2, s2, 1
    sd s2, (s0)
    show s2
    csrr s2, {status}
    show s2
    csrr s2, {scratch}
    show s2
    csrr s2, satp
    show s2
    li s0, 0x10000001       # UART: interrupts enabled
    lbu s2, (s0)
    show s2
    li t0, 5
    sb t0, (s0)
    li s0, 0x0c000028       # PLIC: priority of interrupt 10
    lw s2, (s0)
    show s2
    li t0, 3
    sw t0, (s0)
    {devices}
    li t0, 77
    csrw {scratch}, t0
    li t0, 0x42000
    csrs {status}, t0
    li t0, 3
    bge s1, t0, off
    {reset}
    j .                     # QEMU resets a little later
off:
    {off}
    j .
hex:
    mv a4, ra
    mv a5, a0
    li a3, 60
1:  srl a0, a5, a3
    andi a0, a0, 15
    addi a0, a0, '0'
    li t0, 0x10000000
    sb a0, (t0)
    addi a3, a3, -4
    bgez a3, 1b
    li a0, 10
    sb a0, (t0)
    jr a4
    .data
    .balign 8
loaded: .dword 0x40
    .bss
    .balign 8
zeroed: .zero 8
"""
FINISH = "li t0, 0x100000\n li t1, {value:#x}\n sw t1, (t0)\n"
CLINT = """
    li s0, 0x0200bff8       # mtime begins at 0: the first boot sets it far ahead
    ld s2, (s0)
    srli s2, s2, 40
    show s2
    li t0, -1
    sd t0, (s0)
    li s0, 0x02004000
    ld s2, (s0)
    sd zero, (s0)
    li s0, 0x02000000
    lw s2, (s0)
    show s2
    li t0, 1
    sw t0, (s0)
"""
IN_M = BOOTS.format(
    status="mstatus",
    scratch="mscratch",
    devices=CLINT,
    reset=FINISH.format(value=0x7777),
    off=FINISH.format(value=0x5555),
)
IN_S = BOOTS.format(
    status="sstatus", scratch="sscratch", devices="",
    reset="li a7, 0x53525354\n li a6, 0\n li a0, {kind}\n li a1, 0\n ecall", off="li a7, 8\n ecall",
)  # fmt: skip


def test_the_finisher_starts_the_machine_again_as_qemu_does(boot, oracle, tmp_path):
    machine = boot(IN_M, firmware="none")
    assert machine.run(max_instructions=100_000).reason is StopReason.POWERED_OFF
    image = tmp_path / "boots.elf"
    code = assemble(f".text\n.globl _start\n_start:\n{IN_M}", name="boots.s")
    image.write_bytes(link([code], script=SCRIPT).elf)
    command = [oracle("qemu-system-riscv64"), "-M", "virt", "-m", "16M", "-nographic", "-bios", image]
    result = subprocess.run(command, capture_output=True, timeout=20, check=True, stdin=subprocess.DEVNULL)
    lines = machine.console.split()
    theirs = result.stdout.split()
    boots, on_qemu = ([words[start : start + 10] for start in range(0, 30, 10)] for words in (lines, theirs))
    for ours, other in zip(boots, on_qemu, strict=True):
        # The manual leaves open what `mscratch` and most of `mstatus` hold; on QEMU they keep their values.
        assert ours[:3] + ours[5:] == other[:3] + other[5:]
    assert [int(boot[0], 16) for boot in boots] == [1, 2, 3]
    assert boots[0][1:] == boots[1][1:] == boots[2][1:]


@pytest.mark.parametrize("kind", [1, 2])
def test_the_sbi_starts_the_machine_again(boot, kind):
    machine = boot(IN_S.format(kind=kind))
    assert machine.run(max_instructions=100_000).reason is StopReason.POWERED_OFF
    lines = machine.console.split()
    boots = [lines[start : start + 8] for start in range(0, 24, 8)]
    assert [int(boot[0], 16) for boot in boots] == [1, 2, 3]
    assert boots[0][1:] == boots[1][1:] == boots[2][1:]


def test_without_reboot_the_run_ends_instead(boot):
    machine = boot(IN_M, firmware="none", reboot=False)
    outcome = machine.run(max_instructions=100_000)
    assert (outcome.reason, outcome.exit_code) == (StopReason.RESET, 0)
    assert machine.memory.read(COUNTER, 1) == b"\1"


def test_instructions_are_counted_on_and_instret_begins_again(boot):
    machine = boot(
        "csrr s0, instret\n csrr s1, time\n csrr s2, minstret\n nop\n" + FINISH.format(value=0x7777), firmware="none"
    )
    first = machine.run(max_instructions=500)
    assert (first.reason, first.instructions) == (StopReason.INSTRUCTION_LIMIT, 500)
    assert machine.hart.x["s0"] == 0
    assert machine.hart.x["s2"] == 2
    assert machine.hart.x["s1"] <= 1


def test_a_reset_is_an_event(boot, collect):
    machine = boot(IN_S.format(kind=1))
    events = collect(machine, MachineReset, StateRestored)
    machine.run(max_instructions=100_000)
    assert [type(event) for event in events] == [MachineReset, StateRestored] * 2
    assert events[0].pc == machine.image.entry
    assert 0 < events[0].instret < events[2].instret < machine.instret


def test_a_called_function_that_resets_the_machine_is_a_panic(boot):
    source = "j .\n .globl bad\n bad:\n" + FINISH.format(value=0x7777)
    machine = boot(source, firmware="none")
    with pytest.raises(GuestPanic, match="asked for a reset"):
        machine.call("bad")


def test_the_host_can_press_the_button(boot):
    machine = boot("addi s0, s0, 1\n csrw mscratch, s0\n j _start", firmware="none")
    machine.run(max_instructions=30)
    before = machine.instret
    machine.reset()
    assert (machine.hart.pc, machine.hart.x["s0"], machine.hart.csr["mscratch"]) == (machine.image.entry, 0, 0)
    assert machine.instret == before
    machine.run(max_instructions=3)
    assert machine.hart.x["s0"] == 1
    machine.watch("_start", machine.reset)
    with pytest.raises(ConfigError, match="between runs"):
        machine.run(max_instructions=10)


def test_a_locked_pmp_entry_is_free_again_after_a_reset(build):
    machine = Machine(MachineConfig(ram_size=4 << 20, firmware="none"))
    machine.load(build("j .", 0x8000_0000))
    machine.hart.csr["pmpcfg0"] = 0x98
    machine.reset()
    assert machine.hart.csr["pmpcfg0"] == 0


def test_a_counter_that_the_host_writes_goes_on_from_there(boot):
    machine = boot("csrr s0, minstret\n nop\n csrr s1, minstret\n j .", firmware="none")
    machine.hart.csr["minstret"] = 1000
    assert machine.hart.csr["minstret"] == 1000
    machine.run(max_instructions=4)
    assert (machine.hart.x["s0"], machine.hart.x["s1"]) == (1000, 1002)
