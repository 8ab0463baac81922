"""The address sanitizer: reports accesses to memory that nobody holds, of kernels that were not recompiled for it."""

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self, cast

from emu.address import PAGE_BITS, VirtAddr
from emu.engine.translated.features.shadow import Poisoned
from emu.errors import ConfigError
from emu.events import FrameFreed, HeapFreed, MachineReset
from emu.isa.registers import SP
from emu.machine import Machine
from emu.observe.allocations.catalogue import Catalogue, Placed
from emu.observe.allocations.description import Allocator, Governed, Unit
from emu.observe.allocations.moments import CallMoment, MachineMoment, ReturnMoment
from emu.observe.allocations.observers import AllocatorObserver, FrameObserver, HeapObserver
from emu.observe.calls.tracer import Call, CallTracer, Return
from emu.observe.sanitizer.bugs import Bug, MemoryBug, Region
from emu.observe.sanitizer.contents import Contents
from emu.observe.sanitizer.followed import Followed
from emu.observe.sanitizer.inside import Inside
from emu.observe.sanitizer.poison import Poison
from emu.observe.sanitizer.quarantine import Quarantine
from emu.subscriptions import cancel_all

_CELL, _LINE = 8, 128
_ALL = (1 << 64) - 1
_GUARD = 256
"""Bytes below a stack that are watched."""
_DEEPEST = 1 << 16
"""So far below its stack sp is taken for grown out of it."""
_MOST_PLACES, _CALLS = 1 << 12, 3
"""Places that are told of once each: an instruction, and so many calls that led to it."""


