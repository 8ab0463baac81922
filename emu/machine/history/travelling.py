"""What users say to go to another moment."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emu.machine.history.moment import Moment
from emu.machine.history.travel import History
from emu.machine.platform import Platform
from emu.subscriptions import EventBus, Subscription


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
