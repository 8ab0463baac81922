"""Every CSR number that a guest may try: what it reads at the start and after writes, or that it traps, as on QEMU."""

import subprocess

import pytest

from emu.firmware.image import Image
from emu.isa.csrs import HPM_COUNTERS, MHPM_COUNTERS, MHPM_EVENTS, PMP_ADDRESSES, PMP_CONFIGS, Csr
from emu.machine import Machine, MachineConfig, StopReason
from linker import link
from linker.assembler import assemble
from tests.guests import PRINT_DIGITS

SCRIPT = "ENTRY(_start) SECTIONS { . = 0x80000000; .text : { *(.text) } }"
PROGRAM = """
    la t0, trapped
    csrw mtvec, t0
    li sp, 0x80200000
    {probes}
    li t0, 0x100000
    li t1, 0x5555
    sw t1, (t0)
    j .
    .balign 4
trapped:
    li s0, 0x7777           # instead of a value
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
hex:
    {print_digits}
    ret
"""
PROBE = """
    {instructions}
    mv a0, s0
    jal hex
"""


def program(probes):
    return PROGRAM.format(
        print_digits=PRINT_DIGITS, probes="\n".join(PROBE.format(instructions=text) for text in probes)
    )


def ours(source):
    code = assemble(f".text\n.globl _start\n_start:\n{source}\n", name="csrs.s")
    elf = link([code], script=SCRIPT).elf
    machine = Machine(MachineConfig(ram_size=16 << 20, firmware="none"))
    machine.load(Image.from_bytes(elf, "csrs.elf"))
    assert machine.run(max_instructions=5_000_000).reason is StopReason.POWERED_OFF
    return elf, machine.console.split()


def qemus(oracle, elf, path):
    path.write_bytes(elf)
    command = [oracle("qemu-system-riscv64"), "-M", "virt", "-cpu", "rv64,h=false", "-m", "16M", "-nographic"]
    result = subprocess.run(
        [*command, "-bios", path], capture_output=True, timeout=60, check=True, stdin=subprocess.DEVNULL
    )
    return result.stdout.split()


TRAPS = b"0000000000007777"
VSTIMECMP, TINFO = 0x24D, 0x7A4
"""QEMU 7.2 has the first even without the hypervisor extension, and the second with its triggers."""
COUNTERS_OF_QEMU = 16
RUNNING = (Csr.CYCLE, Csr.TIME, Csr.INSTRET, Csr.MCYCLE, Csr.MINSTRET)
OTHER_AT_THE_START = {
    Csr.STIMECMP: "2**64 - 1 instead of 0: no interrupt until it is written",
    Csr.MIP: "mtimecmp is 2**64 - 1 instead of 0, so MTIP is not pending",
    Csr.TDATA1: "no triggers",
    Csr.MARCHID: "QEMU's own number",
    Csr.MIMPID: "QEMU's own number",
}
OTHER_WHEN_WRITTEN = {
    Csr.SSTATUS: "QEMU: VS and UXL can be written",
    Csr.SCOUNTEREN: "QEMU: 64 bits instead of 32",
    Csr.MCOUNTEREN: "QEMU: 64 bits instead of 32",
    Csr.SENVCFG: "QEMU: bits of Zicbom and Zicboz, which it then does not have",
    Csr.MENVCFG: "QEMU: the same, and PBMTE",
    Csr.SEPC: "QEMU: bit 0 is kept",
    Csr.MEDELEG: "QEMU: causes of the hypervisor extension",
    Csr.MIDELEG: "QEMU: interrupts of the hypervisor extension",
    Csr.MIE: "QEMU: interrupts of the hypervisor extension",
    Csr.MIP: "QEMU: interrupts of the hypervisor extension",
    Csr.MCOUNTINHIBIT: "QEMU: event counters, and bit 1",
    Csr.TDATA1: "no triggers",
    Csr.TDATA2: "no triggers",
    **dict.fromkeys(PMP_CONFIGS, "QEMU: reserved bits, and W without R"),
    **dict.fromkeys(PMP_ADDRESSES, "QEMU: 64 bits instead of 54"),
    **dict.fromkeys(RUNNING, "runs"),
}
USED_BY_THE_PROGRAM = (Csr.MTVEC, Csr.MEPC, Csr.MSTATUS, Csr.MCAUSE, Csr.MTVAL)
"""Also what each write's trap, if any, would change."""


def differences(numbers, mine, theirs):
    assert len(mine) == len(theirs) == len(numbers)
    return {
        hex(number): (one.decode(), other.decode())
        for number, one, other in zip(numbers, mine, theirs, strict=True)
        if one != other
    }


def test_the_same_csrs_exist_and_hold_the_same_at_the_start(oracle, tmp_path):
    event_counters = {*MHPM_COUNTERS[COUNTERS_OF_QEMU:], *HPM_COUNTERS[COUNTERS_OF_QEMU:]}
    known = {VSTIMECMP, TINFO, *RUNNING, *OTHER_AT_THE_START, *event_counters}
    numbers = [number for number in range(0x1000) if number not in known]
    elf, mine = ours(program(f"li s0, 0\n csrr s0, {number:#x}" for number in numbers))
    assert differences(numbers, mine, qemus(oracle, elf, tmp_path / "csrs.elf")) == {}
    assert 60 < len([value for value in mine if value != TRAPS]) < 200


@pytest.mark.parametrize("value", [-1, 0x5555_5555_5555_5555, 0xAAAA_AAAA_AAAA_AAAA, 0])
def test_a_written_csr_reads_the_same(oracle, tmp_path, value):
    known = {VSTIMECMP, TINFO, *USED_BY_THE_PROGRAM, *OTHER_WHEN_WRITTEN, *MHPM_COUNTERS, *MHPM_EVENTS}
    numbers = [number for number in range(0xC00) if number not in known and number & 0xFC0 in BLOCKS_IN_USE]
    write = f"li s0, 0\n li s1, {value}\n csrw {{0:#x}}, s1\n csrr s0, {{0:#x}}\n csrw {{0:#x}}, zero"
    elf, mine = ours(program(write.format(number) for number in numbers))
    assert differences(numbers, mine, qemus(oracle, elf, tmp_path / "csrs.elf")) == {}


BLOCKS_IN_USE = {int(csr) & 0xFC0 for csr in Csr}
