"""Snapshots of a whole machine: RAM, hart, devices, clock and console."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emu.errors import ConfigError
from emu.hart.core import COUNT
from emu.machine.semihosting import State as SemihostingState
from emu.memory.baseline import RamState

if TYPE_CHECKING:
    from emu.machine.machine import Machine


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a machine at one moment. It belongs to the machine that made it."""

    machine: "Machine"
    instret: int
    """Instructions retired when it was taken."""
    ram: RamState
    hart: object
    devices: tuple[object, ...]
    clock: int
    timer: tuple[int, bool]
    console: bytes
    keyboard: tuple[int, ...]
    semihosting: SemihostingState | None


def take(machine: "Machine") -> Snapshot:
    """The machine's state now; it must not be running."""
    _check_stopped(machine)
    return Snapshot(
        machine=machine,
        instret=machine.instret,
        ram=machine.ram_history.take(),
        hart=machine.core.save(),
        devices=tuple(device.save() for device in machine.devices),
        clock=machine.clock.save(),
        timer=machine.save_timer(),
        console=machine.console_device.save(),
        keyboard=machine.keyboard.save(),
        semihosting=machine.semihosting.save() if machine.semihosting else None,
    )


def restore(machine: "Machine", snapshot: Snapshot) -> None:
    """Return to a snapshot that the same machine made."""
    _check_stopped(machine)
    if snapshot.machine is not machine:
        raise ConfigError("this snapshot belongs to another machine; a snapshot returns only the machine that made it")
    changed_code = machine.ram_history.restore(snapshot.ram, machine.core.engine.pages.chunks)
    machine.clock.restore(snapshot.clock)
    machine.core.slots[COUNT] = snapshot.instret  # before the devices, which look at the time
    machine.restore_timer(snapshot.timer)
    for device, state in zip(machine.devices, snapshot.devices, strict=True):
        device.restore(state)
    machine.core.restore(snapshot.hart, forget_code=changed_code)
    machine.console_device.restore(snapshot.console)
    machine.keyboard.restore(snapshot.keyboard)
    if machine.semihosting and snapshot.semihosting:
        machine.semihosting.restore(snapshot.semihosting)


def _check_stopped(machine: "Machine") -> None:
    if machine.core.engine.running:
        raise ConfigError("a snapshot is taken or restored between runs, not while the guest executes")
