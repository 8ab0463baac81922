"""Machines that are used again: lent, given back, switched off and on, and lent to the next."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from emu.errors import ConfigError
from emu.hints import Self
from emu.machine.config import MachineConfig
from emu.machine.machine import Machine


class MachinePool:
    """Machines of any configurations, each lent to one user at a time, and as new for the next one.

    A machine that comes back with a listener, a watch or an observer, or that cannot be switched off and on, is closed
    instead. One that was lent is not to be held any longer.

    >>> from emu.firmware.image import Image
    >>> off = bytes.fromhex("9308800073000000")  # li a7, 8; ecall
    >>> with MachinePool() as pool:
    ...     for number in range(3):
    ...         with pool.machine(MachineConfig(ram_size=16 << 20)) as machine:
    ...             machine.load(Image.from_bytes(off, f"{number}.bin"))
    ...             print(machine.image.name, machine.run().instructions)
    0.bin 2
    1.bin 2
    2.bin 2
    """

    def __init__(self, kept: int = 4) -> None:
        """`kept`: how many machines wait for the next user at the most; of more, those used longest ago are closed."""
        self._kept = kept
        self._waiting: list[Machine] = []
        self._is_closed = False

    @contextmanager
    def machine(self, config: MachineConfig | None = None) -> Iterator[Machine]:
        """In a `with`: a machine of this configuration into which nothing is loaded. See `Machine` for the errors."""
        wanted = config or MachineConfig()
        found = next((machine for machine in reversed(self._waiting) if machine.config == wanted), None)
        if found is None:
            machine = Machine(wanted)
        else:
            self._waiting.remove(found)
            machine = found
        try:
            yield machine
        finally:
            self._take_back(machine)

    def close(self) -> None:
        """Close all machines that wait, and those that are lent when they come back."""
        self._is_closed = True
        while self._waiting:
            self._waiting.pop().close()

    def _take_back(self, machine: Machine) -> None:
        if machine.is_closed:
            return
        try:
            machine.power_cycle()
        except ConfigError:
            machine.close()
            return
        if self._is_closed or machine.is_followed:
            machine.close()
            return
        self._waiting.append(machine)
        while len(self._waiting) > self._kept:
            self._waiting.pop(0).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
