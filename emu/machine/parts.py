"""What a platform is made of; only what its configuration asks for is loaded."""

from emu.engine.cores import make_room
from emu.errors import ConfigError
from emu.hart.core import HartCore
from emu.hints import TYPE_CHECKING
from emu.machine.config import HOST_CLOCK, MachineConfig
from emu.machine.timers import Clock, InstructionClock
from emu.memory import Ram
from emu.subscriptions import EventBus

if TYPE_CHECKING:
    from emu.hart.platform import Platform


def make_ram(size: int) -> Ram:
    """So many bytes. Raises ConfigError when the host cannot give them."""
    try:
        return Ram(size)
    except ConfigError:
        make_room()
        return Ram(size)


def make_clock(config: MachineConfig) -> Clock:
    """The clock that was asked for."""
    if config.clock != HOST_CLOCK:
        return InstructionClock()
    from emu.machine.host_clock import HostClock

    return HostClock()


def make_core(config: MachineConfig, ram: Ram, events: EventBus, platform: "Platform") -> HartCore:
    """A hart of the fidelity that was asked for."""
    if config.fidelity == "exact":
        from emu.hart.exact.hart import ExactHart
        from emu.hart.exact.state import Choices

        return ExactHart(ram, events, platform, Choices(config.paging_modes, config.ad_update, config.probes))
    from emu.hart.fast.hart import FastHart

    return FastHart(ram, events, platform, probes=config.probes)
