"""Watchpoints of a client: accesses to ranges of memory, in any number, at native speed elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emu.engine.translated.lastaccess import Watched
from emu.errors import ConfigError
from emu.isa.privilege import Access
from emu.machine import Machine, StopReason
from emu.machine.addressing import ram_of
from emu.machine.history.travel import Search
from emu.machine.history.writes import accesses_to
from emu.subscriptions import Subscription

WRITE, READ, ACCESS = 2, 3, 4
"""Kinds of watchpoints of the packets `Z` and `z`."""
_STOP_WORDS = {WRITE: "watch", READ: "rwatch", ACCESS: "awatch"}
_LARGEST, _MOST = 1 << 20, 4096
"""Bytes of a watchpoint, and how many there are, at most."""


class Watching:
    """Stops the machine at an access to watched memory, for the packets `Z` and `z`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._watched: dict[tuple[int, int, int], Subscription] = {}
        self.hit: tuple[int, int] | None = None
        """Kind and address of the watchpoint that has stopped the machine, before the access; None while none has."""
        self.is_passing = False
        """Whether the access that has stopped the machine is being carried out."""
        self._found: Callable[[], None] | None = None

    def insert(self, kind: int, address: int, length: int) -> bool:
        """Watch a range; False when there is no such range."""
        key = kind, address, length
        if key in self._watched:
            return True
        if length > _LARGEST or len(self._watched) >= _MOST:
            return False
        try:
            self._watched[key] = self._machine.watch_memory(
                address,
                lambda _: self._accessed(kind, address),
                length=length,
                reads=kind != WRITE,
                writes=kind != READ,
            )
        except ConfigError:
            return False
        return True

    def remove(self, kind: int, address: int, length: int) -> None:
        """Watch a range no more; one that is not watched is none."""
        subscription = self._watched.pop((kind, address, length), None)
        if subscription is not None:
            subscription.cancel()

    def clear(self) -> None:
        """Watch nothing."""
        for key in list(self._watched):
            self.remove(*key)

    def why(self) -> str | None:
        """What a stop reply says of the watchpoint that was hit, which is forgotten then; None when none was."""
        hit, self.hit = self.hit, None
        return None if hit is None else f"{_STOP_WORDS[hit[0]]}:{hit[1]:x};"

    def _accessed(self, kind: int, address: int) -> None:
        if self._found is not None:
            self._found()
        elif not self.is_passing and not self._machine.platform.inputs.is_travelling:
            self.hit = kind, address
            self._machine.platform.end(StopReason.REACHED)

    def pass_by(self) -> None:
        """Carry out the access that has stopped the machine: a client is told of it behind that."""
        self.is_passing = True
        try:
            self._machine.history.forward()
        finally:
            self.is_passing = False

    # Backwards.

    @contextmanager
    def searching(self) -> Iterator[Search]:
        """While it is entered: how to look for accesses backwards.

        Native code finds those to what is mapped to RAM now, by whatever virtual address; Python the others.
        """
        ranges = {key: self._in_ram(*key) for key in self._watched}
        native = [key for key, parts in ranges.items() if parts is not None]
        for key in native:
            self.remove(*key)
        try:
            watched = [part for key in native for part in ranges[key] or ()]
            with accesses_to(self._machine.core.engine, watched) as accesses:

                def search(found: Callable[[], None]) -> Callable[[], int | None]:
                    self._found = found
                    finish = accesses(found)

                    def end() -> int | None:
                        self._found = None
                        return finish()

                    return end

                yield search
        finally:
            for key in native:
                self.insert(*key)

    def recognize(self) -> None:
        """The machine was put before an instruction: find out which watchpoint it will hit."""
        machine = self._machine
        operand = machine.core.operand_at(int(machine.hart.pc))
        self.hit = None
        if operand is None:
            return
        start = operand.address(machine.core.words)
        accessed = [(at, size) for at, size in ram_of(machine.platform, start, operand.size) if at is not None]
        other = WRITE if operand.access is Access.LOAD else READ  # an atomic instruction does both

        def is_hit(kind: int, address: int, length: int) -> bool:
            if start < address + length and address < start + operand.size:
                return True
            ranges = self._in_ram(kind, address, length) or ()
            return any(at < each.end and each.start < at + size for each in ranges for at, size in accessed)

        hits = [key for key in self._watched if is_hit(*key)]
        if hits:
            kind, address, _ = min(hits, key=lambda hit: hit[0] == other)
            self.hit = kind, address

    def _in_ram(self, kind: int, address: int, length: int) -> list[Watched] | None:
        """Where a watched range lies in RAM, as it is mapped now; None where that is not known of all of it."""
        parts = list(ram_of(self._machine.platform, address, length))
        ranges = [
            Watched(at, at + size, reads=kind != WRITE, writes=kind != READ) for at, size in parts if at is not None
        ]
        return ranges if len(ranges) == len(parts) else None
