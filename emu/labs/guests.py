"""Kernels to measure on: stopped where their own start-up has made a stack, before they use their allocators."""

from emu.errors import ConfigError
from emu.lateclass import dataclass, field
from emu.machine import Machine, MachineConfig, StopReason
from kernel.build import BuiltKernel, build, build_directory, profile_named

_PROFILE = "frame-tracker"
"""A profile whose kernel lies where it runs, so that its functions can be called before paging is on."""
_START = "profile_main"
_START_LIMIT = 10_000_000
_CALL_LIMIT = 4_000_000_000
"""A run of half of 4 GiB costs the segment tree more than a hundred million instructions."""


@dataclass(slots=True)
class Costs:
    """Instructions of each call of one function."""

    each: list[int] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Instructions a call; 0 when there was none."""
        return sum(self.each) / len(self.each) if self.each else 0.0

    @property
    def worst(self) -> int:
        """Instructions of the dearest call; 0 when there was none."""
        return max(self.each, default=0)


def kernel_with(frames: str, heap: str | None, profile: str = _PROFILE) -> BuiltKernel:
    """A kernel of that profile with these allocators, built when it is out of date; None for the profile's own heap."""
    directory = build_directory() / "lab" / f"{profile}-{frames}-{heap}"
    return build(profile_named(profile), directory, frames=frames, heap=heap)


def started(kernel: BuiltKernel, ram_size: int) -> Machine:
    """A machine of so many bytes of RAM on which that kernel has reached `profile_main`."""
    machine = Machine(MachineConfig(ram_size=ram_size))
    machine.load(kernel.elf)
    outcome = machine.run(_START_LIMIT, until=_START)
    if outcome.reason is not StopReason.REACHED:
        raise ConfigError(f"{kernel.elf} does not reach {_START}: {outcome.description}; does `ekernel run` boot?")
    return machine


def call(machine: Machine, costs: Costs, function: str, *args: int) -> int:
    """Call a function; its instructions are added to the costs. Returns its a0."""
    start = machine.instret
    result = machine.call(function, *args, max_instructions=_CALL_LIMIT)
    costs.each.append(machine.instret - start)
    return result
