"""The vocabulary of events: what a running kernel did, in the field's own words."""

from emu.address import PhysAddr, PhysPageNum, VirtAddr, VirtPageNum
from emu.isa.privilege import Access, Privilege
from emu.lateclass import dataclass, field
from emu.shown import Shown
from emu.walks import Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Shown):
    """What every event carries: when, where and at which privilege it happened."""

    instret: int
    """Instructions retired before the event."""
    pc: VirtAddr
    """The instruction that caused it, or that was about to execute."""
    privilege: Privilege
    hart: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrapTaken(Event):
    """The hart entered a trap handler; `privilege` is the level it came from."""

    cause: int
    """The cause without its interrupt bit."""
    interrupt: bool
    tval: int
    to_privilege: Privilege
    handler: VirtAddr
    """The address that execution goes on at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrapReturned(Event):
    """`mret` or `sret` was executed; `privilege` is the level it left."""

    to_privilege: Privilege
    target: VirtAddr


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFault(Event):
    """A translation was refused; comes right before its TrapTaken."""

    access: Access
    address: VirtAddr
    walk: Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class TlbFilled(Event):
    """A walk succeeded and its translation was cached (fidelity `exact` only)."""

    access: Access
    vpn: VirtPageNum
    ppn: PhysPageNum
    walk: Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class PteWritten(Event):
    """An entry changed in a page table that `satp` has led to since somebody listens."""

    pte_address: PhysAddr
    old: int
    new: int
    level: int
    """The level of its table: 0 is the last."""
    first: VirtAddr
    """The first virtual address that the entry decides about; there are 4096 << 9 * level of them."""
    by_walk: bool
    """Whether the page walk set A or D (fidelity `exact` only), and not the guest's own instruction at pc."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleTranslationUsed(Event):
    """An access went by a cached translation that the page table does not give any more (fidelity `exact` only).

    The entry was written and no `sfence.vma` has come since: the access may see the old page or the new one.
    """

    access: Access
    address: VirtAddr
    used: PhysAddr
    """Where the access went, as the entry was."""
    change: PteWritten
    """The first write to an entry of its walk since the translation was cached."""
    walk: Walk
    """The walk as it would go now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryAccessed(Event):
    """The guest is about to read or write memory that is watched."""

    address: VirtAddr
    size: int
    """Bytes: 1, 2, 4 or 8."""
    write: bool
    old: int
    """What these bytes hold, unsigned."""
    new: int
    """What they are to hold: the same for a read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressSpaceSwitched(Event):
    """`satp` was written."""

    old: int
    new: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CsrWritten(Event):
    """A CSR instruction has written; what traps, `mret` and `sret` write is told by their own events."""

    number: int
    """The CSR's (privileged manual, table 2.1)."""
    value: int
    """What it holds now, by its WARL rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherCsrWritten(CsrWritten):
    """The same, but never of `sstatus`, so that the core carries those writes out by itself.

    It is for who follows all registers: what is written to `sstatus` follows from them. Kernels write it often.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptRaised(Event):
    """A line into `mip` went up."""

    cause: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOutput(Event):
    """The guest wrote to its console, through the UART or through SBI."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MmioAccess(Event):
    """The guest read or wrote a device register."""

    device: str
    address: PhysAddr
    size: int
    """Bytes: 1, 2, 4 or 8."""
    value: int
    write: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCalled(Event):
    """A traced function was entered; `pc` is its first instruction."""

    name: str
    args: tuple[int, ...]
    """a0 to a7, unsigned."""
    return_address: VirtAddr
    depth: int
    """How many calls of traced functions are still open, without this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionReturned(Event):
    """A traced function returned; `pc` is the instruction that it returned to."""

    name: str
    args: tuple[int, ...]
    """The arguments that its call had."""
    value: int
    """a0, unsigned."""
    second_value: int
    """a1, unsigned: the other half of a two-word result (psABI, 2.1)."""
    depth: int
    called_at: int
    """`instret` of its call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRestored(Event):
    """The hart was put back to an earlier state: calls and traps that were open before never return."""

    abandoned: bool = False
    """Whether it is because the host gave a call of its own up: then nothing but registers returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineReset(Event):
    """The machine starts again, because the guest or the host has reset it; `pc` is its first instruction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameAllocated(Event):
    """The kernel's frame allocator handed out frames; `pc` is where it was called from."""

    ppn: PhysPageNum
    count: int = 1
    callers: tuple[VirtAddr, ...] = field(default=(), repr=False)
    """The calls that led to `pc`, innermost first, as far as they can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFreed(Event):
    """Frames went back to the kernel's frame allocator; `pc` is where it was called from."""

    ppn: PhysPageNum
    count: int = 1
    offset: int = 0
    """Bytes from the frame's beginning to the address that was given; a correct kernel gives the beginning."""
    given: bool = False
    """The kernel said that nobody held them: memory that its allocator gets for the first time."""
    callers: tuple[VirtAddr, ...] = field(default=(), repr=False)
    """The calls that led to `pc`, innermost first, as far as they can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeapAllocated(Event):
    """The kernel's heap handed out a block; `pc` is where it was called from."""

    address: VirtAddr
    size: int
    """Bytes requested."""
    align: int
    """Bytes; 0 when the allocator takes no alignment."""
    kind: str = ""
    """What the allocator calls such blocks: a slab cache's name."""
    callers: tuple[VirtAddr, ...] = field(default=(), repr=False)
    """The calls that led to `pc`, innermost first, as far as they can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeapFreed(Event):
    """A block went back to the kernel's heap; `pc` is where it was called from."""

    address: VirtAddr
    size: int
    """Bytes, as the caller said; 0 when the allocator is not told."""
    callers: tuple[VirtAddr, ...] = field(default=(), repr=False)
    """The calls that led to `pc`, innermost first, as far as they can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageEvicted(Event):
    """The kernel took a page's frame away and keeps its contents in the store; `pc` is where that was asked for."""

    vpn: VirtPageNum
    ppn: PhysPageNum
    """The frame that is free now."""
    slot: int
    """Where in the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLoaded(Event):
    """The kernel fetched a page from the store into a frame; `pc` is where that was asked for."""

    vpn: VirtPageNum
    ppn: PhysPageNum


@dataclass(frozen=True, slots=True, kw_only=True)
class SyscallMade(Event):
    """A user program executed `ecall`."""

    number: int
    """a7."""
    args: tuple[int, ...]
    """a0 to a5, unsigned."""
