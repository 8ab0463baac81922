"""The platform: memory, devices, clock and firmware around one hart, and what hart and devices ask of them."""

import time
from collections.abc import Callable
from functools import partial

from emu.address import PhysAddr, VirtAddr
from emu.devices.device import Device
from emu.devices.power import PowerRequest
from emu.devices.uart_registers import LSR, THR
from emu.engine import Store
from emu.errors import ConfigError
from emu.events import ConsoleOutput, InterruptRaised, MachineReset, MmioAccess, StateRestored
from emu.firmware.names import Names
from emu.hart.words import PC
from emu.hints import TYPE_CHECKING, TypedDict
from emu.isa.privilege import Privilege
from emu.isa.status import STIP
from emu.machine.config import BUILT_IN, MachineConfig, Semihosting, StopReason
from emu.machine.console import Console, Keyboard
from emu.machine.history.inputs import Inputs
from emu.machine.history.moment import Moment
from emu.machine.parts import make_clock, make_core, make_ram
from emu.machine.sbi import SbiServices
from emu.machine.timers import NEVER, Comparator
from emu.machine.typed import TypedInput
from emu.machine.wiring import Board
from emu.memory import PhysicalMemory
from emu.memory.baseline import RamHistory
from emu.subscriptions import EventBus

if TYPE_CHECKING:
    from emu.machine.semihosting import SemihostingServices

_DONE, _LEAVE, _REFUSED = Store.DONE, Store.LEAVE, Store.REFUSED  # looking a member up in its Enum is slow


class EventFields(TypedDict):
    """What every event carries."""

    instret: int
    pc: VirtAddr
    privilege: Privilege


