"""Which held frames and blocks nothing points to any more: a scan as kmemleak makes it, of frames too."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from emu.address import PAGE_BITS, PAGE_SIZE, VirtAddr
from emu.errors import ConfigError
from emu.events import FrameAllocated, HeapAllocated, HeapFreed
from emu.isa.status import SATP_PPN
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.observe.allocations.description import Allocator
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.moments import HostMoment

_PTE_PPN = 10
_PTE_VALID = 1
_KEPT_CSRS = ("sscratch", "mscratch", "sepc", "mepc", "stval")
_WORD = 8
_CHUNK = 1 << 16
_LAST = 1 << 64


@dataclass(frozen=True, slots=True)
class Unreachable:
    """What is held though nothing points to it: no register, no memory that was never allocated, and so on."""

    frames: tuple[FrameAllocated, ...]
    """Once for each frame."""
    blocks: tuple[HeapAllocated, ...]


@dataclass(slots=True)
class _Piece:
    """A held frame or block, by physical addresses."""

    start: int
    end: int
    block: HeapAllocated | None = None
    """None for a frame."""
    reached: bool = False


def unreachable(machine: Machine, ledger: AllocationLedger, allocators: Sequence[Allocator] = ()) -> Unreachable:
    """Scan for pointers now, between two runs, and name what they do not lead to.

    Anything that could be a pointer counts as one, as with kmemleak: an address of a piece or into it, physical or
    virtual; for frames also a page number, a PTE, and the address of the structure that stands for it where one of the
    `allocators` says so. A leak can so be missed, when a number happens to look like
    its address, but what a pointer leads to is never called unreachable, unless the kernel keeps it in another form.
    Free memory of the heap is not read. Raises ConfigError while the guest executes.
    """
    if machine.core.engine.running:
        raise ConfigError("pointers are looked for between runs, not while the guest executes")
    return _Scan(machine, ledger, allocators).result()


class _Scan:
    def __init__(self, machine: Machine, ledger: AllocationLedger, allocators: Sequence[Allocator]) -> None:
        self._machine = machine
        self._ledger = ledger
        self._ram = machine.memory.ram
        self._pages: dict[int, int | None] = {}
        self._blocks = sorted(
            (
                _Piece(start, start + max(event.size, 1), block=event)
                for event in ledger.blocks.held.values()
                if (start := self._physical(event.address)) is not None
            ),
            key=lambda piece: piece.start,
        )
        self._block_starts = [piece.start for piece in self._blocks]
        self._frames = {ppn: _Piece(ppn << PAGE_BITS, (ppn + 1) << PAGE_BITS) for ppn in ledger.frames.held}
        self._handles = sorted(handle for one in allocators for handle in self._handles_of(one))
        self._closed = self._closed_ranges()
        self._waiting: list[_Piece] = []

    def result(self) -> Unreachable:
        hart = self._machine.hart
        for number in range(1, 32):
            self._follow(hart.x[number])
        for name in _KEPT_CSRS:
            self._follow(hart.csr[name])
        self._reach_frame(hart.csr["satp"] & SATP_PPN)
        for start, end in self._roots():
            self._read(start, end)
        while self._waiting:
            piece = self._waiting.pop()
            self._read(piece.start, piece.end, inside=piece.block is not None)
        return Unreachable(
            tuple(self._ledger.frames.held[ppn] for ppn, piece in self._frames.items() if not piece.reached),
            tuple(piece.block for piece in self._blocks if piece.block is not None and not piece.reached),
        )

    def _handles_of(self, allocator: Allocator) -> Iterator[tuple[int, int, int]]:
        """Address, end and page number of what stands for each frame."""
        if allocator.handle is None or allocator.handle_size is None:
            return
        size = allocator.handle_size.at(HostMoment(self._machine, 0)) or 0
        for ppn in self._frames:
            address = allocator.handle.at(HostMoment(self._machine, ppn))
            if address is not None:
                yield address, address + size, ppn

    def _roots(self) -> Iterator[tuple[int, int]]:
        """What was never a frame of the allocator's: the image's data, stacks in it, what was set aside at boot."""
        at, end = self._ram.base, self._ram.base + self._ram.size
        for ppn in sorted({*self._ledger.frames.held, *self._ledger.frames.frees}):
            if at < ppn << PAGE_BITS:
                yield at, ppn << PAGE_BITS
            at = (ppn + 1) << PAGE_BITS
        if at < end:
            yield at, end

    def _closed_ranges(self) -> list[tuple[int, int]]:
        """What is not read with what it lies in: held blocks, which are read when they are reached, and freed ones."""
        closed = [(piece.start, piece.end) for piece in self._blocks]
        for event in self._ledger.blocks.frees.values():
            start = self._physical(event.address)
            if event.size and start is not None and not self._is_used_again(start, event):
                closed.append((start, start + event.size))
        return sorted(closed)

    def _is_used_again(self, start: int, free: HeapFreed) -> bool:
        """Whether the heap has given the frames of a freed block back, and they hold something else now."""
        frames = range(start >> PAGE_BITS, (start + free.size - 1 >> PAGE_BITS) + 1)
        held = self._ledger.frames.held
        return any(ppn in held and held[ppn].instret > free.instret for ppn in frames)

    def _read(self, start: int, end: int, *, inside: bool = False) -> None:
        """Follow each aligned word; inside of a block all of it, elsewhere what no block covers."""
        start, end = max(start, self._ram.base), min(end, self._ram.base + self._ram.size)
        pieces = [(start, end)] if inside else self._open_parts(start, end)
        for first, last in pieces:
            for at in range(-(-first // _WORD) * _WORD, last // _WORD * _WORD, _CHUNK):
                data = bytes(self._machine.memory.view(at, min(_CHUNK, last // _WORD * _WORD - at)))
                if data.count(0) != len(data):
                    for word in memoryview(data).cast("Q"):
                        if word:
                            self._follow(word)

    def _open_parts(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        at = start
        index = max(0, bisect_right(self._closed, (start, 0)) - 1)
        while index < len(self._closed) and self._closed[index][0] < end:
            first, last = self._closed[index]
            if first > at:
                yield at, first
            at = max(at, min(last, end)) if last > at else at
            index += 1
        if at < end:
            yield at, end

    def _follow(self, word: int) -> None:
        """Reach whatever a word may point to."""
        self._reach_frame(word)
        if word & _PTE_VALID:
            self._reach_frame(word >> _PTE_PPN & SATP_PPN)
        if self._handles and self._handles[0][0] <= word < self._handles[-1][1]:
            first, end, ppn = self._handles[bisect_right(self._handles, (word, _LAST)) - 1]
            if first <= word < end:
                self._reach_frame(ppn)
        physical = self._physical(word)
        if physical is None:
            return
        self._reach_frame(physical >> PAGE_BITS)
        index = bisect_right(self._block_starts, physical) - 1
        if index >= 0 and physical < self._blocks[index].end:
            self._reach(self._blocks[index])

    def _reach_frame(self, ppn: int) -> None:
        piece = self._frames.get(ppn)
        if piece is None or piece.reached:
            return
        run = self._ledger.frames.held[ppn]  # what was allocated together is held together
        for other in range(run.ppn, run.ppn + run.count):
            if self._ledger.frames.held.get(other) is run:
                self._reach(self._frames[other])

    def _reach(self, piece: _Piece) -> None:
        if not piece.reached:
            piece.reached = True
            self._waiting.append(piece)
            if piece.block is not None:
                for ppn in range(piece.start >> PAGE_BITS, (piece.end - 1 >> PAGE_BITS) + 1):
                    self._reach_frame(ppn)

    def _physical(self, address: int) -> int | None:
        if self._ram.contains(address):
            return address
        if address < PAGE_SIZE or 1 << 38 <= address < 0xFF00 << 48:
            return None
        page = address >> PAGE_BITS
        if page not in self._pages:
            physical = self._machine.core.look_up(VirtAddr(page << PAGE_BITS)).physical
            self._pages[page] = None if physical is None or not self._ram.contains(physical) else int(physical)
        base = self._pages[page]
        return None if base is None else base + (address & (PAGE_SIZE - 1))
