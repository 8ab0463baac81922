"""Which held frames and blocks nothing points to any more: a scan as kmemleak makes it, of frames too."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from emu.address import PAGE_BITS, PAGE_SIZE, VirtAddr
from emu.errors import ConfigError
from emu.events import FrameAllocated, HeapAllocated, HeapFreed
from emu.isa.status import SATP_PPN
from emu.machine import Machine
from emu.observe.allocations.ledger import AllocationLedger

_PTE_PPN = 10
_PTE_VALID = 1
_KEPT_CSRS = ("sscratch", "mscratch", "sepc", "mepc", "stval")
_WORD = 8
_SP = 2
_STACK = 1 << 14
"""Bytes of a stack above the stack pointer that are read where nothing says where the stack ends."""
_WRITABLE = 2


@dataclass(frozen=True, slots=True)
class Unreachable:
    """What is held though nothing points to it: registers, data of the image, stacks, and what those lead to."""

    frames: tuple[FrameAllocated, ...]
    """Once for each frame."""
    blocks: tuple[HeapAllocated, ...]


@dataclass(slots=True)
class _Piece:
    """A held frame or block, or a part of the image's data, by physical addresses."""

    start: int
    end: int
    frame: int | None = None
    block: HeapAllocated | None = None
    reached: bool = False
    parts: list[tuple[int, int]] = field(default_factory=list)


def unreachable(machine: Machine, ledger: AllocationLedger) -> Unreachable:
    """Scan for pointers now, between two runs, and name what they do not lead to.

    Anything that could be a pointer counts as one, as with kmemleak: an address of a piece or into it, physical or
    virtual; for frames also a page number, and a PTE. A leak can so be missed, when a number happens to look like
    its address, but what a pointer leads to is never called unreachable, unless the kernel keeps it in another form.
    Free memory of the heap is not read. Raises ConfigError while the guest executes.
    """
    if machine.core.engine.running:
        raise ConfigError("pointers are looked for between runs, not while the guest executes")
    return _Scan(machine, ledger).result()


class _Scan:
    def __init__(self, machine: Machine, ledger: AllocationLedger) -> None:
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
        self._frames = {ppn: _Piece(ppn << PAGE_BITS, (ppn + 1) << PAGE_BITS, frame=ppn) for ppn in ledger.frames.held}
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

    def _roots(self) -> Iterator[tuple[int, int]]:
        """The image's writable memory (data, bss, the stacks in them), and the stack where it lies elsewhere."""
        stack = self._physical(self._machine.hart.x[_SP])
        if stack is not None and stack >> PAGE_BITS not in self._frames:
            yield stack, stack + _STACK
        image = self._machine.image
        for segment in image.segments if image is not None else ():
            if segment.flags & _WRITABLE or not segment.flags:
                yield segment.physical, segment.end

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
            first = -(-first // _WORD) * _WORD
            length = (last - first) // _WORD * _WORD
            if length <= 0:
                continue
            for word in memoryview(bytes(self._machine.memory.view(first, length))).cast("Q"):
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
        physical = self._physical(word)
        if physical is None:
            return
        self._reach_frame(physical >> PAGE_BITS)
        index = bisect_right(self._block_starts, physical) - 1
        if index >= 0 and physical < self._blocks[index].end:
            self._reach(self._blocks[index])

    def _reach_frame(self, ppn: int) -> None:
        piece = self._frames.get(ppn)
        if piece is not None:
            self._reach(piece)

    def _reach(self, piece: _Piece) -> None:
        if not piece.reached:
            piece.reached = True
            self._waiting.append(piece)

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
