"""The reset of hart, timers and devices, as QEMU's `virt` does it at `system_reset`."""

from typing import TYPE_CHECKING

from emu.devices.clint import MTIME
from emu.errors import ConfigError
from emu.machine.timers import NEVER

if TYPE_CHECKING:
    from emu.machine.machine import Machine


def reset(machine: "Machine", power_on: object) -> None:
    """Put back the hart (to its state `power_on`) and all devices; `mtime` begins at 0.

    Raises ConfigError while the machine runs.
    """
    if machine.core.engine.running:
        raise ConfigError("a machine is reset between runs; a guest does it by the test finisher or the SBI")
    machine.core.reset(power_on)
    machine.restore_timer((NEVER, False))
    for device in machine.devices:
        device.reset()
    machine.clint.write(MTIME, 8, 0)