class AddressSanitizer:
    """Makes MemoryBug events; each instruction is told of once for each kind of bug and way that led to it.

    Attach it before the kernel runs; it follows snapshots. What allocators' own functions do, and what they call, is
    not judged. Accesses are seen by the addresses at which the kernel's linear map (or none) has the memory of its
    allocators.
    """

    def __init__(
        self,
        machine: Machine,
        frames: Sequence[Allocator] | None = None,
        blocks: Sequence[Allocator] | None = None,
        *,
        stacks: Sequence[range] = (),
        quarantine: int = 0,
    ) -> None:
        """`frames` and `blocks` as for FrameObserver and HeapObserver; `stacks` are ranges of virtual addresses.

        `quarantine`: so many bytes of freed memory are held back from its allocators, so that they are not handed out
        again while accesses by those that have freed them may still come. It makes the run another one.
        """
        known = machine.events.observers.get(AddressSanitizer)
        earlier = known if isinstance(known, AddressSanitizer) else None
        if earlier is not None:
            earlier.close()
        machine.events.observers[AddressSanitizer] = self
        self._machine = machine
        self.found = 0
        """How many bugs were reported."""
        self.learned = 0
        """How often an allocator has said which memory is its own."""
        self.governing: Callable[[int, int], None] = lambda _physical, _size: None
        """Called then, with the physical address and the size."""
        self._told: set[tuple[object, ...]] = set()
        self._named: list[tuple[range, str]] = []
        self._stacks: list[range] = []
        self._observers = FrameObserver(machine, frames), HeapObserver(machine, blocks)
        self._inside = Inside(machine, *self._observers)
        self._poison = Poison(machine, self._accessed, self._inside)
        self._followed = Followed(self._poison, self._inside, self._free, self._note_freed)
        self._quarantine = Quarantine(machine, quarantine)
        self._freed: list[tuple[int, int]] = []
        """Physical address and size of what the present call frees; nothing where nobody held it."""
        self._tracer = CallTracer(machine)
        self._subscriptions = [
            FrameObserver.collect(machine, self._followed.frames, at_once=False, can_wait=True),
            HeapObserver.collect(machine, self._followed.blocks, at_once=False, can_wait=True),
            machine.on(MachineReset, lambda _event: self.restore(None)),
            machine.events.add_source(MemoryBug, lambda: lambda: None),
            machine.add_follower(self),
        ]
        if quarantine:
            self._subscriptions += [observer.tell_freeing(self._hold) for observer in self._observers]
        for place, why in earlier._named if earlier is not None else ():
            self.poison(place, why)
        self._follow_governed([one for observer in self._observers for one in observer.allocators])
        for stack in (*stacks, *self._described_stacks()):
            self.guard_stack(stack)

    @property
    def contents(self) -> Contents:
        """What is where."""
        return self._followed.contents

    @property
    def inside(self) -> Inside:
        """Which calls are those of allocators."""
        return self._inside

    @property
    def poison_bits(self) -> Poison:
        """Which memory must not be accessed, and where the kernel's linear map has it."""
        return self._poison

    @property
    def observers(self) -> tuple[AllocatorObserver, ...]:
        """What tells it of allocations."""
        return self._observers

    def close(self) -> None:
        """Judge nothing more."""
        if self._machine.events.observers.get(AddressSanitizer) is self:
            del self._machine.events.observers[AddressSanitizer]
        cancel_all(self._subscriptions)
        self._tracer.close()
        for observer in self._observers:
            observer.close()
        self._poison.close()
        self._inside.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # What users say.

    def poison(self, place: range, why: str) -> None:
        """Report accesses to these virtual addresses, with the reason."""
        self._named.append((place, why))
        self._poison.set_virtual(place)

    def unpoison(self, place: range) -> None:
        """Whoever accesses these virtual addresses may do so."""
        self._named = [(other, why) for other, why in self._named if not _meet(other, place)]
        self._poison.clear_virtual(place)

    def guard_stack(self, stack: range) -> None:
        """Report accesses below a stack while sp is there."""
        self._stacks.append(stack)
        self._poison.set_virtual(_below(stack))

    def tell_again(self) -> None:
        """Tell of each place once more, as if nothing had been told of yet."""
        self._told.clear()

    # Snapshots.

    def save(self) -> object:
        """What it knows, for a snapshot."""
        return self.contents.copied(), self._poison.save(), self._quarantine.save()

    def restore(self, state: object | None) -> None:
        """Return to what was saved; to nothing when the snapshot is older than the sanitizer."""
        self._inside.settle()
        contents, poison, held = cast("tuple[Contents, object, object]", state or (Contents(), None, None))
        self._quarantine.restore(held)
        self._followed.restore(contents)
        self._poison.restore(poison)

    # What allocators do.

    def _described_stacks(self) -> Iterator[range]:
        """Raises ConfigError for one that the user's own description has, and the image lacks."""
        moment = MachineMoment(self._machine)
        allocators = dict.fromkeys(one for observer in self._observers for one in observer.allocators)
        for allocator, stack in ((one, stack) for one in allocators for stack in one.stacks):
            low, high = stack.low.at(moment), stack.high.at(moment)
            if low is not None and high is not None and low < high:
                yield range(low, high)
            elif allocator.trusted:
                raise ConfigError(
                    f"{allocator.name}: no stack lies from {stack.low.text} to {stack.high.text}; [[stack]] wants "
                    "addresses of symbols that the image has, the lower one first"
                )

    def _follow_governed(self, allocators: Sequence[Allocator]) -> None:
        catalogue = Catalogue(self._machine.symbols)
        for allocator in dict.fromkeys(allocators):
            for one in allocator.memory:
                for symbol in catalogue.matching(one.pattern):
                    self._tracer.trace(symbol.label, symbol.address, self._begins, self._governs(one))

    def _begins(self, _call: object) -> None:
        return

    def _governs(self, one: Governed) -> Callable[[Return], None]:
        def returned(end: Return) -> None:
            if one.is_result and not self._inside.heap_is_asking:
                return
            moment = CallMoment(self._machine, end.call)
            at = one.at.at(ReturnMoment(self._machine, moment) if one.is_result else moment)
            size = one.size.at(moment)
            physical = self._physical(at or 0)
            if not at or not size or physical is None:
                return
            self.learned += 1
            self._followed.governed(physical, size, blocks=one.blocks)
            self.governing(physical, size)

        return returned

    def _hold(self, placed: Placed, call: Call) -> None:
        """A call frees something: hold it back, if its description says by registers alone what that is."""
        freed, self._freed = self._freed, []
        function = placed.function
        if function.element is not None or len(freed) > 1:
            return
        if freed:
            self._quarantine.freed(call, *freed[0])
            return
        address = next((number for value in function.at if (number := value.at(CallMoment(self._machine, call)))), 0)
        place = address << PAGE_BITS if function.unit is Unit.PPN and function in placed.allocator.frames else address
        physical = place if self._machine.memory.ram.contains(place) else self._physical(place)
        if physical is not None:
            self._quarantine.refused(call, physical)

    def _note_freed(self, physical: int, size: int) -> None:
        if self._quarantine.limit:
            self._freed.append((physical, size))

    # What the guest does.

    def _accessed(self, access: Poisoned) -> None:
        physical = self._physical(access.address)
        if physical is None:
            return
        if self._poison.at(physical, access.size) or self._is_named(access.address, access.size):
            core = self._machine.core
            core.shadow.in_access(core, access.pc, self._judge, access, physical)

    def _judge(self, access: Poisoned, physical: int) -> None:
        callers = self._inside.callers()
        if self._inside.is_allocator(access.pc, callers):
            return
        bits = self._poison.at(physical, access.size)
        first = max((bits & -bits).bit_length() - 1, 0)  # of the access, the first byte that must not be touched
        bug, region, why = self._what(range(access.address + first, access.address + access.size), physical + first)
        if bug is None:
            return
        self._tell(
            bug, access.pc, VirtAddr(access.address), callers, region, why,
            size=access.size, write=access.is_store, value=access.value, physical=physical,
        )  # fmt: skip

    def _what(self, touched: range, physical: int) -> tuple[Bug | None, Region | None, str]:
        contents, sp, address = self.contents, self._machine.hart.x[SP], touched.start
        for place, why in self._named:
            if _meet(touched, place):
                return Bug.USER, None, why
        for stack in self._stacks:
            if _meet(touched, _below(stack)) and stack.start - _DEEPEST <= sp < stack.start:
                return Bug.STACK, Region(VirtAddr(stack.start), len(stack), False, None), ""
        if not self._poison.at(physical, 1):
            return None, None, ""
        freed = contents.freed_around(physical)
        if freed is not None:
            return Bug.USE_AFTER_FREE, freed.region, ""
        frame = contents.frame_around(physical, address)
        if frame is not None and physical >> PAGE_BITS not in contents.heap:
            return (Bug.PAGE_USE_AFTER_FREE if frame.allocated else Bug.WILD), frame, ""
        beside = contents.beside(physical)
        return (Bug.WILD, None, "") if beside is None else (Bug.OUT_OF_BOUNDS, beside.region, "")

    def _free(self, bug: Bug, event: HeapFreed | FrameFreed, address: VirtAddr, region: Region | None) -> None:
        physical, observer = self._physical(address), self._observers[isinstance(event, HeapFreed)]

        size = event.size if isinstance(event, HeapFreed) and bug is Bug.WRONG_SIZE_FREE else 0

        def tell() -> None:
            self._tell(
                bug, event.pc, address, event.callers, region, "", size=size, write=False, value=0, physical=physical
            )

        observer.at_moment(event.instret, tell)

    def _tell(
        self, bug: Bug, pc: int, address: VirtAddr, callers: Sequence[int], region: Region | None, why: str,
        *, size: int, write: bool, value: int, physical: int | None,
    ) -> None:  # fmt: skip
        place = bug, pc, *callers[:_CALLS]
        if place in self._told or len(self._told) >= _MOST_PLACES:
            return
        self._told.add(place)
        self.found += 1
        machine = self._machine
        machine.events.emit(
            MemoryBug(
                instret=machine.instret, pc=VirtAddr(pc), privilege=machine.hart.privilege,
                bug=bug, address=address, size=size, write=write, value=value, region=region, why=why,
                callers=tuple(map(VirtAddr, callers)), shadow=self._around(address, physical),
            )
        )  # fmt: skip

    def _around(self, address: int, physical: int | None) -> tuple[tuple[int, bytes], ...]:
        """KASAN's bytes of five lines."""
        if physical is None:
            return ()
        offset, first = address - physical, (address & -_LINE) - 2 * _LINE
        return tuple(
            (line, bytes(self._code(at, at - offset) for at in range(line, line + _LINE, _CELL)))
            for line in range(first, first + 5 * _LINE, _LINE)
        )

    def _code(self, virtual: int, physical: int) -> int:
        cell = range(virtual, virtual + _CELL)
        if any(_meet(cell, place) for place, _ in self._named):
            return 0xF7
        if any(_meet(cell, _below(stack)) for stack in self._stacks):
            return 0xF1
        bits = self._poison.at(physical, _CELL)
        good = (bits & -bits).bit_length() - 1
        return good if good > 0 else self.contents.code(physical) if bits else 0

    def _is_named(self, address: int, size: int) -> bool:
        touched = range(address, address + size)
        return any(_meet(touched, place) for place, _ in self._named) or any(
            _meet(touched, _below(stack)) for stack in self._stacks
        )

    def _physical(self, address: int) -> int | None:
        return self._poison.physical(int(address) & _ALL)


def sanitizer_of(machine: Machine) -> AddressSanitizer:
    """The sanitizer that is attached to a machine, or a new one that knows no allocators."""
    found = machine.events.observers.get(AddressSanitizer)
    return found if isinstance(found, AddressSanitizer) else AddressSanitizer(machine, (), ())


def _below(stack: range) -> range:
    """What is watched below a stack."""
    return range(stack.start - _GUARD, stack.start)


def _meet(first: range, second: range) -> bool:
    return first.start < second.stop and second.start < first.stop
