"""The reset of hart, timers and devices, as QEMU's `virt` does it at `system_reset`."""

from emu.devices.clint import MTIME
from emu.errors import ConfigError
from emu.events import MachineReset, StateRestored
from emu.machine.boot import BootPlan
from emu.machine.platform import Platform
from emu.machine.timers import NEVER


def reset(platform: Platform, power_on: object, plan: BootPlan | None) -> None:
    """Put back the hart (to its state `power_on`) and all devices, and load what `plan` says again; `mtime` is 0 then.

    Raises ConfigError while the machine runs.
    """
    if platform.core.engine.running:
        raise ConfigError("a machine is reset between runs; a guest does it by the test finisher or the SBI")
    platform.core.reset(power_on)
    platform.supervisor_timer.restore((NEVER, False))
    for device in platform.devices:
        device.reset()
    platform.board.clint.write(MTIME, 8, 0)
    if plan is not None:
        plan.place(platform.memory, again=True)
        plan.enter(platform.core)
    platform.is_asleep = False
    platform.tell(MachineReset)
    platform.tell(StateRestored)
