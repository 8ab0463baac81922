"""Watchpoints of a client: accesses to ranges of memory, in any number, at native speed elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emu.engine.translated.features.lastaccess import Watched
from emu.errors import ConfigError
from emu.isa.privilege import Access
from emu.machine import Machine, StopReason
from emu.machine.addressing import ram_of
from emu.machine.history.moment import Moment
from emu.machine.history.travel import Search
from emu.machine.history.writes import accesses_to
from emu.subscriptions import Subscription

WRITE, READ, ACCESS = 2, 3, 4
"""Kinds of watchpoints of the packets `Z` and `z`."""
_STOP_WORDS = {WRITE: "watch", READ: "rwatch", ACCESS: "awatch"}
_LARGEST, MOST = 1 << 20, 4096
"""Bytes of a watchpoint, and how many there are, at most."""


_Place = tuple[int, int]
"""Instructions retired, and pc."""


class Watching:
    """Stops the machine before an access to watched memory, for the packets `Z` and `z`.

    Before, because gdb (from 13 on, "nonsteppable watchpoints") and lldb take RISC-V for such a machine, as QEMU does:
    they carry out the access by a step, and look then at what has changed. Backwards it is the other way round: the
    machine stops behind the access, and a step back undoes it.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._watched: dict[tuple[int, int, int], Subscription] = {}
        self.hit: tuple[int, int] | None = None
        """Kind and address of the watchpoint that has stopped the machine, before the access; None while none has."""
        self._told: _Place | None = None
        self._passing: _Place | None = None
        """The access that the client was told of, while it stands there, and when it has gone on from there."""
        self.behind: Moment | None = None
        """Where a client that goes back was told of an access, which is the instruction before."""
        self._found: Callable[[], None] | None = None

    def insert(self, kind: int, address: int, length: int) -> bool:
        """Watch a range; False when there is no such range."""
        key = kind, address, length
        if key in self._watched:
            return True
        if length > _LARGEST or len(self._watched) >= MOST:
            return False
        try:
            self._watched[key] = self._machine.watch_memory(
                address,
                lambda event: self._accessed(kind, address, (event.instret, int(event.pc))),
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
        if hit is None:
            return None
        self._told = self._here()
        return _reply(*hit)

    def leave(self) -> None:
        """The client goes on from here: an access that it was told of here is carried out without another word."""
        self._passing = self._told if self._told == self._here() else None
        self._told = self.behind = None

    def _here(self) -> _Place:
        return self._machine.instret, int(self._machine.hart.pc)

    def _accessed(self, kind: int, address: int, place: _Place) -> None:
        if self._found is not None:
            self._found()
        elif place != self._passing and not self._machine.platform.inputs.is_travelling:
            self.hit = kind, address
            self._machine.platform.end(StopReason.REACHED)

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

    def accessed_next(self) -> str | None:
        """What a stop reply says of the watchpoint that the next instruction will hit; None for none."""
        machine = self._machine
        operand = machine.core.operand_at(int(machine.hart.pc)) if self._watched else None
        if operand is None:
            return None
        start = operand.address(machine.core.words)
        accessed = [(at, size) for at, size in ram_of(machine.platform, start, operand.size) if at is not None]
        other = WRITE if operand.access is Access.LOAD else READ  # an atomic instruction does both

        def is_hit(kind: int, address: int, length: int) -> bool:
            if start < address + length and address < start + operand.size:
                return True
            ranges = self._in_ram(kind, address, length) or ()
            return any(at < each.end and each.start < at + size for each in ranges for at, size in accessed)

        hits = [key for key in self._watched if is_hit(*key)]
        return _reply(*min(hits, key=lambda hit: hit[0] == other)[:2]) if hits else None

    def _in_ram(self, kind: int, address: int, length: int) -> list[Watched] | None:
        """Where a watched range lies in RAM, as it is mapped now; None where that is not known of all of it."""
        parts = list(ram_of(self._machine.platform, address, length))
        ranges = [
            Watched(at, at + size, reads=kind != WRITE, writes=kind != READ) for at, size in parts if at is not None
        ]
        return ranges if len(ranges) == len(parts) else None


def _reply(kind: int, address: int) -> str:
    return f"{_STOP_WORDS[kind]}:{address:x};"
