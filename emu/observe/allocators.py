"""Frame and heap allocations, seen at the calls of a kernel's own allocator functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from emu.address import PAGE_BITS, PhysPageNum, VirtAddr
from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.machine import Machine
from emu.observe.calls import Call, CallTracer, Return
from emu.observe.source import Source


class FrameUnit(Enum):
    """What a frame allocator's functions take and return."""

    PPN = "ppn"
    """A physical page number."""
    ADDRESS = "address"
    """A physical address, or the virtual address that the kernel maps the frame at."""


@dataclass(frozen=True, slots=True)
class FrameFunction:
    """A function that hands out frames (result in a0, 0 for none) or takes them back (a0)."""

    name: str
    frees: bool = False
    unit: FrameUnit = FrameUnit.PPN
    count_argument: int | None = None
    """Which argument is the number of frames; None means one frame."""


@dataclass(frozen=True, slots=True)
class HeapFunction:
    """A function that hands out blocks (result in a0, 0 for none) or takes them back (a0)."""

    name: str
    frees: bool = False
    size_argument: int | None = None
    align_argument: int | None = None


FRAME_FUNCTIONS: tuple[FrameFunction, ...] = (
    FrameFunction("frame_alloc"),
    FrameFunction("frame_alloc_contiguous", count_argument=0),
    FrameFunction("frame_dealloc", frees=True),
    FrameFunction("frame_dealloc_contiguous", frees=True, count_argument=1),
    FrameFunction("kalloc", unit=FrameUnit.ADDRESS),
    FrameFunction("kfree", frees=True, unit=FrameUnit.ADDRESS),
)
"""Frame allocators known by name: ekernel's own, and xv6's kalloc.c."""

HEAP_FUNCTIONS: tuple[HeapFunction, ...] = (
    HeapFunction("heap_alloc", size_argument=0, align_argument=1),
    HeapFunction("heap_dealloc", frees=True, size_argument=1),
    HeapFunction("__rust_alloc", size_argument=0, align_argument=1),
    HeapFunction("__rust_dealloc", frees=True, size_argument=1),
)
"""Heaps known by name: ekernel's own, and the functions that every Rust kernel's global allocator stands behind."""


class FrameObserver(Source):
    """Makes FrameAllocated and FrameFreed events of the calls of the functions that the image has.

    A call that is made inside another of them (a contiguous allocation that takes single frames) is part of it.
    """

    def __init__(self, machine: Machine, functions: Sequence[FrameFunction] = FRAME_FUNCTIONS) -> None:
        self.functions = _present(machine, functions)
        """Those of the given functions that the loaded image has; none if none of them allocates."""
        self._tracer = CallTracer(machine)
        super().__init__(machine, FrameAllocated, FrameFreed)

    def install(self) -> None:
        """Watch the allocator's functions."""
        for function in self.functions:
            _trace(self._machine, self._tracer, function.name, function.frees, self._event_maker(function))

    def remove(self) -> None:
        """Stop watching."""
        self._tracer.close()

    def _event_maker(self, function: FrameFunction) -> Callable[[Call, int], Event]:
        def event(call: Call, value: int) -> Event:
            ppn = value if function.unit is FrameUnit.PPN else self._frame_at(value)
            count = 1 if function.count_argument is None else call.args[function.count_argument]
            kind = FrameFreed if function.frees else FrameAllocated
            return kind(
                instret=self._machine.instret,
                pc=self._tracer.site(call),
                privilege=call.privilege,
                ppn=PhysPageNum(ppn),
                count=count,
            )

        return event

    def _frame_at(self, address: int) -> int:
        if self._machine.memory.ram.contains(address):
            return address >> PAGE_BITS
        physical = self._machine.walk(VirtAddr(address)).physical
        return (address if physical is None else physical) >> PAGE_BITS


class HeapObserver(Source):
    """Makes HeapAllocated and HeapFreed events of the calls of the functions that the image has."""

    def __init__(self, machine: Machine, functions: Sequence[HeapFunction] = HEAP_FUNCTIONS) -> None:
        self.functions = _present(machine, functions)
        """Those of the given functions that the loaded image has; none if none of them allocates."""
        self._tracer = CallTracer(machine)
        super().__init__(machine, HeapAllocated, HeapFreed)

    def install(self) -> None:
        """Watch the heap's functions."""
        for function in self.functions:
            _trace(self._machine, self._tracer, function.name, function.frees, self._event_maker(function))

    def remove(self) -> None:
        """Stop watching."""
        self._tracer.close()

    def _event_maker(self, function: HeapFunction) -> Callable[[Call, int], Event]:
        def event(call: Call, value: int) -> Event:
            instret, pc, address = self._machine.instret, self._tracer.site(call), VirtAddr(value)
            size = 0 if function.size_argument is None else call.args[function.size_argument]
            if function.frees:
                return HeapFreed(instret=instret, pc=pc, privilege=call.privilege, address=address, size=size)
            align = 0 if function.align_argument is None else call.args[function.align_argument]
            return HeapAllocated(
                instret=instret, pc=pc, privilege=call.privilege, address=address, size=size, align=align
            )

        return event


_Function = TypeVar("_Function", FrameFunction, HeapFunction)


def _present(machine: Machine, functions: Sequence[_Function]) -> tuple[_Function, ...]:
    # A function that frees belongs to an allocator that is here too: Linux has a `kfree`, which is not xv6's.
    present = tuple(function for function in functions if function.name in machine.symbols)
    return () if all(function.frees for function in present) else present


def _trace(
    machine: Machine, tracer: CallTracer, name: str, frees: bool, make_event: Callable[[Call, int], Event]
) -> None:
    """Emit an event for each outermost call: a free when it is called, an allocation when it returns."""

    def called(call: Call) -> None:
        if frees and call.depth == 0:
            machine.events.emit(make_event(call, call.args[0]))

    def returned(end: Return) -> None:
        if not frees and end.call.depth == 0 and end.value != 0:
            machine.events.emit(make_event(end.call, end.value))

    tracer.trace(name, machine.symbols.lookup(name).address, called, returned)
