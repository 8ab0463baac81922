"""The machine that users hold: load, run, call, look, listen, snapshot."""

import os
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from types import TracebackType

from emu.errors import ConfigError
from emu.events import Event, MemoryAccessed, StateRestored
from emu.firmware.image import Image
from emu.firmware.names import SymbolFile
from emu.hart.view import Hart
from emu.hints import TYPE_CHECKING, Any, FilePath, Self, TypeVar
from emu.machine.addressing import Addressing
from emu.machine.boot import BootPlan, device_tree, plan
from emu.machine.config import MachineConfig, Outcome, StopReason
from emu.machine.history.travel import History
from emu.machine.history.travelling import Travelling
from emu.machine.htif import Htif
from emu.machine.platform import Platform
from emu.machine.poisoning import Poisoning
from emu.machine.running import Runner, Stepped, check_count
from emu.machine.snapshots import Follower, Snapshot, restore, take
from emu.machine.timers import NEVER
from emu.machine.upward import GuestFunction, declare_function, snapshot_files
from emu.machine.watches import Watches
from emu.machine.watchpoints import Watchpoints
from emu.subscriptions import Listener, Subscription

if TYPE_CHECKING:
    from emu.machine.calls import Caller

E = TypeVar("E", bound=Event)
_PARTS = {"platform", "memory", "events", "core", "hart", "config", "history", "_watches", "_watchpoints", "_runner"}
_PARTS |= {"_followers"}


