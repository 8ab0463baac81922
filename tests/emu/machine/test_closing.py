"""Machines give back what the host has lent as soon as they are closed or dropped; its limits end in an error."""

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from emu.errors import ConfigError, ImageError
from emu.events import ConsoleOutput, PteWritten, TrapTaken
from emu.firmware.image import Image
from emu.machine import Drive, Machine, MachineConfig

OFF = Image.from_bytes(bytes.fromhex("9308800073000000"), "off.bin")  # li a7, 8; ecall
KEPT_TO_THE_LAST = """
import ctypes, json, sys
from emu.devices.virtio.disk import open_disk
from emu.machine import Machine, MachineConfig
from emu.machine.config import Drive
from emu.memory.ram import Ram

json.disk = open_disk("other.img")
json.machine = Machine(MachineConfig(drives=(Drive(path="disk.img"),), ram_size=1 << 20))
json.ram = Ram(1 << 20)
# Modules that somebody holds are emptied one after the other, those of the machine before the one that has it.
for name, module in tuple(sys.modules.items()):
    if name == "json" or name.startswith("emu"):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(module))
"""
LIMITED = """
import resource, sys
from emu.errors import ConfigError
from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig
resource.setrlimit(resource.RLIMIT_{kind}, ({limit}, {limit}))
machines = []
try:
    for _ in range(300):
        machine = Machine(MachineConfig(ram_size=4 << 20, fidelity="{fidelity}"))
        machine.load(Image.from_bytes(bytes.fromhex("9308800073000000"), "off.bin"))
        machine.run()
        machines.append(machine)
except ConfigError as error:
    print(error)
    machines.clear()
    sys.exit(7 + Machine(MachineConfig(ram_size=4 << 20)).instret)
"""


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def collector():
    """Without Python's search for cycles: what is given back then is given back at once."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors by /proc")
def test_a_machine_that_is_dropped_gives_everything_back_at_once(collector, fidelity):
    for number in range(20):
        if number == 2:
            before = descriptors()  # the first of each kind has opened what stays: code that all machines share
        machine = Machine(MachineConfig(ram_size=4 << 20, fidelity=fidelity))
        machine.load(OFF)
        machine.on(TrapTaken, lambda event: None)
        machine.run()
        snapshot = machine.snapshot()
        ram = weakref.ref(machine.memory.ram)
        del machine, snapshot
        assert ram() is None
    assert descriptors() == before


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measures memory by /proc")
def test_hundreds_of_machines_need_the_memory_of_one(collector):
    def pages_after(machines: int) -> int:
        for number in range(machines):
            machine = Machine(MachineConfig(ram_size=4 << 20, fidelity=("exact", "fast")[number % 2]))
            machine.load(OFF)
            machine.run()
        return int(Path("/proc/self/statm").read_text().split()[1])

    warm = pages_after(40)
    assert pages_after(160) - warm < 160 * 120  # a machine that stays keeps more than 700


def test_a_disk_is_free_when_its_machine_is_dropped_or_closed(collector, tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(4096))
    config = MachineConfig(ram_size=4 << 20, drives=(Drive(path=disk),))
    machine = Machine(config)
    del machine
    with Machine(config), pytest.raises(ImageError, match="in use by another machine"):
        Machine(config)
    Machine(config).close()


def test_a_closed_machine_says_so_and_its_subscriptions_end_quietly(fidelity):
    machine = Machine(MachineConfig(ram_size=4 << 20, fidelity=fidelity))
    machine.load(OFF)
    held = [machine.on(kind, lambda event: None) for kind in (TrapTaken, ConsoleOutput, PteWritten)]
    held.append(machine.watch(0x8020_0000, lambda: None))
    words, memory = machine.core.words, machine.memory
    machine.close()
    machine.close()
    for subscription in held:
        subscription.cancel()
    for use in (machine.run, machine.snapshot, lambda: machine.instret, lambda: machine.hart.pc):
        with pytest.raises(ConfigError, match="closed"):
            use()
    with pytest.raises(ValueError, match="released"):
        _ = words[1]
    assert memory.read(0x8020_0000, 4) == bytes.fromhex("93088000")
    assert not hasattr(machine, "nonsense")


def test_a_machine_is_not_closed_by_its_own_listener(boot):
    machine = boot("li a7, 1\n ecall\n li a7, 8\n ecall")
    machine.on(ConsoleOutput, lambda event: machine.close())
    with pytest.raises(ConfigError, match="between runs"):
        machine.run()
    assert machine.run().exit_code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize("fidelity", ["exact", "fast"])
@pytest.mark.parametrize(("kind", "limit", "advice"), [("AS", 4 << 30, "ulimit -v"), ("NOFILE", 64, "ulimit -n")])
def test_limits_of_the_host_end_in_an_error_and_closing_helps(kind, limit, advice, fidelity):
    program = LIMITED.format(kind=kind, limit=limit, fidelity=fidelity)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (7, "")
    assert advice in done.stdout


def test_a_machine_that_somebody_holds_to_pythons_end_goes_without_a_word(tmp_path: Path) -> None:
    for name in ("disk.img", "other.img"):
        (tmp_path / name).write_bytes(bytes(1 << 20))
    command = [sys.executable, "-c", KEPT_TO_THE_LAST]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