class Platform:
    """The parts of a machine, wired; see `emu.hart.platform.Platform` for what the hart asks.

    Nothing in here knows the `Machine` that users hold.
    """

    def __init__(self, config: MachineConfig) -> None:
        """Raises ConfigError when the host cannot give what was asked for."""
        self.config = config
        self.events = EventBus()
        ram = make_ram(config.ram_size)
        self.memory, self.ram_history = PhysicalMemory(ram), RamHistory(ram)
        self.names = Names()
        self.clock = make_clock(config)
        self.ended: tuple[StopReason, int] | None = None
        """Why the run is to end, with the guest's exit code."""
        self.is_asleep = False
        """Whether the hart waits in `wfi`, and nothing has woken it."""
        self.deadline: float | None = None
        """When the run is to end, by the host's monotonic clock."""
        self.look_again = 0
        """The `instret` up to which no timer has to be looked at, and `time` is what the core takes it for."""
        self._attention, self._pc_offset = False, 0
        self.console = Console(self._console_written, kept=config.console_kept)
        self.inputs = Inputs(lambda: self.moment, self._is_executing)
        """All that came from outside."""
        self.memory.noted = partial(self.inputs.note, "memory")
        self.keyboard = Keyboard(self.inputs.note, lambda: self.inputs.is_present)
        self.board = Board(self, config, self.console.write, self.keyboard.take)
        self.devices, self._clint, self._bus = self.board.devices, self.board.clint, self.board.bus
        self.typed = TypedInput(self.keyboard, self.board.uart, self.board.virtio_console)
        self.memory.announce(self.devices)
        self.device_ranges = self._bus.ranges
        self.core = make_core(config, ram, self.events, self)
        self.memory.written = self.core.engine.forget_code
        for kind in (InterruptRaised, MachineReset, StateRestored):
            self.events.add_source(kind, lambda: lambda: None)
        self.events.add_source(MmioAccess, self._report_accesses)
        self.echo: Callable[[bytes], None] | None = None
        """Given what the guest writes to its console, as it does, but not told when."""
        self._is_heard = False
        """Whether anybody listens to the console."""
        self.events.add_source(ConsoleOutput, self._hear)
        self._choose_quick()
        self._sbi = SbiServices(self, self.core, self.console)
        self.semihosting = None if config.semihosting is None else self._serve_semihosting(config.semihosting)
        self.supervisor_timer = Comparator(lambda: self._clint.mtime, partial(self.set_line, STIP))
        """What `stimecmp` compares with `mtime`."""
        self.clock.add(partial(self._deadline, self.supervisor_timer), self.supervisor_timer.update)

    def close(self) -> None:
        """Give back what the host has lent: engine, memory, disks and their locks."""
        if self.core.engine.running:
            raise ConfigError("a machine is closed between runs, not while its guest executes")
        self.board.close()
        self.events.close()
        self.core.close()
        vars(self.typed).clear()  # parts that know each other live until Python looks for cycles, which can take long
        vars(self).clear()

    @property
    def moment(self) -> Moment:
        """Where the machine is in time."""
        return Moment(self.core.retired_count, self.core.traps_taken)

    def _is_executing(self) -> bool:
        return self.core.engine.running and not self.core.is_between

    # Ending a run.

    def begin(self, deadline: float | None = None) -> None:
        """A run begins that nothing has ended yet; `deadline` is a time of the host's monotonic clock."""
        self.ended, self.deadline = None, deadline
        self.events.keeps_errors = self._stop_soon
        self.events.signals.came = self._stop_after_block

    def leave(self) -> None:
        """The run has ended."""
        self.events.keeps_errors = self.events.error = None

    @property
    def time_is_up(self) -> bool:
        """Whether the run's time has passed."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _stop_after_block(self) -> None:
        if self.core.engine.running:
            self.core.engine.stop_after_block()

    def _stop_soon(self) -> None:
        """A listener has raised: leave the hart as soon as what it is told of has happened as a whole."""
        self._attention = True
        engine = self.core.engine
        if engine.in_memory_hook:
            engine.stop_after_block()
        elif engine.running:
            engine.request_stop()

    def end(self, reason: StopReason, exit_code: int = 0) -> None:
        """End the run as soon as the hart can be left."""
        self.ended = reason, exit_code
        if self.core.engine.running:
            self.core.engine.request_stop()

    def power_off(self, request: PowerRequest, exit_code: int) -> None:
        """The guest ends the machine, or asks for a reset."""
        self._attention = True
        if request is PowerRequest.SHUTDOWN:
            self.end(StopReason.POWERED_OFF, exit_code)
        else:
            self.end(StopReason.RESET)

    def wait_for_typing(self) -> None:
        """The guest reads what was not typed yet: it asks again when the machine goes on."""
        self.end(StopReason.WANTS_INPUT)

    # Time.

    def time_at(self, instret: int) -> int:
        """`mtime` when so many instructions have retired."""
        return (self.clock.time_at(instret) + self._clint.offset) & NEVER

    def cycles_at(self, instret: int) -> int:
        """What `cycle` counts."""
        return self.clock.cycles_at(instret)

    def ticks(self) -> int:
        """Ticks of 10 MHz since power-on, whatever the guest wrote to `mtime`."""
        return self.clock.time_at(self.core.retired_count)

    def timer_written(self) -> None:
        """`stimecmp` or its enable changed."""
        self.supervisor_timer.set(self.core.supervisor_timecmp())
        self.timers_changed()

    def timebase_changed(self) -> None:
        """The guest wrote `mtimecmp` or `mtime`; whatever compares with `mtime` follows."""
        self.supervisor_timer.update()
        self.tell_time()
        self.timers_changed()

    def look_at_timers(self) -> int:
        """Let every timer look at the time, and the core know it; the `instret` at which they look again."""
        clock = self.clock
        clock.update()
        self.tell_time()
        again = clock.look_at(self.core.retired_count)
        self.look_again = again if clock.instructions_per_tick else 0
        return again

    def timers_changed(self) -> None:
        """Some deadline changed: stop in time for it."""
        self.look_again = 0
        if self.core.engine.running:
            self.core.engine.not_later_than(self.clock.look_at(self.core.retired_count))

    def tell_time(self) -> None:
        """Give the core what it reads as `time` without asking."""
        self.core.engine.serve_time(self.clock.instructions_per_tick, self.clock.slept, self._clint.offset)

    def waiting(self) -> None:
        """`wfi`: pass the time until an interrupt is pending, or stop the machine, which asks again when it goes on."""
        self.is_asleep = True
        while not self.core.interrupt_is_pending():
            tick = self.clock.next_deadline
            if tick is None:
                self.end(StopReason.IDLE_FOREVER)
                return
            if self.time_is_up:
                self.end(StopReason.TIMED_OUT)
                return
            if self.events.signals.are_waiting:
                self._stop_soon()
                return
            if not self._wait_until(tick):
                self.end(StopReason.ASLEEP)
                return
            self.clock.update()
        self.is_asleep = False
        self.tell_time()
        self.timers_changed()

    def _wait_until(self, tick: int) -> bool:
        """Let the time pass, or some of it; a signal's handler may raise here, as the hart is still asleep then."""
        self.core.engine.show_sent()
        signals = self.events.signals
        longest = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        try:
            signals.is_open = True
            if signals.are_waiting:  # one has come since this was asked last: it would be slept over
                return True
            return self.clock.wait_until(tick, instret=self.core.retired_count, longest=longest)
        finally:
            signals.is_open = False

    def _deadline(self, timer: Comparator) -> int | None:
        remaining = timer.remaining
        return None if remaining is None else self.ticks() + remaining

    # Devices and their lines.

    def device_read(self, address: int, size: int) -> int | None:
        """A load from a device; None refuses it: devices take aligned accesses only."""
        self._attention = False
        value = self._bus.read(address, size)
        if self._attention and value is not None:
            self.core.load_raised(value)
        return value

    def device_write(self, address: int, size: int, value: int) -> Store:
        """A store to a device."""
        self._attention = False
        if not self._bus.write(address, size, value):
            return _REFUSED
        return _LEAVE if self._attention else _DONE

    def set_line(self, bit: int, level: bool) -> None:
        """A device sets the level of its line into `mip`."""
        was = self.core.lines & bit
        if bool(was) == level:
            return
        self.core.set_line(bit, level)
        if level:
            self._attention = True
            if self.events.wants(InterruptRaised):
                self.events.emit(InterruptRaised(cause=bit.bit_length() - 1, **self.event_fields()))

    # Firmware.

    def supervisor_call(self) -> bool:
        """`ecall` from S mode: answered here when the firmware is built in."""
        if self.config.firmware != BUILT_IN:
            return False
        self._pc_offset = 4
        try:
            self._sbi.answer()
        finally:
            self._pc_offset = 0
        return True

    def breakpoint(self) -> bool:
        """`ebreak`: answered here when it asks the host for something that the guest may ask for."""
        if self.semihosting is None or not self.semihosting.is_call():
            return False
        self.semihosting.answer()
        return True

    def offer_input(self) -> None:
        """Give a guest that waits for the console's interrupt what was typed, unless the future is known."""
        if self.inputs.is_present:
            given = self.keyboard.given
            self.typed.offer()
            if self.keyboard.given != given:
                self.inputs.note("offered")

    def typed_byte(self) -> int:
        """The next byte that was typed, or -1."""
        return self.typed.take()

    # Events.

    def locate(self, address: int) -> str:
        """An address with symbol and offset where the image has them."""
        found = self.names.symbols.at(address)
        if found is None:
            return f"{address:#x}"
        symbol, offset = found
        return f"{address:#x} ({symbol.label}+{offset:#x})" if offset else f"{address:#x} ({symbol.label})"

    def event_fields(self) -> EventFields:
        """When, where and at which privilege the hart is now."""
        core = self.core
        pc = VirtAddr(core.words[PC] - self._pc_offset)
        return EventFields(instret=core.retired_count, pc=pc, privilege=core.privilege)

    def tell(self, kind: type[MachineReset | StateRestored]) -> None:
        """Tell who listens that the machine has been put to another state."""
        if self.events.wants(kind):
            self.events.emit(kind(**self.event_fields()))

    def tell_abandoned(self) -> None:
        """Tell who listens that the host has given up a call of its own."""
        if self.events.wants(StateRestored):
            self.events.emit(StateRestored(**self.event_fields(), abandoned=True))

    def _console_written(self, data: bytes) -> None:
        if self.echo is not None and not self.inputs.is_travelling:
            self.events.call(self.echo, data)
        if self.events.wants(ConsoleOutput) and not self.inputs.is_travelling:
            self.events.emit(ConsoleOutput(data=data, **self.event_fields()))

    def _report_accesses(self) -> Callable[[], None]:
        """Start telling who listens of device accesses; returns what ends it."""

        def report(device: Device, address: PhysAddr, size: int, value: int, write: bool) -> None:
            fields = self.event_fields()
            self.events.emit(
                MmioAccess(device=device.name, address=address, size=size, value=value, write=write, **fields)
            )

        def stop() -> None:
            self._bus.report = None
            self._choose_quick()

        self._bus.report = report
        self._choose_quick()
        return stop

    def _hear(self) -> Callable[[], None]:
        """Start telling who listens what the guest writes to its console; returns what ends it."""

        def stop() -> None:
            self._is_heard = False
            self._choose_quick()

        self._is_heard = True
        self._choose_quick()
        return stop

    def _choose_quick(self) -> None:
        """Have the two registers that a console asks for each byte answered natively, while nobody is told when."""
        port, uart = self.core.engine.port, self.board.uart
        if port is None:
            return
        if self._is_heard or self._bus.report is not None:
            port.close()
            uart.port = self.events.before = None
        elif uart.port is None:
            port.flush = self.console.before = self.events.before = uart.flush
            uart.port = port
            port.open(uart.base + THR, uart.base + LSR)

    def _serve_semihosting(self, wanted: Semihosting) -> "SemihostingServices":
        from emu.machine.semihosting import SemihostingServices

        return SemihostingServices(self, self.core, self.console, wanted)