class Machine(Addressing, Poisoning, Travelling):
    """A single-hart RV64GC machine with the memory map of QEMU's `virt`.

    >>> machine = Machine(MachineConfig(ram_size=16 << 20))
    >>> machine.load(Image.from_bytes(bytes.fromhex("9308800073000000"), "off.bin"))  # li a7, 8; ecall
    >>> machine.run()
    Outcome(reason=<StopReason.POWERED_OFF: 'powered off'>, exit_code=0, instructions=2)
    """

    def __init__(self, config: MachineConfig | None = None) -> None:
        """Raises ConfigError when the host cannot give what was asked for."""
        self.config = config or MachineConfig()
        self.platform = platform = Platform(self.config)
        """What the machine is made of: devices, clock, keyboard, and what the hart asks of them."""
        self.memory, self.events = platform.memory, platform.events
        self.core, self.hart = platform.core, Hart(platform.core, platform.inputs.note)
        self._watches, self._watchpoints = Watches(platform.core), Watchpoints(platform.core)
        self._runner = Runner(platform, self._watches, self._watchpoints)
        self._followers: list[Follower] = []
        self.history = History(platform, self._runner, self._followers)
        """All moments since power-on, to go to."""

    def close(self) -> None:
        """Give engine, memory, disks and their locks back to the host, as leaving a `with` block does.

        A machine that nobody holds is closed by itself. Nothing can be asked of it afterwards. Raises ConfigError while
        the guest executes.
        """
        if not self.is_closed:
            self.platform.close()
            self._watches.close()
            self._watchpoints.close()
            for part in (self._runner, self.history):  # they know each other
                vars(part).clear()
            vars(self).clear()

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return "platform" not in vars(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:  # at the end `sys` may be gone
        if not is_finalizing():
            self.close()

    def __repr__(self) -> str:
        """What it holds and where it stands, for people.

        >>> Machine(MachineConfig(ram_size=16 << 20))
        <Machine without a kernel: exact, at 0x0 in M mode, 0 instructions>
        """
        if self.is_closed:
            return "<Machine: closed>"
        image, off = self.image, self._runner.off
        name = os.path.basename(image.name) if image else "without a kernel"  # noqa: PTH119
        state = "executes" if self.core.engine.running else off[0].value if off else f"at {self.locate(self.hart.pc)}"
        mode = "" if off else f" in {self.hart.privilege.name} mode"
        return f"<Machine {name}: {self.config.fidelity}, {state}{mode}, {self.instret:,} instructions>"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            if name in _PARTS:
                raise ConfigError("this machine is closed; make another")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @cached_property
    def _caller(self) -> "Caller":
        """What calls functions of the guest, made with the first call."""
        from emu.machine.calls import Caller

        return Caller(self.platform, self._runner, self._watches)

    # Loading.

    def load(
        self,
        image: Image | FilePath | None = None,
        *,
        initrd: FilePath | None = None,
        files: Sequence[Image] = (),
    ) -> None:
        """Put firmware, kernel, initial RAM disk and device tree into memory and the hart at its entry.

        `files` are put there, too, and not entered (QEMU's `-device loader`).

        With the built-in firmware `image` is entered in S mode with a0 = hart id and a1 = device tree, else in M mode
        the firmware's file, or `image` where there is none. Raises ImageError for a file that cannot be loaded,
        ConfigError when memory is too small; nothing is loaded then.
        """
        if self._runner.plan is not None:
            raise ConfigError("this machine has an image already; make another machine for another image")
        platform = self.platform
        ready = plan(self.config, self.memory.ram, platform.devices, image, initrd, files)
        self._runner.load(ready)
        self._know(ready)

    def adopt(self, ready: BootPlan) -> None:
        """Know what lies in memory already: its names, what a reset loads again, how the guest asks the host."""
        self._runner.plan = ready
        if self.platform.semihosting:
            self.platform.semihosting.loaded(ready.command_line, ready.free)
        self._know(ready)

    def _know(self, ready: BootPlan) -> None:
        platform = self.platform
        platform.names.add(ready.image)
        self._runner.htif = Htif.wanted_by(platform, ready.image)
        if self._runner.htif is not None:
            self._followers.append(self._runner.htif)

    def add_symbols(self, path: FilePath) -> None:
        """Know the names in one more file, that is not loaded: an ELF, or a listing of `nm` or Linux's System.map.

        For a Linux `Image` that is its `vmlinux`, for firmware its ELF, for a process its program. Raises ImageError
        for a file that names nothing.
        """
        self.platform.names.add(SymbolFile.open(path))

    def reset(self) -> None:
        """Press the reset button: the hart starts again at its entry, with `instret` counted on.

        As on QEMU, what was loaded is loaded again, devices forget their registers and `mtime` begins at 0, while all
        other RAM, disks and the console keep what they have. Raises ConfigError while the guest executes.
        """
        with self.events.signals:
            self._runner.reset()

    def power_cycle(self) -> None:
        """Switch the machine off and on: nothing is in memory, nothing was executed, and any image can be loaded.

        It takes a fraction of the time of making a machine (see `MachinePool`). Listeners, watches and observers stay.
        Raises ConfigError for a machine that cannot go back in time (the host's clock), and while the guest executes.

        >>> machine = Machine(MachineConfig(ram_size=16 << 20))
        >>> for number in (1, 2):
        ...     machine.load(Image.from_bytes(bytes.fromhex("9308800073000000"), "off.bin"))
        ...     machine.run().instructions, machine.power_cycle()
        (2, None)
        (2, None)
        """
        self.restore(self.history.power_on)
        self._followers[:] = (follower for follower in self._followers if follower is not self._runner.htif)
        self._runner.forget()

    @property
    def is_followed(self) -> bool:
        """Whether anybody listens, watches or keeps an account, which is not over with a power cycle."""
        return any((self.events.are_any, self._watches.callbacks, self.core.engine.has_features, self._followers))

    @property
    def device_tree(self) -> bytes:
        """The blob that the guest gets."""
        ready = self._runner.plan
        return ready.tree if ready else device_tree(self.config, self.memory.ram, self.platform.devices)

    @property
    def image(self) -> Image | None:
        """What was loaded."""
        return self._runner.plan.image if self._runner.plan else None

    @property
    def free_memory(self) -> range:
        """The largest range of RAM, by physical address, that nothing was loaded into."""
        ready, ram = self._runner.plan, self.memory.ram
        return range(*ready.free) if ready else range(ram.base, ram.end)

    # Running.

    def run(
        self, max_instructions: int | None = None, until: int | str | None = None, *, timeout: float | None = None
    ) -> Outcome:
        """Execute until the guest ends, `max_instructions` more have retired, or pc is `until` (address or symbol).

        `timeout` is in seconds of the host. An address that the hart stands at already is left first. A guest that has
        powered off stays off: the same outcome comes again, until a reset, a snapshot or a new pc. Raises MachineError
        for what no hart survives, and whatever a listener or the handler of a signal raises (Ctrl-C:
        KeyboardInterrupt); run again, the machine goes on as if nothing had been.
        """
        check_count(max_instructions or 0)
        if timeout is not None and not timeout >= 0:
            raise ConfigError(f"a timeout of {timeout:g} s cannot be kept: give 0 or more")
        limit = NEVER if max_instructions is None else self.instret + max_instructions
        if until is None:
            return self._runner.run_to(limit, timeout=timeout)
        address, start = self.address_of(until), self.instret
        with self.events.signals, self.watch(address, lambda: self._reached(start)):
            return self._runner.run_to(limit, timeout=timeout)

    def interrupt(self) -> None:
        """End the run that is going on, or else the next one, with StopReason.INTERRUPTED; the machine can be run on.

        Meant for other threads and for handlers of signals. A call at the moment at which the hart sets out can be
        overheard: whoever must be heard calls again until `run` has returned.
        """
        self._runner.interrupt()

    def step(self, instructions: int = 1) -> Outcome:
        """Execute exactly so many instructions; traps happen on the way and count none."""
        return self.run(instructions)

    def call(
        self, function: int | str, *args: int, max_instructions: int = 100_000_000, floats: tuple[int, ...] = ()
    ) -> int:
        """Call a guest function in the current privilege and address space, and return its a0, unsigned.

        `floats` are for fa0 and following, as registers have them; `function` knows types, and results in others.

        Registers are as before afterwards; memory is as the function left it. Raises GuestPanic when the guest ends
        instead of returning, LimitExceeded after `max_instructions`.
        """
        place = function if isinstance(function, str | int) else self.address_of(function)
        return self._caller.call(place, args, max_instructions, floats)

    def function(
        self,
        function: str,
        result: type[Any] | None = None,
        parameters: Sequence[type[Any]] | None = None,
        *,
        max_instructions: int = 100_000_000,
        handled: bool = False,
    ) -> GuestFunction:
        """A guest function with its C types, to be called with Python values: see docs/testing.md.

        `function` is a prototype (`"int sum(int, int)"`), or a name: then `parameters` and `result` are types of
        ctypes, or the image's debug information knows them. `handled` leaves the function's exceptions to the kernel's
        handler; otherwise the first one ends the call with GuestCrash. Raises ConfigError when the types are not known,
        SymbolError for a function that the image does not have.
        """
        return declare_function(self, function, result, parameters, max_instructions=max_instructions, handled=handled)

    def _reached(self, start: int) -> None:
        if self.instret != start:
            self.platform.end(StopReason.REACHED)

    # Looking.

    @property
    def instret(self) -> int:
        """Instructions retired since power-on, exact at every moment."""
        return self.core.retired_count

    @property
    def time(self) -> int:
        """`mtime`: ticks of 10 MHz, one for 10 instructions (clock `instructions`)."""
        return self.platform.board.clint.mtime

    @property
    def console(self) -> bytes:
        """What the guest has written to its console: the last 16 MiB of it (`MachineConfig.console_kept`)."""
        return self.platform.console.output

    def type_text(self, data: bytes) -> None:
        """Type on the guest's console; it gets a byte each time it asks the UART or the SBI for one.

        A guest that has written to the virtio console gets it there instead.
        """
        self.platform.keyboard.type(data)
        self.offer_input()

    @property
    def waits_for_input(self) -> bool:
        """Whether typing would interrupt the guest."""
        return self.platform.typed.is_waited_for

    def offer_input(self) -> None:
        """Give a guest that waits for the console's interrupt what was typed meanwhile."""
        self.platform.offer_input()

    # Listening.

    def on(self, kind: type[E], listener: Listener[E]) -> Subscription:
        """Call `listener` with each event of exactly this kind; cancel the subscription to stop.

        Raises TypeError for what is no kind of event, ConfigError for one that nothing produces on this machine.
        """
        if not (isinstance(kind, type) and issubclass(kind, Event)):
            raise TypeError(f"a machine is listened to by kinds of events, such as TrapTaken, not by {kind!r}")
        return self.events.on(kind, listener)

    def watch(self, address: int | str, callback: Callable[[], None]) -> Subscription:
        """Call back just before the instruction at a virtual address (or symbol) executes."""
        return self._watches.add(self.address_of(address), callback)

    def watch_memory(
        self,
        place: int | str,
        listener: Callable[[MemoryAccessed], None],
        *,
        length: int | None = None,
        reads: bool = True,
        writes: bool = True,
    ) -> Subscription:
        """Call back just before each access to `length` bytes at a virtual address, or to what a symbol names.

        Any number of ranges costs the same: some percent, and some microseconds for each access that is told. Raises
        ConfigError where no length is given or known.

        >>> machine = Machine(MachineConfig(ram_size=16 << 20))
        >>> machine.load(Image.from_bytes(bytes.fromhex("17030000 23304300 93088000 73000000"), "store.bin"))
        >>> with machine.watch_memory(0x80200000, print, length=4):  # auipc t1, 0; sd tp, 0(t1); li a7, 8; ecall
        ...     _ = machine.run()  # doctest: +ELLIPSIS
        MemoryAccessed(instret=1, pc=VA:0x80200004, ..., address=VA:0x80200000, size=8, write=True, old=..., new=0)
        """
        address = self.address_of(place)
        if length is None:
            length = self.symbols.lookup(place).size if isinstance(place, str) else 0
            if not length:
                raise ConfigError(f"how many bytes at {place if isinstance(place, str) else hex(place)}? Give a length")
        return self._watchpoints.add(address, length, listener, reads=reads, writes=writes)

    def snapshot(self) -> Snapshot:
        """Everything that the guest can observe, to return to with `restore`."""
        return take(self.platform, self._followers, self._runner.plan)

    @classmethod
    def open(cls, path: FilePath) -> "Machine":
        """A machine that goes on where a saved snapshot was taken: `snapshot.save(path)`, `ekernel run --save FILE`.

        Names, symbols and what a reset loads come with it; disks are opened where they were. Raises RecordingError for
        a file that cannot be read or was made by another version, ConfigError for a disk that has changed.
        """
        machine: Machine = snapshot_files().open_machine(path)
        return machine

    def restore(self, snapshot: Snapshot) -> None:
        """Return to a snapshot of this machine. Raises TypeError for what is none."""
        if not isinstance(snapshot, Snapshot):
            raise TypeError(f"a machine returns to what its snapshot() has returned, not to {snapshot!r}")
        restore(self.platform, self._followers, snapshot)
        self.history.begin_at(snapshot)
        self.platform.tell(StateRestored)

    @property
    def followers(self) -> tuple[Follower, ...]:
        """What is saved with each snapshot besides the machine."""
        return tuple(self._followers)

    def step_by(self, stepped: Stepped | None) -> None:
        """Have the guest stop behind each instruction and each trap, and look at each; None ends it."""
        self._runner.stepped = stepped

    def add_follower(self, follower: Follower) -> Subscription:
        """Save and restore something else with each snapshot, until the subscription is cancelled."""
        self._followers.append(follower)
        return Subscription(lambda: self._followers.remove(follower))
