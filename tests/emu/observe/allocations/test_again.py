"""Runs whose frees are held back, and calls under way: each moment is had again, in another process, too."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import HeapObserver
from emu.observe.sanitizer.address import AddressSanitizer
from emu.record.container import Reader, Writer
from tests.emu.observe.allocations.conftest import Build

EKERNEL = Path(sys.executable).with_name("ekernel")


def state(machine: Machine) -> tuple[int, int, bytes]:
    return machine.instret, int(machine.hart.pc), machine.read_virtual("heap", 1 << 16)


def test_each_moment_of_a_run_with_a_quarantine_is_had_again(built: Build) -> None:
    machine, straight = (Machine(MachineConfig(fidelity="fast", ram_size=16 << 20)) for _ in range(2))
    for each in (machine, straight):
        each.load(built("libc", library="picolibc"))
        AddressSanitizer(each, quarantine=2048)
    machine.run()
    end, last = machine.instret, state(machine)
    moments = list(range(end // 9, end, end // 9))
    lived = []
    for at in moments:
        straight.run(at - straight.instret)
        lived.append(state(straight))
    for index in (8, 3, 4, 1, 6, 7, 0, 2, 5):
        machine.goto(moments[index])
        assert state(machine) == lived[index]
    machine.run()
    assert state(machine) == last


def test_an_allocation_that_is_under_way_at_a_snapshot_ends_behind_its_return(built: Build) -> None:
    machine = Machine(MachineConfig(fidelity="fast", ram_size=16 << 20))
    machine.load(built("libc", library="picolibc"))
    HeapObserver(machine)
    ledger = AllocationLedger(machine)
    machine.run(until="sbrk")  # malloc asks for its first memory
    before = machine.snapshot()
    ends = []
    for _ in range(2):
        machine.run(20_000)
        ends.append((dict(ledger.blocks.held), ledger.blocks.allocated, ledger.blocks.wrong.total()))
        machine.restore(before)
        assert ledger.blocks.held == {}
    assert ends[0] == ends[1]
    assert ends[0][2] == 0


@pytest.mark.slow
def test_a_recorded_run_with_a_quarantine_is_lived_again(built: Build, tmp_path: Path) -> None:
    elf, path = built("libc", library="picolibc"), tmp_path / "held.ekrec"
    words = ["run", "-q", "--sanitize", "address", "--heap-functions", "malloc,free", "--quarantine", "2K"]
    subprocess.run([EKERNEL, *words, "--record", path, elf], check=True)
    again = subprocess.run([EKERNEL, "replay", "-q", path], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"ekernel: the same run: [\d,]+ instructions\n", again.stderr)
    without = tmp_path / "without.ekrec"
    with Reader(path) as reader, Writer(without) as writer:
        for section in reader.sections:
            for chunk in reader.chunks(section):
                writer.add(section, chunk.replace(b'"quarantine": {"bytes": 2048', b'"nothing": {"bytes": 2048'))
    other = subprocess.run([EKERNEL, "replay", "-q", without], capture_output=True, text=True, check=False)
    assert (other.returncode, "this is another run: after" in other.stderr) == (1, True)
