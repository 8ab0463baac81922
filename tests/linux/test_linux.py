"""Linux 6.1 from Debian's source, unmodified, from its first instruction to power-off: all that QEMU shows."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emu.events import (
    AddressSpaceSwitched,
    ConsoleOutput,
    Event,
    InterruptRaised,
    MmioAccess,
    PageFault,
    SyscallMade,
    TrapReturned,
    TrapTaken,
)
from emu.isa.privilege import Privilege
from emu.machine import Drive, Machine, MachineConfig, Outcome, StopReason
from tests.documentation.documents import LINUX, follow
from tests.linux.build import Linux
from tests.linux.conftest import BUILT_IN, FIRMWARE, SBI, SERIAL, Boot, BootEkernel, BootQemu

pytestmark = pytest.mark.slow

OTHER_FIRMWARE = ("SBI specification", "SBI implementation ID", "Memory: ")
"""Lines that differ where the built-in SBI stands in for OpenSBI: it has another version and another name, and it adds
no nodes to the device tree, which then takes a page less of the kernel's memory."""


def compared(boot: Boot, firmware: str) -> list[str]:
    """The lines of a console that two machines have in common."""
    lines = boot.console
    if firmware == BUILT_IN:
        first = next(number for number, line in enumerate(lines) if line.startswith("Linux version"))
        lines = [line for line in lines[first:] if not line.startswith(OTHER_FIRMWARE)]
    return lines


@pytest.mark.parametrize("firmware", FIRMWARE)
def test_linux_says_what_it_says_on_qemu_and_powers_off_in_both_fidelities_at_the_same_instruction(
    on_qemu: BootQemu, on_ekernel: BootEkernel, firmware: str
) -> None:
    theirs = on_qemu(firmware)
    fast, exact = (on_ekernel(firmware=firmware, fidelity=fidelity) for fidelity in ("fast", "exact"))
    for ours in (fast, exact):
        assert compared(ours, firmware) == compared(theirs, firmware)
        assert ours.console[-2:] == ["init: all is well", "reboot: Power down"]
        assert ours.status == 0
    assert exact.output == fast.output  # time stamps included: a microsecond is 100 instructions


def test_linux_speaks_through_the_sbi_as_on_qemu(on_qemu: BootQemu, on_ekernel: BootEkernel) -> None:
    theirs, ours = on_qemu(bootargs=SBI), on_ekernel(bootargs=SBI)
    assert compared(ours, BUILT_IN) == compared(theirs, BUILT_IN)
    assert "init: all is well" in ours.console


@pytest.mark.parametrize("fidelity", ["fast", "exact"])
def test_linux_boots_by_qemus_device_tree(
    oracle: Callable[[str], str], on_ekernel: BootEkernel, fidelity: str, tmp_path: Path
) -> None:
    command = [oracle("qemu-system-riscv64"), "-M", f"virt,dumpdtb={tmp_path / 'virt.dtb'}", "-m", "128M", "-nographic"]
    subprocess.run(command, check=True, capture_output=True)
    boot = on_ekernel("-dtb", str(tmp_path / "virt.dtb"), fidelity=fidelity)
    assert "riscv-timer: Timer interrupt in S-mode is available via sstc extension" in boot.console
    assert "init: all is well" in boot.console


@pytest.mark.parametrize("fidelity", ["fast", "exact"])
def test_the_disk_is_left_as_qemu_leaves_it(
    oracle: Callable[[str], str], on_qemu: BootQemu, on_ekernel: BootEkernel, fidelity: str, tmp_path: Path
) -> None:
    theirs, ours = on_qemu(), on_ekernel(fidelity=fidelity)
    files = files_of(oracle, ours.disk, tmp_path / "ours")
    assert files == files_of(oracle, theirs.disk, tmp_path / "theirs")
    assert files["new/pattern.bin"] == pattern(256 * 1024, seed=2024)
    assert files["new/note.txt"].startswith(b"pattern.bin 0x")
    assert "obsolete.txt" not in files


