"""What page tables must never hold, checked whenever one of their entries is written."""

from collections.abc import Callable, Mapping
from functools import cache

from emu.errors import ConfigError
from emu.events import FrameAllocated, FrameFreed, PteWritten, StateRestored
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.mmu import pte as bits
from emu.mmu.pte import Pte
from emu.mmu.space import AddressSpace

Check = Callable[[PteWritten, Callable[[], AddressSpace]], str | None]
"""What is wrong with an entry that was written, None when nothing is. The second argument reads the address space as it
is behind the write, for who needs it: that takes some milliseconds."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A write after which an invariant does not hold."""

    invariant: str
    write: PteWritten
    why: str


def no_writable_code(write: PteWritten, _space: Callable[[], AddressSpace]) -> str | None:
    """No page is writable and executable."""
    wx = bits.V | bits.W | bits.X
    return "it is writable and executable" if write.new & wx == wx else None


def no_user_in_kernel(write: PteWritten, _space: Callable[[], AddressSpace]) -> str | None:
    """No user page is in the upper half of the addresses."""
    is_user = write.new & bits.V and write.new & bits.U
    return "it is a user page in the upper half" if is_user and write.first >> 63 else None


def mapped_once(write: PteWritten, space: Callable[[], AddressSpace]) -> str | None:
    """Every frame is mapped at most once in a space by pages of 4 KiB; a linear map of larger pages does not count."""
    if write.level or not write.new & bits.V:
        return None
    frame = Pte(write.new).ppn.address()
    places = [entry.first for entry in space().leaves if not entry.level and entry.physical == frame]
    if len(places) < 2:
        return None
    return f"its frame {frame} is mapped at {' and '.join(map(str, places))}"


INVARIANTS: Mapping[str, Check] = {
    "no-writable-code": no_writable_code,
    "no-user-in-kernel": no_user_in_kernel,
    "mapped-once": mapped_once,
}
"""The invariants by name."""


class FreedFrames:
    """A freed frame is mapped by nobody: knows which frames have gone back to their allocator, as its events tell."""

    def __init__(self, machine: Machine) -> None:
        """An observer of the kernel's frame allocator must be attached."""
        self._freed: set[int] = set()
        machine.on(FrameFreed, lambda event: self._freed.update(_numbers(event)))
        machine.on(FrameAllocated, lambda event: self._freed.difference_update(_numbers(event)))
        machine.on(StateRestored, lambda _event: self._freed.clear())

    def check(self, write: PteWritten, _space: Callable[[], AddressSpace]) -> str | None:
        """The invariant."""
        ppn = Pte(write.new).ppn
        is_leaf = write.new & bits.V and write.new & (bits.R | bits.W | bits.X)
        return f"its frame {ppn!r} was freed" if is_leaf and not write.level and int(ppn) in self._freed else None


def _numbers(event: FrameAllocated | FrameFreed) -> range:
    return range(int(event.ppn), int(event.ppn) + event.count)


class Invariants:
    """Checks page tables at each write to one; `broken` has what was found, and `on_broken` is told at once.

    A function of the write and the address space makes an invariant of one's own, in one line:
    `Invariants(machine, {"no page at 0": lambda write, space: "null" if write.new and not write.first else None})`.
    """

    def __init__(
        self, machine: Machine, checks: Mapping[str, Check], on_broken: Callable[[Broken], None] = lambda _found: None
    ) -> None:
        self._machine = machine
        self._checks = dict(checks)
        self._on_broken = on_broken
        self.broken: list[Broken] = []
        self._subscription = machine.on(PteWritten, self._written)

    def close(self) -> None:
        """Stop checking."""
        self._subscription.cancel()

    def _written(self, write: PteWritten) -> None:
        if write.by_walk:
            return
        space = cache(self._machine.address_space)
        for name, check in self._checks.items():
            why = check(write, space)
            if why is not None:
                found = Broken(name, write, why)
                self.broken.append(found)
                self._on_broken(found)


def named(words: str) -> dict[str, Check]:
    """The invariants of a list of names with commas. Raises ConfigError for an unknown one.

    >>> list(named("mapped-once"))
    ['mapped-once']
    """
    names = [word.strip() for word in words.split(",") if word.strip()]
    for name in names:
        if name not in INVARIANTS:
            raise ConfigError(f"there is no invariant '{name}' of page tables; there are {', '.join(INVARIANTS)}")
    return {name: INVARIANTS[name] for name in names}
