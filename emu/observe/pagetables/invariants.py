"""What page tables must never hold, checked whenever one of their entries is written."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from emu.address import PAGE_BITS, PhysAddr, VirtAddr
from emu.errors import ConfigError
from emu.events import AddressSpaceSwitched, FrameAllocated, FrameFreed, PteWritten, StateRestored, TrapReturned
from emu.isa.privilege import Privilege
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT, SATP_PPN
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.mmu import pte as bits
from emu.mmu.pte import Pte
from emu.mmu.space import AddressSpace
from emu.observe.pagetables.frames import MappedOnce
from emu.observe.pagetables.tables import Indexed, Leaves, Tables
from emu.subscriptions import cancel_all

_MOST_SPACES, _MOST_FOUND = 1 << 10, 1000
_WX = bits.V | bits.W | bits.X

Check = Callable[[PteWritten, Callable[[], AddressSpace]], str | None]
"""What is wrong with an entry that was written, None when nothing is. The second argument reads the address space as it
is behind the write, for who needs it: that takes some milliseconds."""


@runtime_checkable
class Sifting(Protocol):
    """A `Check` that knows beforehand of which leaves it has nothing to say, and would learn nothing."""

    def __call__(self, write: PteWritten, space: Callable[[], AddressSpace], /) -> str | None:
        """See `Check`."""

    def sift(self, leaves: Leaves, /) -> Iterable[int]:
        """The numbers of all others, in their table."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A write after which an invariant does not hold."""

    invariant: str
    write: PteWritten
    """The write; of `satp`, with `old` as `new`, for an entry that was there when its tables came into use."""
    why: str


class _NoWritableCode:
    """No page is writable and executable."""

    def __call__(self, write: PteWritten, _space: Callable[[], AddressSpace]) -> str | None:
        return "it is writable and executable" if write.new & _WX == _WX else None

    def sift(self, leaves: Leaves) -> list[int]:
        return [index for index, entry in leaves.entries if entry & _WX == _WX]


class _NoUserInKernel:
    """No user page is in the upper half of the addresses."""

    def __call__(self, write: PteWritten, _space: Callable[[], AddressSpace]) -> str | None:
        is_user = write.new & bits.V and write.new & bits.U
        return "it is a user page in the upper half" if is_user and write.first >> 63 else None

    def sift(self, leaves: Leaves) -> list[int]:
        if not leaves.level and not leaves.base >> 63:
            return []
        return [index for index, entry in leaves.entries if entry & bits.U]


class MadeFor(NamedTuple):
    """An invariant that has to be made for each machine, since it keeps something of what is mapped there."""

    make: Callable[[Machine], Check]


INVARIANTS: Mapping[str, Check | MadeFor] = {
    "no-writable-code": _NoWritableCode(),
    "no-user-in-kernel": _NoUserInKernel(),
    "mapped-once": MadeFor(MappedOnce),
}
"""The invariants by name."""


@dataclass(frozen=True, slots=True)
class StillMapped:
    """A frame that was freed and that user code can reach all the same."""

    freed: FrameFreed
    instret: int
    """When user code went on."""
    satp: int
    first: VirtAddr
    """Where the frame is mapped."""
    pte_address: PhysAddr


class FreedFrames:
    """A freed frame is mapped by nobody: knows which frames have gone back to their allocator, as its events tell.

    As a `Check` it says so of an entry that is written. What is mapped when it is freed is looked for when the kernel
    next returns to user code, in the address space of that: many kernels free a frame first and clear its entry then.
    The kernel's linear map has all frames, and does not count.
    """

    def __init__(self, machine: Machine, on_still_mapped: Callable[[StillMapped], None] = lambda _found: None) -> None:
        """An observer of the kernel's frame allocator must be attached."""
        self._machine = machine
        self._tell = on_still_mapped
        self._freed: dict[int, FrameFreed] = {}
        self._fresh: dict[int, set[int]] = {}
        """By satp: frames that were freed since its user code went on."""
        self.still_mapped: list[StillMapped] = []
        """The first thousand."""
        self._linear = {0, *(virtual - physical for _, loads in machine.platform.names.loaded()
                             for physical, virtual, _ in loads)}  # fmt: skip
        machine.on(FrameFreed, self._frame_freed)
        machine.on(FrameAllocated, self._frame_allocated)
        machine.on(TrapReturned, self._returned)
        machine.on(StateRestored, lambda _event: self._forget())

    def __call__(self, write: PteWritten, _space: Callable[[], AddressSpace]) -> str | None:
        """The invariant."""
        ppn = Pte(write.new).ppn
        is_leaf = write.new & bits.V and write.new & bits.LEAF
        if not is_leaf or write.level or int(ppn) not in self._freed:
            return None
        if not write.new & bits.U and int(write.first) - int(ppn.address()) in self._linear:
            return None
        return f"its frame {ppn!r} was freed"

    def sift(self, leaves: Leaves) -> list[int]:
        """See `Sifting`."""
        freed = self._freed
        if leaves.level or not freed:
            return []
        return [index for index, entry in leaves.entries if entry >> bits.PPN_SHIFT & bits.PPN_MASK in freed]

    def _frame_freed(self, event: FrameFreed) -> None:
        if event.offset:
            return
        for ppn in _numbers(event):
            self._freed[ppn] = event
            if not event.given:
                for fresh in self._fresh.values():
                    fresh.add(ppn)

    def _frame_allocated(self, event: FrameAllocated) -> None:
        for ppn in _numbers(event):
            self._freed.pop(ppn, None)
            for fresh in self._fresh.values():
                fresh.discard(ppn)

    def _forget(self) -> None:
        self._freed.clear()
        self._fresh.clear()

    def _returned(self, event: TrapReturned) -> None:
        if event.to_privilege is not Privilege.U:
            return
        satp = self._machine.hart.csr["satp"]
        fresh = self._fresh.get(satp)
        if fresh is None:  # its tables are new, or are those of a process that is not there any more
            fresh = {ppn for ppn, freed in self._freed.items() if not freed.given}
            if len(self._fresh) >= _MOST_SPACES:
                self._fresh.clear()
        if fresh:
            for entry in self._machine.address_space().leaves:
                ppn = int(entry.physical) >> PAGE_BITS
                if not entry.level and entry.pte & bits.U and ppn in fresh:
                    self._found(StillMapped(self._freed[ppn], event.instret, satp, entry.first, entry.address))
        self._fresh[satp] = set()

    def _found(self, found: StillMapped) -> None:
        if len(self.still_mapped) < _MOST_FOUND:
            self.still_mapped.append(found)
        self._tell(found)


