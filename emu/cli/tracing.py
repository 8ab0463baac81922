"""What `--trace` and its relatives ask for, read and checked before anything starts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from emu.errors import ConfigError
from emu.events import (
    AddressSpaceSwitched,
    Event,
    FrameAllocated,
    FrameFreed,
    FunctionCalled,
    FunctionReturned,
    HeapAllocated,
    HeapFreed,
    InterruptRaised,
    MachineReset,
    MmioAccess,
    PageEvicted,
    PageFault,
    PageLoaded,
    PteWritten,
    SyscallMade,
    TablesLeftOut,
    TlbFilled,
    TrapReturned,
    TrapTaken,
)
from emu.observe.allocators import FRAME_FUNCTIONS, HEAP_FUNCTIONS, FrameFunction, FrameUnit, HeapFunction
from emu.observe.faults import PageFaultHandled

TRACE_KINDS: dict[str, tuple[type[Event], ...]] = {
    "faults": (PageFault, PageFaultHandled),
    "frames": (FrameAllocated, FrameFreed),
    "heap": (HeapAllocated, HeapFreed),
    "pages": (PageEvicted, PageLoaded),
    "traps": (TrapTaken, TrapReturned, MachineReset),
    "syscalls": (SyscallMade,),
    "satp": (AddressSpaceSwitched,),
    "tlb": (TlbFilled,),
    "ptes": (PteWritten, TablesLeftOut),
    "mmio": (MmioAccess,),
    "irq": (InterruptRaised,),
}
"""The words of `--trace` and the events they stand for; `calls=PATTERN` comes on top."""

DEFAULT_TRACE = "faults,frames,heap"
"""What `--trace-out` writes when nothing else was asked for."""

_CALLS = "calls="


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """Kinds of events and patterns of function names.

    >>> TraceRequest.parse("heap,calls=frame_*")
    TraceRequest(kinds=('heap',), functions=('frame_*',))
    """

    kinds: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "TraceRequest":
        """Read a comma-separated list. Raises ConfigError for a word that is none of the known ones."""
        words = [word.strip() for word in text.split(",") if word.strip()]
        functions = tuple(word.removeprefix(_CALLS) for word in words if word.startswith(_CALLS))
        kinds = tuple(dict.fromkeys(word for word in words if not word.startswith(_CALLS)))
        for kind in kinds:
            if kind not in TRACE_KINDS:
                near = get_close_matches(kind, TRACE_KINDS, 1)
                suggestion = f"did you mean '{near[0]}'? " if near else ""
                raise ConfigError(
                    f"--trace does not know '{kind}': {suggestion}It takes {', '.join(TRACE_KINDS)}, calls=PATTERN"
                )
        return cls(kinds, functions)

    def events(self) -> Iterator[type[Event]]:
        """The kinds of events to listen to."""
        for kind in self.kinds:
            yield from TRACE_KINDS[kind]
        if self.functions:
            yield from (FunctionCalled, FunctionReturned)


def frame_functions(text: str | None) -> tuple[FrameFunction, ...]:
    """The frame allocator named by `ALLOC,FREE[,ppn|address]`; the known ones for None.

    >>> [function.name for function in frame_functions("kalloc,kfree,address")]
    ['kalloc', 'kfree']
    """
    if text is None:
        return FRAME_FUNCTIONS
    match = re.fullmatch(r"([^,]+),([^,]+)(?:,(ppn|address))?", text)
    if match is None:
        raise ConfigError(
            f"--frame-functions '{text}' is not ALLOC,FREE[,ppn|address]: the names of the two functions, "
            "and whether they deal in page numbers (ppn, the default) or addresses"
        )
    unit = FrameUnit(match[3] or FrameUnit.PPN.value)
    return FrameFunction(match[1], unit=unit), FrameFunction(match[2], frees=True, unit=unit)


def heap_functions(text: str | None) -> tuple[HeapFunction, ...]:
    """The heap named by `ALLOC,FREE` (the size is the allocator's first argument); the known ones for None.

    >>> [function.name for function in heap_functions("malloc,free")]
    ['malloc', 'free']
    """
    if text is None:
        return HEAP_FUNCTIONS
    alloc, _, free = text.partition(",")
    if not (alloc and free) or "," in free:
        raise ConfigError(f"--heap-functions '{text}' is not ALLOC,FREE: the names of the two functions")
    return HeapFunction(alloc, size_argument=0), HeapFunction(free, frees=True)