def files_of(oracle: Callable[[str], str], disk: Path, folder: Path) -> dict[str, bytes]:
    """The files in an ext2 file system that is whole."""
    check = subprocess.run([oracle("e2fsck"), "-f", "-n", disk], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout
    folder.mkdir()
    subprocess.run([oracle("debugfs"), "-R", f"rdump / {folder}", disk], capture_output=True, check=True)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pattern(length: int, seed: int) -> bytes:
    """What `init.c` writes."""
    made = bytearray()
    for _ in range(length):
        seed = (seed * 1103515245 + 12345) & 0xFFFFFFFF
        made.append(seed >> 16 & 0xFF)
    return bytes(made)


def test_with_snapshot_the_disks_file_stays_as_it_was(built: Linux, on_ekernel: BootEkernel) -> None:
    boot = on_ekernel("-snapshot", fidelity="fast")
    assert "init: all is well" in boot.console
    assert boot.disk.read_bytes() == built.disk.read_bytes()


# The machine from Python: its events.

EVERYTHING: tuple[type[Event], ...] = (
    TrapTaken, TrapReturned, PageFault, InterruptRaised, MmioAccess, SyscallMade, AddressSpaceSwitched, ConsoleOutput,
)  # fmt: skip


def booted(built: Linux, fidelity: str, disk: Path, *kinds: type[Event], tell: Callable[[Any], None]) -> Outcome:
    machine = Machine(MachineConfig(fidelity=fidelity, bootargs=SERIAL, drives=(Drive(path=disk),)))
    machine.load(built.kernel, initrd=built.initrd)
    for kind in kinds:
        machine.on(kind, tell)
    outcome = machine.run(max_instructions=200_000_000)
    assert outcome.reason is StopReason.POWERED_OFF
    return outcome


@pytest.mark.parametrize("fidelity", ["fast", "exact"])
def test_two_boots_are_identical_to_the_last_event(built: Linux, tmp_path: Path, fidelity: str) -> None:
    boots = []
    for name in ("first.img", "second.img"):
        disk = Path(shutil.copy(built.disk, tmp_path / name))
        events: list[Event] = []
        outcome = booted(built, fidelity, disk, *EVERYTHING, tell=events.append)
        boots.append((outcome, disk.read_bytes(), [repr(event) for event in events]))
    assert boots[0] == boots[1]


@pytest.mark.parametrize("fidelity", ["fast", "exact"])
def test_listening_to_everything_changes_nothing(built: Linux, tmp_path: Path, fidelity: str) -> None:
    outcomes, disks = [], []
    for kinds in (EVERYTHING, ()):
        disk = Path(shutil.copy(built.disk, tmp_path / f"{len(kinds)}.img"))
        outcomes.append(booted(built, fidelity, disk, *kinds, tell=lambda event: None))
        disks.append(disk.read_bytes())
    assert outcomes[0] == outcomes[1]
    assert disks[0] == disks[1]


def test_both_fidelities_take_the_same_traps_and_as_many_instructions(built: Linux, tmp_path: Path) -> None:
    boots: dict[str, list[TrapTaken]] = {"fast": [], "exact": []}
    outcomes = [
        booted(built, fidelity, Path(shutil.copy(built.disk, tmp_path / fidelity)), TrapTaken, tell=seen.append)
        for fidelity, seen in boots.items()
    ]
    assert outcomes[0] == outcomes[1]
    assert boots["fast"] == boots["exact"]
    assert {8, 12, 13, 15, 2, 3} == {cause for cause, _, _ in exceptions_of_programs(boots["exact"])}


def exceptions_of_programs(traps: list[TrapTaken]) -> list[tuple[int, int, int]]:
    return [
        (trap.cause, int(trap.pc), trap.tval) for trap in traps if trap.privilege is Privilege.U and not trap.interrupt
    ]


@pytest.mark.parametrize("fidelity", ["fast", "exact"])
def test_a_snapshot_of_running_linux_ends_as_it_did(built: Linux, fidelity: str) -> None:
    drive = Drive(path=built.disk, snapshot=True)
    machine = Machine(MachineConfig(fidelity=fidelity, bootargs=SERIAL, drives=(drive,)))
    machine.load(built.kernel, initrd=built.initrd)
    while b"20 children" not in machine.console:
        assert machine.run(max_instructions=1_000_000).reason is StopReason.INSTRUCTION_LIMIT
    snapshot = machine.snapshot()
    ends = []
    for _ in range(2):
        outcome = machine.run(max_instructions=100_000_000)
        ends.append((outcome, machine.console))
        machine.restore(snapshot)
    assert ends[0] == ends[1]
    assert ends[0][1].endswith(b"reboot: Power down\r\n")


# What the user is told.


def test_the_document_shows_what_happens(built: Linux, oracle: Callable[[str], str], tmp_path: Path) -> None:
    follow(LINUX, tmp_path, oracle)