def _numbers(event: FrameAllocated | FrameFreed) -> range:
    return range(int(event.ppn), int(event.ppn) + event.count)


class _Space:
    """The address space at one moment, read when it is asked for."""

    __slots__ = ("_machine", "_space")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._space: AddressSpace | None = None

    def __call__(self) -> AddressSpace:
        if self._space is None:
            self._space = self._machine.address_space()
        return self._space


class Invariants:
    """Checks page tables when they come into use, and at each write to one.

    `broken` has what was found, and `on_broken` is told at once.

    A function of the write and the address space makes an invariant of one's own, in one line:
    `Invariants(machine, {"no page at 0": lambda write, space: "null" if write.new and not write.first else None})`.
    """

    def __init__(
        self,
        machine: Machine,
        checks: Mapping[str, Check | MadeFor],
        on_broken: Callable[[Broken], None] = lambda _found: None,
    ) -> None:
        self._machine = machine
        self._checks = {
            name: check.make(machine) if isinstance(check, MadeFor) else check for name, check in checks.items()
        }
        every: list[object] = list(self._checks.values())
        self._sifting = [check for check in every if isinstance(check, Sifting)]
        self._tables = Tables(machine.memory)
        self._on_broken = on_broken
        self.broken: list[Broken] = []
        self._entered: set[int] = set()
        """Root tables whose entries were checked as they were found."""
        self._subscriptions = [
            machine.on(AddressSpaceSwitched, self._enters),
            machine.on(PteWritten, self._written),
            machine.on(StateRestored, lambda _event: self._entered.clear()),
        ]

    def close(self) -> None:
        """Stop checking."""
        cancel_all(self._subscriptions)

    def _enters(self, event: AddressSpaceSwitched) -> None:
        """Check what was written before its tables came into use; of many pages the first is told."""
        satp = self._machine.hart.csr["satp"]
        root = satp & SATP_PPN
        if satp >> SATP_MODE_SHIFT not in PAGING_LEVELS or root in self._entered:
            return
        self._entered.add(root)
        space = _Space(self._machine)
        found: dict[tuple[str, str], tuple[PteWritten, int]] = {}
        for leaves in self._tables.leaves(satp):
            for index, entry in self._not_sifted(leaves):
                write = PteWritten(
                    instret=event.instret, pc=event.pc, privilege=event.privilege,
                    pte_address=PhysAddr(leaves.page + 8 * index), old=entry, new=entry, level=leaves.level,
                    first=VirtAddr(leaves.first(index)), by_walk=False,
                )  # fmt: skip
                for name, check in self._checks.items():
                    why = check(write, space)
                    if why is not None:
                        first, number = found.get((name, why), (write, 0))
                        found[name, why] = first, number + 1
        for (name, why), (write, number) in found.items():
            self._tell(Broken(name, write, f"{why}, and {number - 1:,} more pages are" if number > 1 else why))

    def _not_sifted(self, leaves: Leaves) -> Sequence[Indexed]:
        """The leaves that a check may have something to say of."""
        if len(self._sifting) < len(self._checks):
            return leaves.entries
        found = {index for check in self._sifting for index in check.sift(leaves)}
        return [each for each in leaves.entries if each[0] in found] if found else ()

    def _tell(self, found: Broken) -> None:
        self.broken.append(found)
        self._on_broken(found)

    def _written(self, write: PteWritten) -> None:
        if write.by_walk:
            return
        space = _Space(self._machine)
        for name, check in self._checks.items():
            why = check(write, space)
            if why is not None:
                self._tell(Broken(name, write, why))


def named(words: str) -> dict[str, Check | MadeFor]:
    """The invariants of a list of names with commas. Raises ConfigError for an unknown one.

    >>> list(named("mapped-once"))
    ['mapped-once']
    """
    names = [word.strip() for word in words.split(",") if word.strip()]
    for name in names:
        if name not in INVARIANTS:
            raise ConfigError(f"there is no invariant '{name}' of page tables; there are {', '.join(INVARIANTS)}")
    return {name: INVARIANTS[name] for name in names}
