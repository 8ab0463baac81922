"""The kinds of events that can be told of in lines: the word of `--trace` for each, and what its line begins with."""

from emu.events import (
    AddressSpaceSwitched,
    CsrWritten,
    Event,
    FrameAllocated,
    FrameFreed,
    FunctionCalled,
    FunctionReturned,
    HeapAllocated,
    HeapFreed,
    InterruptRaised,
    MachineReset,
    MemoryAccessed,
    MmioAccess,
    PageEvicted,
    PageFault,
    PageLoaded,
    PteWritten,
    StaleTranslationUsed,
    SyscallMade,
    TlbFilled,
    TrapReturned,
    TrapTaken,
)
from emu.observe.faults import PageFaultHandled

KINDS: dict[str, dict[type[Event], str]] = {
    "faults": {PageFault: "fault", PageFaultHandled: "handled"},
    "frames": {FrameAllocated: "frame +", FrameFreed: "frame -"},
    "heap": {HeapAllocated: "heap +", HeapFreed: "heap -"},
    "pages": {PageEvicted: "page -", PageLoaded: "page +"},
    "traps": {TrapTaken: "trap", TrapReturned: "return", MachineReset: "reset"},
    "syscalls": {SyscallMade: "syscall"},
    "satp": {AddressSpaceSwitched: "satp"},
    "csrs": {CsrWritten: "csr"},
    "tlb": {TlbFilled: "tlb"},
    "ptes": {PteWritten: "pte"},
    "stale": {StaleTranslationUsed: "stale"},
    "mmio": {MmioAccess: "mmio"},
    "irq": {InterruptRaised: "irq"},
    "calls": {FunctionCalled: "call", FunctionReturned: "ret"},
    "memory": {MemoryAccessed: "memory"},
}
"""What each word stands for. `Sentences` has a method for each event, of the same name in lower case."""
PATTERNED = ("calls", "memory")
"""Words that are written with what they are about: calls=PATTERN."""
