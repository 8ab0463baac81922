"""What users import: the machine, its events and observers, the assembler, the linker and the teaching kernel.

Each name is loaded with its first use, so that `import ekernel` costs what is used of it.

>>> import ekernel
>>> off = ekernel.assemble("li a7, 8; ecall", name="off.S")  # SBI: shutdown
>>> linked = ekernel.link([off], script="SECTIONS { . = 0x80200000; .text : { *(.text) } }")
>>> machine = ekernel.Machine(ekernel.MachineConfig(ram_size=16 << 20))
>>> machine.load(ekernel.Image.from_bytes(linked.elf, "off.elf"))
>>> machine.run().instructions
2
"""

TYPE_CHECKING = False  # `typing` costs a start more than all of this

if TYPE_CHECKING:
    from emu.address import (
        PhysAddr as PhysAddr,
        PhysPageNum as PhysPageNum,
        VirtAddr as VirtAddr,
        VirtPageNum as VirtPageNum,
    )
    from emu.debug.gdb import GdbServer as GdbServer
    from emu.errors import (
        AddressError as AddressError,
        ConfigError as ConfigError,
        EmuError as EmuError,
        GuestPanic as GuestPanic,
        ImageError as ImageError,
        LimitExceeded as LimitExceeded,
        MachineError as MachineError,
        RecordingError as RecordingError,
        SymbolError as SymbolError,
    )
    from emu.events import (
        AddressSpaceSwitched as AddressSpaceSwitched,
        CsrWritten as CsrWritten,
        ConsoleOutput as ConsoleOutput,
        Event as Event,
        FrameAllocated as FrameAllocated,
        FrameFreed as FrameFreed,
        FunctionCalled as FunctionCalled,
        FunctionReturned as FunctionReturned,
        HeapAllocated as HeapAllocated,
        HeapFreed as HeapFreed,
        InterruptRaised as InterruptRaised,
        MachineReset as MachineReset,
        MemoryAccessed as MemoryAccessed,
        MmioAccess as MmioAccess,
        PageEvicted as PageEvicted,
        PageFault as PageFault,
        PageLoaded as PageLoaded,
        PteWritten as PteWritten,
        StateRestored as StateRestored,
        SyscallMade as SyscallMade,
        TlbFilled as TlbFilled,
        TrapReturned as TrapReturned,
        TrapTaken as TrapTaken,
    )
    from emu.firmware.image import Image as Image
    from emu.isa.privilege import Access as Access, Privilege as Privilege
    from emu.machine.history.moment import Moment as Moment
    from emu.machine import (
        Drive as Drive,
        Machine as Machine,
        MachineConfig as MachineConfig,
        Outcome as Outcome,
        Semihosting as Semihosting,
        Snapshot as Snapshot,
        StopReason as StopReason,
    )
    from emu.machine.pool import MachinePool as MachinePool
    from emu.observe.allocations.description import Allocator as Allocator, read_description as read_description
    from emu.observe.allocations.history import AllocationHistory as AllocationHistory
    from emu.observe.allocations.ledger import AllocationLedger as AllocationLedger
    from emu.observe.allocations.observers import FrameObserver as FrameObserver, HeapObserver as HeapObserver
    from emu.observe.allocations.reach import Unreachable as Unreachable, unreachable as unreachable
    from emu.observe.allocations.signatures import frame_allocator as frame_allocator, heap_allocator as heap_allocator
    from emu.observe.calls.tracer import CallTracer as CallTracer
    from emu.observe.faults import PageFaultHandled as PageFaultHandled, PageFaultObserver as PageFaultObserver
    from emu.observe.calls.functions import FunctionObserver as FunctionObserver
    from emu.observe.lastinstructions import LastInstructions as LastInstructions
    from emu.observe.memory import MemoryObserver as MemoryObserver, WatchedRange as WatchedRange
    from emu.observe.origins import Link as Link, why as why
    from emu.observe.pagetables.changes import PteChange as PteChange, pte_changes as pte_changes
    from emu.observe.replacement import ReplacementObserver as ReplacementObserver
    from emu.observe.sanitizer.address import AddressSanitizer as AddressSanitizer
    from emu.observe.sanitizer.uninit.sanitizer import UninitSanitizer as UninitSanitizer
    from emu.observe.sanitizer.bugs import Bug as Bug, MemoryBug as MemoryBug
    from emu.observe.writers import LastWrite as LastWrite, LastWrites as LastWrites
    from emu.record.recorder import Recorder as Recorder
    from emu.record.recording import Recording as Recording
    from emu.subscriptions import Subscription as Subscription
    from emu.testing.calls.crash import GuestCrash as GuestCrash
    from emu.testing.fuzz import fuzz as fuzz
    from emu.testing.points import points as points
    from emu.walks import Refusal as Refusal, Walk as Walk, WalkStep as WalkStep
    from kernel.build import BuiltKernel as BuiltKernel, build as build
    from kernel.errors import KernelBuildError as KernelBuildError
    from kernel.profiles import PROFILES as PROFILES
    from linker import LinkOptions as LinkOptions, LinkResult as LinkResult, link as link
    from linker.assembler import (
        AssemblerOptions as AssemblerOptions,
        assemble as assemble,
        assemble_file as assemble_file,
    )
    from linker.errors import ToolchainError as ToolchainError

