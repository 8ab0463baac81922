"""Who has written to memory last: the instruction, and the moment."""

from types import TracebackType
from typing import NamedTuple, Self

from emu.address import VirtAddr
from emu.engine.translated.features.lastwriter import LastWriter
from emu.events import StateRestored
from emu.machine import Machine


class LastWrite(NamedTuple):
    """A store of the guest's own."""

    instret: int
    """Instructions that had retired before it."""
    pc: VirtAddr
    """The store, by the virtual address that it was executed at."""


class LastWrites:
    """Remembers the last store to each 8 bytes of RAM from now on, in translated code, until `close`.

    What devices and the host write is not seen. A snapshot that is restored ends what was known.

    >>> from ekernel import Image, Machine, MachineConfig
    >>> machine = Machine(MachineConfig(ram_size=16 << 20))
    >>> machine.load(Image.from_bytes(bytes.fromhex("17030000 23304300 93088000 73000000"), "store.bin"))
    >>> with LastWrites(machine) as writes:  # auipc t1, 0; sd tp, 0(t1); li a7, 8; ecall
    ...     _ = machine.run()
    ...     writes.at(machine.hart.x["t1"])
    LastWrite(instret=1, pc=VA:0x80200004)
    """

    def __init__(self, machine: Machine) -> None:
        self._machine, self._feature = machine, LastWriter()
        machine.core.engine.switch_on(self._feature)
        self._restored = machine.on(StateRestored, lambda _: self._feature.forget())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Follow stores no more."""
        self._restored.cancel()
        self._machine.core.engine.switch_off(self._feature)

    def at(self, address: int) -> LastWrite | None:
        """Who wrote last to the 8 bytes around a virtual address of the current space; None when nobody is known."""
        physical = self._machine.core.look_up(address).physical
        return None if physical is None else self.at_physical(int(physical))

    def at_physical(self, address: int) -> LastWrite | None:
        """The same by physical address: for a PTE, say."""
        writer = self._feature.of(address)
        return None if writer is None else LastWrite(writer.instret, VirtAddr(writer.pc))
