"""The board: each device of QEMU's `virt` at its address, its interrupt line at the PLIC, its deadline at the clock."""

from collections.abc import Callable
from functools import partial

from emu.devices.clint import Clint
from emu.devices.device import InterruptLine
from emu.devices.finisher import Finisher
from emu.devices.plic import Plic
from emu.devices.power import PowerRequest
from emu.devices.rtc import GoldfishRtc
from emu.devices.uart import Uart
from emu.devices.virtio.mmio import SLOTS, VirtioMmio
from emu.errors import ConfigError
from emu.hints import TYPE_CHECKING, Protocol
from emu.isa.status import MEIP, MSIP, MTIP, SEIP
from emu.machine.bus import DeviceBus, MachineDevice
from emu.machine.config import MachineConfig
from emu.machine.timers import NANOSECONDS_PER_TICK, Clock
from emu.memory import PhysicalMemory

if TYPE_CHECKING:
    from emu.devices.virtio.console import Console as VirtioConsole
    from emu.devices.virtio.function import Function

UART_INTERRUPT, RTC_INTERRUPT = 10, 11


class Host(Protocol):
    """What the devices need of the machine."""

    memory: PhysicalMemory
    clock: Clock

    def ticks(self) -> int:
        """Ticks of 10 MHz since power-on."""

    def set_line(self, bit: int, level: bool) -> None:
        """Set a line into `mip`."""

    def power_off(self, request: PowerRequest, exit_code: int) -> None:
        """End or restart the machine."""

    def timebase_changed(self) -> None:
        """The guest has written `mtimecmp` or `mtime`."""

    def timers_changed(self) -> None:
        """A deadline changed."""


class Board:
    """The devices of a machine, wired."""

    def __init__(
        self, host: Host, config: MachineConfig, console: Callable[[bytes], None], typed: Callable[[], int]
    ) -> None:
        """Raises ImageError for a disk that cannot be used, ConfigError for more devices than there are slots."""

        def line(bit: int) -> InterruptLine:
            return lambda level: host.set_line(bit, level)

        self.clint = Clint(host.ticks, software=line(MSIP), timer=line(MTIP), changed=host.timebase_changed)
        self.plic = Plic(machine=line(MEIP), supervisor=line(SEIP))
        self.uart = Uart(console, self.plic.line(UART_INTERRUPT), irq_number=UART_INTERRUPT)
        self.rtc = GoldfishRtc(
            lambda: host.clock.power_on + host.ticks() * NANOSECONDS_PER_TICK,
            self.plic.line(RTC_INTERRUPT),
            changed=host.timers_changed,
            irq_number=RTC_INTERRUPT,
        )
        self.finisher = Finisher(host.power_off)
        self.virtio_console = _console(console, typed) if config.virtio_console else None
        functions, ticks, changed = _functions(config, self.virtio_console), host.ticks, host.timers_changed
        self.slots = tuple(
            VirtioMmio(
                slot,
                host.memory,
                self.plic.line(slot + 1),
                functions.get(slot),
                legacy=config.virtio_version == 1,
                now=ticks,
                changed=changed,
            )
            for slot in range(SLOTS)
        )
        self.devices: tuple[MachineDevice, ...] = (
            self.clint,
            self.uart,
            self.rtc,
            self.finisher,
            *self.slots,
            self.plic,  # last: restoring a device asks for its interrupt once more, and the PLIC's state has the say
        )
        self.bus = DeviceBus(self.devices)
        self._power_on = host.clock.power_on
        host.clock.add(lambda: self.clint.next_deadline, self.clint.update)
        host.clock.add(self._alarm, self._update_alarm)
        for slot in self.slots:
            if slot.is_used:
                host.clock.add(partial(_deadline_of, slot), slot.update)

    def close(self) -> None:
        """Give back what the host lent: disks, and their locks."""
        for slot in self.slots:
            slot.close()

    def _alarm(self) -> int | None:
        """The tick at which the alarm has gone off."""
        deadline = self.rtc.next_deadline
        return None if deadline is None else -(-(deadline - self._power_on) // NANOSECONDS_PER_TICK)

    def _update_alarm(self) -> None:
        if self.rtc.next_deadline is not None:  # else its line would ask the PLIC again
            self.rtc.update()


def _deadline_of(slot: VirtioMmio) -> int | None:
    return slot.next_deadline


def _console(shown: Callable[[bytes], None], typed: Callable[[], int]) -> "VirtioConsole":
    from emu.devices.virtio.console import Console as VirtioConsole

    return VirtioConsole(shown, typed)


def _functions(config: MachineConfig, console: "VirtioConsole | None") -> "dict[int, Function]":
    """What is behind each slot: devices where they want to be, the others in the first slots that are free."""
    wanted: list[tuple[int | None, str, Function]] = []
    if config.drives:
        from emu.devices.virtio.block import Block
        from emu.devices.virtio.disk import open_disk
    for drive in config.drives:
        disk = open_disk(drive.path, read_only=drive.read_only, snapshot=drive.snapshot)
        wanted.append((drive.slot, f"disk {drive.path}", Block(disk, serial=drive.serial)))
    if config.entropy:
        from emu.devices.virtio.entropy import Entropy

        wanted.append((config.entropy_slot, "the entropy device", Entropy()))
    if console is not None:
        wanted.append((config.virtio_console_slot, "the console", console))
    functions: dict[int, Function] = {}
    for slot, name, function in wanted:
        if slot is None:
            continue
        if slot in functions or not 0 <= slot < SLOTS:
            raise ConfigError(f"virtio slot {slot} for {name}: it is taken or not 0 to {SLOTS - 1}")
        functions[slot] = function
    others = [function for slot, _, function in wanted if slot is None]
    free = [slot for slot in range(SLOTS) if slot not in functions]
    if len(others) > len(free):
        raise ConfigError(f"{len(wanted)} virtio devices: the machine has {SLOTS} slots")
    functions.update(zip(free, others, strict=False))
    return functions
