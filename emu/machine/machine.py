"""The machine: hart, memory, devices, firmware and clock wired together, and the loop that runs them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypedDict, TypeVar

from emu.address import PAGE_SIZE, PhysAddr, VirtAddr
from emu.devices.device import Device
from emu.devices.power import PowerRequest
from emu.devices.uart import LSR, LSR_DATA_READY, RBR
from emu.engine import Stop, Store
from emu.errors import AddressError, ConfigError, GuestPanic, LimitExceeded
from emu.events import ConsoleOutput, Event, InterruptRaised, MachineReset, MmioAccess, StateRestored
from emu.firmware.image import Image
from emu.firmware.lines import SourceLines
from emu.firmware.names import Names, SymbolFile
from emu.firmware.symbols import Symbols
from emu.hart.core import PC, RETURN_ADDRESS, HartCore
from emu.hart.view import Hart
from emu.isa.privilege import Access, Privilege
from emu.isa.registers import A0, RA
from emu.isa.status import STIP
from emu.machine.boot import BootPlan, device_tree, plan
from emu.machine.config import BUILT_IN, HOST_CLOCK, MachineConfig, Outcome, StopReason
from emu.machine.console import Console, Keyboard
from emu.machine.host_clock import HostClock
from emu.machine.reset import reset
from emu.machine.sbi import SbiServices
from emu.machine.semihosting import SemihostingServices
from emu.machine.snapshots import Snapshot, restore, take
from emu.machine.timers import NEVER, Clock, Comparator, InstructionClock
from emu.machine.watches import Watches
from emu.machine.wiring import Board
from emu.memory import PhysicalMemory, Ram
from emu.memory.baseline import RamHistory
from emu.subscriptions import EventBus, Listener, Subscription
from emu.walks import Walk

E = TypeVar("E", bound=Event)
_SLICE = 50_000_000
"""Instructions between two looks at what the host wants (an interrupt from the keyboard)."""
_ARGUMENT_REGISTERS = 8
_DONE, _LEAVE, _REFUSED = Store.DONE, Store.LEAVE, Store.REFUSED  # looking a member up in its Enum is slow
_RESET = StopReason.RESET, 0


class EventFields(TypedDict):
    """What every event carries."""

    instret: int
    pc: VirtAddr
    privilege: Privilege


class Machine:
    """A single-hart RV64GC machine with the memory map of QEMU's `virt`.

    >>> machine = Machine(MachineConfig(ram_size=16 << 20))
    >>> machine.load(Image.from_bytes(bytes.fromhex("9308800073000000"), "off.bin"))  # li a7, 8; ecall
    >>> machine.run()
    Outcome(reason=<StopReason.POWERED_OFF: 'powered off'>, exit_code=0, instructions=2)
    """

    def __init__(self, config: MachineConfig | None = None) -> None:
        """Raises ConfigError when the host cannot give what was asked for."""
        self.config = config = config or MachineConfig()
        self.events = EventBus()
        ram = Ram(config.ram_size)
        self.memory = PhysicalMemory(ram)
        self.ram_history = RamHistory(ram)
        self.clock: Clock = HostClock() if config.clock == HOST_CLOCK else InstructionClock()
        self.core: HartCore = self._make_core(ram)
        self.hart = Hart(self.core)
        self.memory.written = self.core.engine.forget_code
        self._watches = Watches(self.core)
        self._plan: BootPlan | None = None
        self._names = Names()
        self._ended: tuple[StopReason, int] | None = None
        self._attention = False
        self._is_asleep = False
        self._pc_offset = 0
        self.console_device = Console(self._console_written)
        self.keyboard = Keyboard()
        self.board = Board(self, config, self.console_device.write, self.keyboard.take)
        self.clint, self.uart, self.devices = self.board.clint, self.board.uart, self.board.devices
        self.uart.wanted = self._feed_uart
        self._bus = self.board.bus
        for device in self.devices:
            self.memory.add(device.name, device.base, device.size)
            self.core.add_device(device.base, device.size)
        for kind in (ConsoleOutput, InterruptRaised, MachineReset, StateRestored):
            self.events.add_source(kind, lambda: lambda: None)
        self.events.add_source(MmioAccess, self._report_accesses)
        self.sbi = SbiServices(self, self.core, self.console_device)
        self.semihosting = SemihostingServices.wanted_by(self, self.core, self.console_device, config.semihosting)
        self._supervisor_timer = Comparator(lambda: self.clint.mtime, partial(self.set_line, STIP))
        self.clock.add(partial(self._deadline, self._supervisor_timer), self._supervisor_timer.update)
        self._resets = config.reboot
        self._power_on = self.core.save()

    # Loading.

    def load(self, image: Image | str | Path | None = None, *, initrd: str | Path | None = None) -> None:
        """Put firmware, kernel, initial RAM disk and device tree into memory and the hart at its entry.

        With the built-in firmware `image` is entered in S mode with a0 = hart id and a1 = device tree, else in M mode
        the firmware's file, or `image` where there is none. Raises ImageError for a file that cannot be loaded,
        ConfigError when memory is too small; nothing is loaded then.
        """
        if self._plan is not None:
            raise ConfigError("this machine has an image already; make another machine for another image")
        self._plan = ready = plan(self.config, self.memory.ram, self.devices, image, initrd)
        self._boot(again=False)
        self._names.add(ready.image)
        if self.semihosting:
            self.semihosting.loaded(ready.command_line, ready.free)

    def add_symbols(self, path: str | Path) -> None:
        """Know the names in one more file, that is not loaded: an ELF, or a listing of `nm` or Linux's System.map.

        For a Linux `Image` that is its `vmlinux`, for firmware its ELF, for a process its program. Raises ImageError
        for a file that names nothing.
        """
        self._names.add(SymbolFile.open(path))

    def reset(self) -> None:
        """Press the reset button: the hart starts again at its entry, with `instret` counted on.

        As on QEMU, what was loaded is loaded again, devices forget their registers and `mtime` begins at 0, while all
        other RAM, disks and the console keep what they have. Raises ConfigError while the guest executes.
        """
        reset(self, self._power_on)
        self._boot(again=True)
        self._is_asleep = False
        if self.events.wants(MachineReset):
            self.events.emit(MachineReset(**self.event_fields()))
        self._state_restored()

    def _boot(self, *, again: bool) -> None:
        if self._plan is not None:
            self._plan.place(self.memory, again=again)
            self._plan.enter(self.hart)

    @property
    def device_tree(self) -> bytes:
        """The blob that the guest gets."""
        return self._plan.tree if self._plan else device_tree(self.config, self.memory.ram, self.devices)

    @property
    def image(self) -> Image | None:
        """What was loaded."""
        return self._plan.image if self._plan else None

    @property
    def symbols(self) -> Symbols:
        """The symbols of the loaded image and of the files added to it; none before `load`."""
        return self._names.symbols

    @property
    def lines(self) -> SourceLines:
        """The source lines of the same files."""
        return self._names.lines

    # Running.

    def run(self, max_instructions: int | None = None, until: int | str | None = None) -> Outcome:
        """Execute until the guest ends, `max_instructions` more have retired, or pc is `until` (address or symbol).

        An address that the hart stands at already is left first. Raises MachineError for what no hart survives, and
        whatever a listener raises; the machine can be run on after both.
        """
        if max_instructions is not None and max_instructions < 0:
            raise ConfigError(f"{max_instructions} instructions cannot be executed: give 0 or more")
        limit = NEVER if max_instructions is None else self.instret + max_instructions
        self._ended = None
        if until is None:
            return self._run_to(limit)
        address, start = self.address_of(until), self.instret
        with self.watch(address, lambda: self._reached(start)):
            return self._run_to(limit)

    def step(self, instructions: int = 1) -> Outcome:
        """Execute exactly so many instructions; traps happen on the way and count none."""
        return self.run(instructions)

    def call(self, function: int | str, *args: int, max_instructions: int = 100_000_000) -> int:
        """Call a guest function in the current privilege and address space, and return its a0, unsigned.

        Registers are as before afterwards; memory is as the function left it. Raises GuestPanic when the guest ends
        instead of returning, LimitExceeded after `max_instructions`.
        """
        if len(args) > _ARGUMENT_REGISTERS:
            raise ConfigError(
                f"{len(args)} arguments: the calling convention passes {_ARGUMENT_REGISTERS} in registers"
            )
        address = self.address_of(function)
        saved = self.core.save_registers()
        self.core.returned = self._resets = False
        try:
            for number, value in enumerate(args):
                self.hart.x[A0 + number] = value
            self.hart.x[RA] = RETURN_ADDRESS
            self.hart.pc = VirtAddr(address)
            outcome = self.run(max_instructions)
            result = self.hart.x[A0]
        finally:
            returned, self.core.returned = self.core.returned, False
            self._resets = self.config.reboot
            if returned:
                self._watches.notify(RETURN_ADDRESS)
            self.core.restore_registers(saved)
            if not returned:
                self._state_restored()
        if returned:
            return result
        name = function if isinstance(function, str) else f"{address:#x}"
        if outcome.reason is StopReason.INSTRUCTION_LIMIT:
            raise LimitExceeded(f"{name} has not returned after {max_instructions:,} instructions")
        tail = self.console[-200:].decode(errors="replace").strip()
        raise GuestPanic(f"{name} did not return: {outcome.description}; the console ends with: {tail!r}")

    def _run_to(self, limit: int) -> Outcome:
        core = self.core
        if self._is_asleep:
            self.waiting()
            if self._ended is not None:
                return Outcome(*self._ended, core.retired_count)
        while True:
            self.clock.update()
            self._watches.settle()
            self.core.tables.settle()
            self._tell_time()
            stop = core.run(min(limit, core.retired_count + _SLICE, self.clock.look_at(self.instret)))
            if stop is Stop.WAITING:
                self.waiting()
            if core.returned:
                self._ended = StopReason.REACHED, 0
            elif self._ended is None and core.retired_count >= limit:
                self._ended = StopReason.INSTRUCTION_LIMIT, 0
            if self._ended == _RESET and self._resets:
                self._ended = None
                self.reset()
            elif self._ended is not None:
                return Outcome(*self._ended, core.retired_count)

    def _reached(self, start: int) -> None:
        if self.instret != start:
            self._end(StopReason.REACHED)

    def _end(self, reason: StopReason, exit_code: int = 0) -> None:
        self._ended = reason, exit_code
        if self.core.engine.running:
            self.core.engine.request_stop()

    # Looking.

    @property
    def instret(self) -> int:
        """Instructions retired since power-on, exact at every moment."""
        return self.core.retired_count

    @property
    def time(self) -> int:
        """`mtime`: ticks of 10 MHz, one for 10 instructions (clock `instructions`)."""
        return self.clint.mtime

    @property
    def console(self) -> bytes:
        """Everything that the guest has written to its console."""
        return self.console_device.output

    def type_text(self, data: bytes) -> None:
        """Type on the guest's console; it gets a byte each time it asks the UART or the SBI for one.

        A guest that has written to the virtio console gets it there instead.
        """
        self.keyboard.type(data)
        self.offer_input()

    @property
    def waits_for_input(self) -> bool:
        """Whether typing would interrupt the guest."""
        console = self.board.virtio_console
        return console.is_waiting if console and console.in_use else self.uart.is_waiting

    def offer_input(self) -> None:
        """Give a guest that waits for the console's interrupt what was typed meanwhile."""
        console = self.board.virtio_console
        if console and console.in_use:
            console.receive()
        elif self.uart.is_waiting:
            self._feed_uart()

    def address_of(self, place: int | str) -> int:
        """A virtual address given as a number or by symbol; raises SymbolError for an unknown name."""
        return int(self.symbols.lookup(place).address) if isinstance(place, str) else int(place)

    def walk(self, address: int, access: Access = Access.LOAD, privilege: Privilege | None = None) -> Walk:
        """The page walk that an access would make now, in the current privilege unless told; changes nothing."""
        return self.core.walk(address, access, privilege)

    def read_virtual(self, address: int, length: int) -> bytes:
        """Bytes of the current address space; raises AddressError where the kernel has mapped nothing.

        Permissions don't matter: what S mode has mapped for U mode is read too.
        """
        data = self.peek(address, length)
        if data is None:
            walk = self.core.look_up(address)
            why = f": the PTE {walk.refusal.value}" if walk.refusal else ""
            raise AddressError(f"{length} bytes at {VirtAddr(address)} cannot be read in this address space{why}")
        return data

    def peek(self, address: int, length: int) -> bytes | None:
        """As `read_virtual`, but None where nothing is mapped."""
        data = bytearray()
        while len(data) < length:
            at = (int(address) + len(data)) & (1 << 64) - 1
            part = min(length - len(data), PAGE_SIZE - (at & (PAGE_SIZE - 1)))
            physical = self.core.look_up(at).physical
            if physical is None or not self.memory.contains(physical, part):
                return None
            data += self.memory.view(physical, part)
        return bytes(data)

    # Listening.

    def on(self, kind: type[E], listener: Listener[E]) -> Subscription:
        """Call `listener` with each event of exactly this kind; cancel the subscription to stop."""
        return self.events.on(kind, listener)

    def watch(self, address: int | str, callback: Callable[[], None]) -> Subscription:
        """Call back just before the instruction at a virtual address (or symbol) executes."""
        return self._watches.add(self.address_of(address), callback)

    def snapshot(self) -> Snapshot:
        """Everything that the guest can observe, to return to with `restore`."""
        return take(self)

    def restore(self, snapshot: Snapshot) -> None:
        """Return to a snapshot of this machine."""
        restore(self, snapshot)
        self._is_asleep = False
        self._state_restored()

    def save_timer(self) -> tuple[int, bool]:
        """The state of the comparator behind `stimecmp`, for a snapshot."""
        return self._supervisor_timer.save()

    def restore_timer(self, state: tuple[int, bool]) -> None:
        """Return to a saved comparator."""
        self._supervisor_timer.restore(state)

    # What hart and devices ask for.

    def time_at(self, instret: int) -> int:
        """`mtime` when so many instructions have retired."""
        return (self.clock.time_at(instret) + self.clint.offset) & NEVER

    def cycles_at(self, instret: int) -> int:
        """What `cycle` counts."""
        return self.clock.cycles_at(instret)

    def ticks(self) -> int:
        """Ticks of 10 MHz since power-on, whatever the guest wrote to `mtime`."""
        return self.clock.time_at(self.instret)

    def typed_byte(self) -> int:
        """What the SBI's `console_getchar` finds: the UART's next byte, as all firmware reads that, or -1."""
        if self.uart.read(LSR, 1) & LSR_DATA_READY:
            return self.uart.read(RBR, 1)
        return self.keyboard.take()

    def supervisor_call(self) -> bool:
        """`ecall` from S mode: answered here when the firmware is built in."""
        if self.config.firmware != BUILT_IN:
            return False
        self._pc_offset = 4
        try:
            self.sbi.answer()
        finally:
            self._pc_offset = 0
        return True

    def breakpoint(self) -> bool:
        """`ebreak`: answered here when it asks the host for something that the guest may ask for."""
        if self.semihosting is None or not self.semihosting.is_call():
            return False
        self.semihosting.answer()
        return True

    def waiting(self) -> None:
        """`wfi`: pass the time until an interrupt is pending, or stop the machine."""
        self._is_asleep = False
        while not self.core.interrupt_is_pending():
            time = self.clock.next_deadline
            if time is None:
                self._end(StopReason.IDLE_FOREVER)
                return
            if not self.clock.wait_until(time, instret=self.instret):
                self._is_asleep = True
                self._end(StopReason.ASLEEP)
                return
            self.clock.update()
        self._tell_time()
        self.timers_changed()

    def wait_for_typing(self) -> None:
        """The guest reads what was not typed yet: it asks again when the machine goes on."""
        self._end(StopReason.WANTS_INPUT)

    def timer_written(self) -> None:
        """`stimecmp` or its enable changed."""
        self._supervisor_timer.set(self.core.supervisor_timecmp())
        self.timers_changed()

    def timebase_changed(self) -> None:
        """The guest wrote `mtimecmp` or `mtime`; whatever compares with `mtime` follows."""
        self._supervisor_timer.update()
        self._tell_time()
        self.timers_changed()

    def _tell_time(self) -> None:
        """What the core reads as `time` without asking."""
        self.core.engine.serve_time(self.clock.instructions_per_tick, self.clock.slept, self.clint.offset)

    def timers_changed(self) -> None:
        """Some deadline changed: stop in time for it."""
        if self.core.engine.running:
            self.core.engine.not_later_than(self.clock.look_at(self.instret))

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

    def locate(self, address: int) -> str:
        """An address with symbol and offset where the image has them."""
        found = self.symbols.at(address)
        if found is None:
            return f"{address:#x}"
        symbol, offset = found
        return f"{address:#x} ({symbol.label}+{offset:#x})" if offset else f"{address:#x} ({symbol.label})"

    def power_off(self, request: PowerRequest, exit_code: int) -> None:
        """The guest ends the machine, or asks for a reset."""
        self._attention = True
        if request is PowerRequest.SHUTDOWN:
            self._end(StopReason.POWERED_OFF, exit_code)
        else:
            self._end(StopReason.RESET)

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

    def event_fields(self) -> EventFields:
        """When, where and at which privilege the hart is now."""
        pc = VirtAddr(self.core.words[PC] - self._pc_offset)
        return EventFields(instret=self.instret, pc=pc, privilege=self.core.privilege)

    # Wiring.

    def _make_core(self, ram: Ram) -> HartCore:
        config = self.config  # each start needs one fidelity only, and pays for its import only
        if config.fidelity == "exact":
            from emu.hart.exact import ExactHart

            return ExactHart(
                ram, self.events, self, modes=config.paging_modes, ad_update=config.ad_update, probes=config.probes
            )
        from emu.hart.fast import FastHart

        return FastHart(ram, self.events, self, probes=config.probes)

    def _deadline(self, timer: Comparator) -> int | None:
        remaining = timer.remaining
        return None if remaining is None else self.ticks() + remaining

    def _feed_uart(self) -> None:
        console = self.board.virtio_console
        byte = -1 if console and console.in_use else self.keyboard.take()
        if byte >= 0:
            self.uart.receive((byte,))

    def _state_restored(self) -> None:
        if self.events.wants(StateRestored):
            self.events.emit(StateRestored(**self.event_fields()))

    def _console_written(self, data: bytes) -> None:
        if self.events.wants(ConsoleOutput):
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

        self._bus.report = report
        return stop
