"""What the sanitizer finds, in KASAN's words."""

from enum import Enum

from emu.address import VirtAddr
from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.lateclass import dataclass, field


class Bug(Enum):
    """Kinds of mistakes, by the words of KASAN's reports."""

    OUT_OF_BOUNDS = "slab-out-of-bounds"
    """Beside a block that is held, in memory of the heap that nobody holds."""
    USE_AFTER_FREE = "slab-use-after-free"
    PAGE_USE_AFTER_FREE = "use-after-free"
    """Of a frame."""
    WILD = "wild-memory-access"
    """To memory of an allocator that was never handed out."""
    STACK = "stack-out-of-bounds"
    USER = "user-poisoned-access"
    """To what `poison` has named."""
    DOUBLE_FREE = "double-free"
    INVALID_FREE = "invalid-free"
    """Of what nobody holds, or of an address inside of a block."""
    WRONG_SIZE_FREE = "wrong-size-free"
    """Of a block that is held, with another size than it was asked for with; KASAN is told no sizes."""
    UNINIT = "uninit-value"
    """Memory that was never written since it was handed out decides something: KMSAN's word, as the next."""
    LEAK = "kernel-infoleak"
    """A process gets to see it."""


class Use(Enum):
    """What a value that was never written is used for."""

    BRANCH = "decides a branch"
    ADDRESS = "is part of an address"
    JUMP = "is where a jump goes"
    USER = "is copied to a process"


@dataclass(frozen=True, slots=True)
class Region:
    """A block of a heap, or a run of frames, now or as it was."""

    start: VirtAddr
    size: int
    is_frames: bool
    allocated: HeapAllocated | FrameAllocated | None
    freed: HeapFreed | FrameFreed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBug(Event):
    """The guest is about to access or to free what it must not; `pc` is the instruction, or the call of the free."""

    bug: Bug
    address: VirtAddr
    size: int
    """Bytes; 0 for a free, but the size that it was told where that is the mistake."""
    write: bool
    value: int
    """What is stored."""
    region: Region | None = None
    """What the address lies in or beside."""
    why: str = ""
    """The reason that `poison` was given."""
    callers: tuple[VirtAddr, ...] = field(default=(), repr=False)
    shadow: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)
    """Around the address: an address, and a byte for each 8 bytes from there on: 00 may be accessed, 01 to 07 as many
    bytes of them; fb freed block, fc heap that nobody holds, ff free frame, f1 below a stack, f7 poisoned by hand."""
    use: Use | None = None
    """Of what was never written; the address and the size are then those of the load that found it."""
    unwritten: tuple[int, int] | None = None
    """Which of these bytes were never written: the first and the last."""
    stored: tuple[VirtAddr, ...] = field(default=(), repr=False)
    """The store by which they came there, if they did by one, and the calls that led to it."""
