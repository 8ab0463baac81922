"""Snapshots of a whole machine: RAM, hart, devices, clock and console."""

from collections.abc import Sequence

from emu.errors import ConfigError
from emu.hart.words import COUNT
from emu.hints import TYPE_CHECKING, FilePath, Protocol
from emu.lateclass import dataclass
from emu.machine.boot import BootPlan
from emu.machine.console import ConsoleState
from emu.machine.platform import Platform
from emu.machine.upward import snapshot_files
from emu.memory.baseline import RamState

if TYPE_CHECKING:
    from emu.machine.semihosting import State as SemihostingState


class Follower(Protocol):
    """Something outside the machine whose state belongs to a moment of the guest: an account of its memory, say."""

    def save(self) -> object:
        """Its state, never changed afterwards."""

    def restore(self, state: object | None) -> None:
        """Return to a saved state; None when the snapshot was taken before this follower came."""


@dataclass(frozen=True, slots=True, repr=False)
class Snapshot:
    """The state of a machine at one moment. It belongs to the machine that made it."""

    platform: Platform
    instret: int
    """Instructions retired when it was taken."""
    traps: int
    """Traps entered until then."""
    ram: RamState
    hart: object
    devices: tuple[object, ...]
    clock: int
    timer: tuple[int, bool]
    console: ConsoleState
    keyboard: tuple[int, ...]
    semihosting: "SemihostingState | None"
    is_asleep: bool
    """Whether the hart waits in `wfi`."""
    followers: tuple[tuple[Follower, object], ...]
    plan: BootPlan | None = None
    """What was loaded."""

    def __repr__(self) -> str:
        return f"<Snapshot at {self.instret:,} instructions>"

    def save(self, path: FilePath) -> None:
        """Write it to a file, compressed, that `Machine.open` and `Snapshot.load` read, also on another computer.

        The accounts of observers are not in it, nor what disks have in their own files. Raises ConfigError when the
        file cannot be written, or the guest holds files of the host.
        """
        snapshot_files().save(self, path)

    @staticmethod
    def load(path: FilePath, machine: object) -> "Snapshot":
        """A saved snapshot for a machine of the same configuration, to restore as often as wanted.

        Raises ConfigError when the machine is another, RecordingError when the file cannot be read.
        """
        snapshot: Snapshot = snapshot_files().load(path, machine)
        return snapshot


def take(
    platform: Platform, followers: Sequence[Follower], plan: BootPlan | None = None, *, at_power_on: bool = False
) -> Snapshot:
    """The state of a machine and of what follows it; it must not be running. At power-on its RAM is empty."""
    _check_stopped(platform)
    return Snapshot(
        platform=platform,
        instret=platform.core.retired_count,
        traps=platform.core.traps_taken,
        ram=platform.ram_history.take_empty() if at_power_on else platform.ram_history.take(),
        hart=platform.core.save(),
        devices=tuple(device.save() for device in platform.devices),
        clock=platform.clock.save(),
        timer=platform.supervisor_timer.save(),
        console=platform.console.save(),
        keyboard=platform.keyboard.save(),
        semihosting=platform.semihosting.save() if platform.semihosting else None,
        is_asleep=platform.is_asleep,
        followers=tuple((follower, follower.save()) for follower in followers),
        plan=plan,
    )


def restore(platform: Platform, followers: Sequence[Follower], snapshot: Snapshot) -> None:
    """Return to a snapshot that the same machine made."""
    _check_stopped(platform)
    if snapshot.platform is not platform:
        raise ConfigError("this snapshot belongs to another machine; a snapshot returns only the machine that made it")
    platform.look_again = 0
    core = platform.core
    core.engine.flush_features()  # what they hold belongs to the time before
    changed_code = platform.ram_history.restore(snapshot.ram, core.engine.pages.numbers)
    platform.clock.restore(snapshot.clock)
    core.traps_taken = snapshot.traps
    core.slots[COUNT] = snapshot.instret  # before the devices, which look at the time
    for device, state in zip(platform.devices, snapshot.devices, strict=True):
        device.restore(state)
    platform.supervisor_timer.restore(snapshot.timer)  # behind the CLINT, which has it look at the time
    core.restore(snapshot.hart, forget_code=changed_code)
    platform.console.restore(snapshot.console)
    platform.keyboard.restore(snapshot.keyboard)
    if platform.semihosting and snapshot.semihosting:
        platform.semihosting.restore(snapshot.semihosting)
    saved = {id(follower): state for follower, state in snapshot.followers}
    for follower in followers:
        follower.restore(saved.get(id(follower)))
    platform.is_asleep = snapshot.is_asleep


def _check_stopped(platform: Platform) -> None:
    if platform.core.engine.running:
        raise ConfigError("a snapshot is taken or restored between runs, not while the guest executes")