_HOMES = {
    "emu.address": "PhysAddr PhysPageNum VirtAddr VirtPageNum",
    "emu.debug.gdb": "GdbServer",
    "emu.errors": "AddressError ConfigError EmuError GuestPanic ImageError LimitExceeded MachineError RecordingError "
    "SymbolError",
    "emu.events": "AddressSpaceSwitched ConsoleOutput CsrWritten Event FrameAllocated FrameFreed FunctionCalled "
    "FunctionReturned HeapAllocated HeapFreed InterruptRaised MachineReset MemoryAccessed MmioAccess PageEvicted "
    "PageFault PageLoaded PteWritten StateRestored SyscallMade TlbFilled TrapReturned TrapTaken",
    "emu.firmware.image": "Image",
    "emu.isa.privilege": "Access Privilege",
    "emu.machine.history.moment": "Moment",
    "emu.machine": "Drive Machine MachineConfig Outcome Semihosting Snapshot StopReason",
    "emu.machine.pool": "MachinePool",
    "emu.observe.allocations.description": "Allocator read_description",
    "emu.observe.allocations.history": "AllocationHistory",
    "emu.observe.allocations.ledger": "AllocationLedger",
    "emu.observe.allocations.observers": "FrameObserver HeapObserver",
    "emu.observe.allocations.reach": "Unreachable unreachable",
    "emu.observe.allocations.signatures": "frame_allocator heap_allocator",
    "emu.observe.calls.tracer": "CallTracer",
    "emu.observe.faults": "PageFaultHandled PageFaultObserver",
    "emu.observe.calls.functions": "FunctionObserver",
    "emu.observe.lastinstructions": "LastInstructions",
    "emu.observe.memory": "MemoryObserver WatchedRange",
    "emu.observe.origins": "Link why",
    "emu.observe.pagetables.changes": "PteChange pte_changes",
    "emu.observe.replacement": "ReplacementObserver",
    "emu.observe.sanitizer.address": "AddressSanitizer",
    "emu.observe.sanitizer.uninit.sanitizer": "UninitSanitizer",
    "emu.observe.sanitizer.bugs": "Bug MemoryBug",
    "emu.observe.writers": "LastWrite LastWrites",
    "emu.record.recorder": "Recorder",
    "emu.record.recording": "Recording",
    "emu.subscriptions": "Subscription",
    "emu.testing.calls.crash": "GuestCrash",
    "emu.testing.fuzz": "fuzz",
    "emu.testing.points": "points",
    "emu.walks": "Refusal Walk WalkStep",
    "kernel.build": "BuiltKernel build",
    "kernel.errors": "KernelBuildError",
    "kernel.profiles": "PROFILES",
    "linker": "LinkOptions LinkResult link",
    "linker.assembler": "AssemblerOptions assemble assemble_file",
    "linker.errors": "ToolchainError",
}
"""The names of this module by the module that each lives in; what is read statically stands above."""

__all__ = sorted(name for names in _HOMES.values() for name in names.split())


def __getattr__(name: str) -> object:
    """Load a name with its first use. Raises ImportError when something hides the package that it lives in."""
    from importlib import import_module

    home = next((home for home, names in _HOMES.items() if name in names.split()), None)
    if home is None:
        raise AttributeError(f"module 'ekernel' has no attribute '{name}'")
    from ekernel.neighbours import check

    check()
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return __all__
