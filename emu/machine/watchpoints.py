"""Callbacks for each access of the guest to a range of memory, before it is carried out, at native speed elsewhere."""

from collections.abc import Callable

from emu.address import PAGE_SIZE, VirtAddr
from emu.counted import counted
from emu.errors import ConfigError
from emu.events import MemoryAccessed
from emu.hart.core import HartCore
from emu.hart.words import PC
from emu.hints import TYPE_CHECKING
from emu.isa.privilege import Access
from emu.lateclass import dataclass
from emu.subscriptions import Subscription

if TYPE_CHECKING:
    from emu.engine.translated.features.shadow import Layer, Poisoned

Listener = Callable[[MemoryAccessed], None]


@dataclass(frozen=True, eq=False, slots=True)
class _Watched:
    """A range, and who is told."""

    start: int
    end: int
    reads: bool
    writes: bool
    listener: Listener

    def concerns(self, access: "Poisoned") -> bool:
        """Whether the access is one to tell of."""
        kind = self.writes if access.is_store else self.reads
        return kind and access.address < self.end and self.start < access.address + access.size


class Watchpoints:
    """Watched ranges of virtual addresses, any number of them, by one layer of the hart's shadow.

    Seen are loads and stores of the guest's instructions, in whatever address space, that no page table refuses; an
    atomic instruction makes two. What devices and the host write is not seen, nor what page walks read.
    """

    def __init__(self, hart: HartCore) -> None:
        self._hart = hart
        self._layer: Layer | None = None
        self._watched: tuple[_Watched, ...] = ()
        self._place: tuple[int, int] | None = None
        """Where an access was told of last, by count and pc."""
        self._told: set[tuple[int, bool]] = set()
        """The accesses of the instruction there that listeners know of."""
        self._stopped = False
        """A listener has raised or stopped the machine since, so the instruction will execute again."""

    def add(
        self, address: int, length: int, listener: Listener, *, reads: bool = True, writes: bool = True
    ) -> Subscription:
        """Call `listener` before each read and write of these bytes. Raises ConfigError for no bytes."""
        address = int(address)
        if length < 1 or address < 0 or address + length > 1 << 64:
            raise ConfigError(
                f"{counted(length, 'byte')} at {address:#x} cannot be watched: give 1 or more, below 2**64"
            )
        watched = _Watched(address, address + length, reads, writes, listener)
        self._watched = (*self._watched, watched)
        if self._layer is None:
            self._layer = self._hart.shadow.open(self._reported, watched.start, watched.end)
        self._poison(self._layer, (watched,))
        return Subscription(lambda: self._cancel(watched))

    @property
    def watched(self) -> tuple[object, ...]:
        """What is watched now."""
        return self._watched

    def keep(self, watched: tuple[object, ...]) -> None:
        """Watch nothing but this any more."""
        for each in self._watched:
            if each not in watched:
                self._cancel(each)

    def close(self) -> None:
        """Forget all of them."""
        self._watched, self._layer = (), None

    def settle(self) -> None:
        """Before the core runs on: unless it stands where a listener stopped it, all is to be told anew."""
        if not self._stopped or self._place != (self._hart.retired_count, self._hart.words[PC]):
            self._place, self._stopped = None, False

    def _poison(self, layer: "Layer", poisoned: tuple[_Watched, ...]) -> None:
        low, high = (min(each.start for each in self._watched), max(each.end for each in self._watched))
        layer.reach(low - 7, high)  # an access may begin before what it reaches
        for each in poisoned:
            layer.poison(each.start, each.end - each.start)

    def _cancel(self, watched: _Watched) -> None:
        layer = self._layer
        if layer is None or watched not in self._watched:
            return
        self._watched = tuple(other for other in self._watched if other is not watched)
        if not self._watched:
            self._layer = None
            self._hart.shadow.close(layer)
            return
        layer.clear(watched.start, watched.end - watched.start)
        self._poison(layer, self._watched)

    def _reported(self, access: "Poisoned") -> None:
        concerned = [each for each in self._watched if each.concerns(access)]
        if concerned:
            self._hart.in_mid_block(access.pc, self._tell, access, concerned)

    def _tell(self, access: "Poisoned", concerned: list[_Watched]) -> None:
        hart = self._hart
        place, which = (hart.retired_count, access.pc), (access.address, access.is_store)
        if place != self._place:
            self._place = place
            self._told.clear()
        elif which in self._told:
            self._stopped = False
            return
        old = self._memory(access)
        if old is None:
            return
        self._told.add(which)
        self._stopped = True
        event = MemoryAccessed(
            instret=hart.retired_count,
            pc=VirtAddr(access.pc),
            privilege=hart.privilege,
            address=VirtAddr(access.address),
            size=access.size,
            write=access.is_store,
            old=old,
            new=access.value if access.is_store else old,
        )
        for each in concerned:
            hart.bus.call(each.listener, event)
        self._stopped = hart.engine.stop_is_requested

    def _memory(self, access: "Poisoned") -> int | None:
        """What memory holds where the access goes; None where it is refused or goes to a device."""
        hart, found = self._hart, bytearray()
        kind = Access.STORE if access.is_store else Access.LOAD
        while len(found) < access.size:
            at = access.address + len(found)
            part = min(access.size - len(found), PAGE_SIZE - at % PAGE_SIZE)
            physical = hart.walk(at, kind).physical
            if physical is None or not hart.ram.contains(int(physical), part):
                return None
            start = int(physical) - hart.ram.base
            found += hart.ram.view[start : start + part]
        return int.from_bytes(found, "little")
