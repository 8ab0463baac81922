"""What users say to go to another moment."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emu.errors import AddressError, ConfigError
from emu.hints import Any, FilePath
from emu.isa.registers import REGISTER_NUMBERS
from emu.machine.addressing import ram_of
from emu.machine.config import Outcome
from emu.machine.history.moment import Moment
from emu.machine.history.travel import History
from emu.machine.platform import Platform
from emu.machine.upward import drgn_program, gdb_service
from emu.subscriptions import EventBus, Subscription

_ALL = (1 << 64) - 1


class Travelling(ABC):
    """The part of a machine that goes to moments."""

    platform: Platform
    events: EventBus
    history: History

    @abstractmethod
    def address_of(self, place: int | str) -> int:
        """A virtual address given as a number or by symbol."""

    @abstractmethod
    def watch(self, address: int | str, callback: Callable[[], None]) -> Subscription:
        """Call back just before the instruction at a virtual address executes."""

    @property
    def moment(self) -> Moment:
        """Where the run is: instructions retired and traps entered since power-on."""
        return self.platform.moment

    def goto(self, moment: Moment | int) -> None:
        """Return to a moment that was lived, or go on to one: the guest and its console are as they were then.

        A number means the moment at which so many instructions had just retired. Whatever came from outside until then
        comes again; who changes something there begins another future. Raises ConfigError for a moment that this
        machine's history does not have, or for a machine that has none: with a disk that is written, say.
        """
        with self.events.signals:
            self.history.go(moment)

    @contextmanager
    def at(self, moment: Moment | int) -> Iterator[None]:
        """While it is entered, the machine is at another moment; see `goto`."""
        here = self.moment
        self.goto(moment)
        try:
            yield
        finally:
            self.goto(here)

    def reverse_until(self, until: int | str) -> Moment | None:
        """Go back to the last time that the hart stood at an address (or symbol); None, and no move, if it never did.

        >>> from ekernel import Image, Machine, MachineConfig
        >>> machine = Machine(MachineConfig(ram_size=16 << 20))
        >>> machine.load(Image.from_bytes(bytes.fromhex("13051500 93088000 73000000"), "off.bin"))  # addi a0, a0, 1
        >>> _ = machine.run()
        >>> machine.reverse_until(0x80200000), machine.hart.x["a0"]
        (Moment(instret=0, traps=0), 0)
        """
        address = self.address_of(until)
        with self.events.signals:
            return self.history.last(lambda hit: self.watch(address, hit).cancel)

    def last_write(
        self, address: int | str, length: int = 8, *, before: Moment | int | None = None, physical: bool = False
    ) -> Moment | None:
        """The moment just before the last store to these bytes of the current address space: `goto` it to see more.

        By whatever virtual address the store was made. With `physical` the address is one of RAM: of a page-table
        entry, say. Only what was written before `before`, or now, counts. Stores of the guest's instructions are found;
        not what devices, page walks and the host write. None when history has no such store. Raises AddressError where
        nothing is mapped, ConfigError where there is no history.
        """
        from emu.engine.translated.features.lastaccess import Watched
        from emu.machine.history.writes import accesses_to

        core, memory = self.platform.core, self.platform.memory
        start, wanted = self.address_of(address), list[Watched]()
        parts = ram_of(self.platform, start, length)
        if physical:
            parts = iter([(start if memory.contains(start, length) else None, length)])
        for found, size in parts:
            if found is None:
                where = "not in RAM" if physical else "not mapped to RAM in this address space"
                raise AddressError(f"{start + sum(each.end - each.start for each in wanted):#x} is {where}")
            wanted.append(Watched(found, found + size, reads=False, writes=True))
        here = self.moment
        with self.at(here if before is None else before), accesses_to(core.engine, wanted) as search:
            return self.history.last(search)

    def last_change(self, register: int | str, *, before: Moment | int | None = None) -> Moment | None:
        """The moment just before the last instruction that wrote an integer register; see `last_write`."""
        from emu.machine.history.writes import changes_of

        number = REGISTER_NUMBERS.get(register) if isinstance(register, str) else register
        if number is None or not 0 < number < 32:
            raise ConfigError(f"no instruction changes register {register!r}; name one of ra, sp, ... t6, or x1 to x31")
        here = self.moment
        with self.at(here if before is None else before), changes_of(self.platform.core.engine, number) as search:
            return self.history.last(search, near=True)

    def drgn(self, *files: FilePath) -> Any:
        """A `drgn.Program` of this machine, also at another moment: `machine.drgn("vmlinux")["init_task"].pid`.

        `files` have the debug information; without any the image that was loaded. Raises ConfigError when drgn
        (`pip install 'ekernel[drgn]'`) or the debug information is missing.
        """
        return drgn_program(self, files)

    def serve_gdb(self, address: str = "tcp::1234", *, halted: bool = True) -> Outcome:
        """Let gdb or lldb have this machine: `target remote :1234`; returns when the guest or the client has ended it.

        Where it waits is said on standard error; `address` is `tcp:[HOST]:PORT` or `unix:PATH`, port 0 a free one.
        With `halted` the guest does not run before a client lets it. Afterwards the machine can run on.
        Raises ConfigError when the address is none or taken.
        """
        ended: Outcome = gdb_service(self, address, halted=halted)
        return ended
