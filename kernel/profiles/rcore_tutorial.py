"""Profile `rcore-tutorial`: the kernel of documents 000 and 001, linear at 0xffff_ffff_0000_0000."""

from kernel.profile import Profile, Symbols
from kernel.profiles.layout import PAGE, pages_for

_MEMORY_END = 0x8800_0000
_INTERVALS_BYTES_PER_FRAME = 12
"""What the stack of intervals keeps for each frame of the range: the owner count, and room for an interval."""
_OFFSET = 0xFFFF_FFFF_0000_0000


def _console(symbol: Symbols) -> str:
    first = symbol["ekernel"] - _OFFSET
    frames = (_MEMORY_END - first) // PAGE
    first += pages_for(frames * _INTERVALS_BYTES_PER_FRAME) * PAGE
    line = f"PhysicalAddress({first:#x}) and PhysicalAddress({first + PAGE:#x})\n"
    return f"mod memory initialized\n{line}{line}heap test passed\n"


RCORE_TUTORIAL = Profile(
    name="rcore-tutorial",
    summary="frames from a stack of intervals, 8 MiB of heap, kernel in the high half (documents 000, 001)",
    main="profiles/rcore_tutorial.S",
    self_tests=("mm/heap/heap_test.S",),
    virtual_offset=_OFFSET,
    memory_end=_MEMORY_END,
    frames="intervals",
    heap_size=0x80_0000,
    console=_console,
)
