"""Firmware and boot loaders that nobody here wrote: Debian's OpenSBI in M mode, and U-Boot in S mode above it."""

from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig
from tests.oracles import required

OPENSBI = Path("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.elf")
UBOOT = Path("/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin")


def run_until(machine: Machine, text: bytes, limit: int) -> None:
    while text not in machine.console and machine.instret < limit:
        machine.run(max_instructions=500_000)
    assert text in machine.console, machine.console[-500:]


def test_opensbi_boots_to_its_banner(fidelity):
    machine = Machine(MachineConfig(fidelity=fidelity, firmware="none"))
    machine.load(required(OPENSBI, "opensbi"))
    run_until(machine, b"Boot HART MEDELEG", 10_000_000)
    assert b"Platform Name             : riscv-virtio" in machine.console
    assert b"Next Mode         : S-mode" in machine.console
    assert b"ISA Extensions  : time,sstc" in machine.console


def test_u_boot_comes_to_its_prompt(fidelity):
    machine = Machine(MachineConfig(fidelity=fidelity, firmware="none"))
    machine.load(required(OPENSBI, "opensbi"))
    machine.memory.write(0x8020_0000, required(UBOOT, "u-boot-qemu").read_bytes())
    run_until(machine, b"Hit any key to stop autoboot", 300_000_000)
    machine.type_text(b"\n")
    run_until(machine, b"=> ", 600_000_000)
    machine.type_text(b"version\n")
    run_until(machine, b"riscv64-linux-gnu-gcc", 900_000_000)


@pytest.mark.slow
def test_u_boots_reset_starts_the_machine_again(fidelity):
    machine = Machine(MachineConfig(fidelity=fidelity, firmware=OPENSBI))
    machine.load(required(UBOOT, "u-boot-qemu"))
    run_until(machine, b"Hit any key to stop autoboot", 300_000_000)
    machine.type_text(b"\n")
    run_until(machine, b"=> ", 600_000_000)
    machine.type_text(b"reset\n")
    first = machine.console
    while machine.console.count(b"Hit any key") < 2 and machine.instret < 900_000_000:
        machine.run(max_instructions=500_000)
    again = machine.console[machine.console.rfind(b"\r\nOpenSBI") :]
    assert again[: again.find(b"Hit any key")] == first[: first.find(b"Hit any key")]
