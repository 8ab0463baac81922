"""Frame and heap allocations, seen at the calls of a kernel's own allocator functions."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from emu.address import PAGE_BITS, PAGE_SIZE, PhysPageNum, VirtAddr
from emu.errors import ConfigError
from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed
from emu.isa.privilege import Privilege
from emu.machine import Machine
from emu.observe.allocations import meanings
from emu.observe.allocations.catalogue import Catalogue, Placed
from emu.observe.allocations.collected import CollectedSource, LaterTellers, Tellers, kept_kinds
from emu.observe.allocations.description import Allocator, Does, Function, Unit
from emu.observe.allocations.freelists import Heaps
from emu.observe.allocations.meanings import Leading, Tell
from emu.observe.allocations.moments import (
    CallMoment,
    ElementMoment,
    MachineMoment,
    ReturnMoment,
    first_of,
    in_array,
    kind_of,
    listed,
    number_of,
)
from emu.observe.allocations.recorded import block_teller, frame_teller, of_element
from emu.observe.allocations.spoken import check
from emu.observe.allocations.values import Moment
from emu.observe.calls.backtrace import Backtrace
from emu.observe.calls.chains import Led
from emu.observe.calls.tracer import Call, Return


class AllocatorObserver(CollectedSource):
    """What the observers of frames and of blocks have in common.

    A call that is made inside another of them (a contiguous allocation that takes single frames) is part of it.
    """

    def __init__(
        self, machine: Machine, kinds: tuple[type[Event], ...], allocators: Sequence[Allocator] | None
    ) -> None:
        catalogue = Catalogue(machine.symbols)
        found = catalogue.fitting() if allocators is None else tuple(allocators)
        placed: dict[VirtAddr, Placed] = {}
        self.skipped: list[str] = []
        """Descriptions that turned out not to be of this kernel's allocators, each with the reason."""
        for allocator in found:
            if allocator.trusted:
                check(machine, allocator)
            for one in catalogue.place(allocator, self.functions_of(allocator)):
                placed.setdefault(one.address, one)
        self.functions = tuple(placed.values())
        """The functions of the given or fitting descriptions that the image has; none if none of them allocates."""
        self._backtrace = Backtrace(machine)
        super().__init__(machine, kinds, self.functions)

    @property
    def allocators(self) -> tuple[Allocator, ...]:
        """The descriptions by which it goes."""
        return tuple(dict.fromkeys(one.allocator for one in self.functions))

    @staticmethod
    @abstractmethod
    def functions_of(allocator: Allocator) -> tuple[Function, ...]:
        """The functions of a description that this observer follows."""

    @abstractmethod
    def report(
        self, placed: Placed, mode: Privilege, moment: Moment, at_call: MachineMoment, instret: int, led: Leading
    ) -> None:
        """Make the events of an outermost call: of a free when it is called, of all others at their return.

        `mode` is the privilege of the call, `moment` the moment of its event, `at_call` the same with the arguments in
        a0 to a7; `led` says who called.
        """

    def tellers(self, item: Placed) -> Tellers:
        """See the base."""
        at_call = item.function.does in (Does.FREE, Does.GIVE)
        note = self._noting(item)

        def called(call: Call) -> None:
            if note is not None:
                note(call)
            if call.depth:
                return
            for tell in self.crossed:
                tell(item, call.instret, None)
            if at_call:
                moment = CallMoment(self._machine, call)
                self.report(item, call.privilege, moment, moment, call.instret, lambda: self._led(call))
                for answer in self.freeing if item.function.does is Does.FREE else ():
                    answer(item, call)

        def returned(end: Return) -> None:
            if end.call.depth:
                return
            if not at_call:
                moment = CallMoment(self._machine, end.call)
                returned, led = ReturnMoment(self._machine, moment), lambda: self._led(end.call)
                self.report(item, end.call.privilege, returned, moment, end.instret, led)
            for tell in self.crossed:
                tell(item, end.call.instret, end.instret)

        return Tellers(called, returned)

    def later_tellers(self, item: Placed) -> LaterTellers:
        """See the base."""
        machine, note = self._machine, self._noting(item)
        at_call, is_crossed = item.function.does in (Does.FREE, Does.GIVE), bool(self.crossed)

        def crossed(called: int, returned: int | None) -> None:
            for tell in self.crossed:
                tell(item, called, returned)

        def called(call: Call) -> None:
            if note is not None:
                note(call)
            if call.depth:
                return
            crossed(call.instret, None)
            if at_call:
                moment = CallMoment(machine, call)
                self.report(item, call.privilege, moment, moment, call.instret, lambda: self._led(call))

        def ended(call: Call, instret: int) -> None:
            if not at_call:
                moment = CallMoment(machine, call)
                returned, led = ReturnMoment(machine, moment), lambda: self._led(call)
                self.report(item, call.privilege, returned, moment, instret, led)
            crossed(call.instret, instret)

        later = meanings.recorded(machine, item, self.report, self.recorded_teller(item))
        return LaterTellers(
            called if at_call or is_crossed else note,
            ended if is_crossed or not at_call else None,
            nested=note is not None,
            recorded=None if is_crossed and later is not None and later.has_elements else later,
            crossed=crossed if is_crossed else None,
        )

    def recorded_teller(self, _item: Placed) -> Tell | None:
        """What tells of recorded calls of a function; None where `report` does."""
        return None

    def _noting(self, item: Placed) -> Callable[[Call], None] | None:
        """What notes the structure of an allocator that its functions are given; None where they are given none."""
        own, heaps = item.function.heap, Heaps.of(self._machine)
        if own is None:
            return None

        def note(call: Call) -> None:
            if heap := own.at(CallMoment(self._machine, call)):
                heaps.note(item.allocator.name, heap)

        return note

    def _led(self, call: Call) -> Led:
        """Who called, at the moment of that or of the return."""
        where = call.return_address, call.stack_pointer
        chains = self._open_calls or self._backtrace
        return Led(self._backtrace.site(where[0]), chains.callers(*where))

    def doubt(self, placed: Placed, reason: str) -> None:
        """A number makes no sense: an error if the user has named the function, else another allocator than thought."""
        if placed.allocator.trusted:
            raise ConfigError(reason)
        self._leader.skipped.append(f"{placed.allocator.name} ({placed.allocator.about}): {reason}")
        for one in tuple(self._leader._wanted):
            if one.allocator is placed.allocator:
                self._leader.unfollow(one)


class FrameObserver(AllocatorObserver):
    """Makes FrameAllocated and FrameFreed events of the calls of the frame allocators that the image has.

    `allocators` are descriptions; None chooses those of the shipped ones that fit. Attached once however often it is
    asked for; `close()` detaches it.
    """

    def __init__(self, machine: Machine, allocators: Sequence[Allocator] | None = None) -> None:
        ram = machine.memory.ram
        self._first, self._behind = ram.base >> PAGE_BITS, (ram.base + ram.size) >> PAGE_BITS
        super().__init__(machine, (FrameAllocated, FrameFreed), allocators)

    @staticmethod
    def functions_of(allocator: Allocator) -> tuple[Function, ...]:
        """Those of frames."""
        return allocator.frames

    def report(
        self, placed: Placed, mode: Privilege, moment: Moment, at_call: MachineMoment, instret: int, led: Leading
    ) -> None:
        """See the base."""
        function = placed.function
        if function.element is not None:
            led = cache(led)
            for element in elements(function, moment):
                number = function.element.at(element)
                frame = self._frame(function.unit, number) if number else None
                if frame is not None:
                    self._emit(placed, mode, instret, *frame, 1, led())
            return
        numbers = [number for value in function.at if (number := value.at(moment))]
        frames = [frame for number in numbers if (frame := self._frame(function.unit, number)) is not None]
        if frames:
            count = number_of(function.count, at_call, 1)
            self._emit(placed, mode, instret, *frames[0], count, led())
        elif numbers:
            self.doubt(placed, self._nonsense(placed, numbers[0]))

    def recorded_teller(self, item: Placed) -> Tell | None:
        """See the base."""
        function, has_elements = item.function, item.function.element is not None
        if len(function.at) != 1:
            return None

        def told(number: int, count: int, mode: Privilege, instret: int, led: Led) -> None:
            if self._first <= number < self._behind:
                self._emit(item, mode, instret, number, 0, count, led)
            elif not has_elements:
                self.doubt(item, self._nonsense(item, number))

        return frame_teller(self._machine, of_element(function), told)

    def _emit(self, placed: Placed, mode: Privilege, instret: int, ppn: int, offset: int, count: int, led: Led) -> None:
        count = min(count, self._behind - ppn)
        site, callers = led
        number = PhysPageNum(ppn)
        if placed.function.does is Does.ALLOCATE:
            event: Event = FrameAllocated(
                instret=instret, pc=site, privilege=mode, ppn=number, count=count, callers=callers
            )
        else:
            given = placed.function.does is Does.GIVE
            event = FrameFreed(
                instret=instret, pc=site, privilege=mode, ppn=number, count=count, offset=offset,
                given=given, callers=callers,
            )  # fmt: skip
        self.tell(event)

    def _frame(self, unit: Unit, number: int) -> tuple[int, int] | None:
        """Page number and offset, None outside of RAM."""
        if unit is Unit.PPN:
            return (number, 0) if self._first <= number < self._behind else None
        address: int | None = number
        if not self._machine.memory.ram.contains(number):
            address = self._machine.walk(VirtAddr(number)).physical
        if address is None or not self._machine.memory.ram.contains(address):
            return None
        return address >> PAGE_BITS, address & (PAGE_SIZE - 1)

    def _nonsense(self, placed: Placed, number: int) -> str:
        verb = "returned" if placed.function.does is Does.ALLOCATE else "was given"
        if placed.function.unit is Unit.PPN:
            reads_as = "an address: say 'address'" if self._frame(Unit.ADDRESS, number) else ""
            said = f"page number, and RAM has {self._first:#x} to {self._behind - 1:#x}"
        else:
            reads_as = "a page number: say 'ppn'" if self._frame(Unit.PPN, number) else ""
            said = "address of RAM in this address space"
        advice = f"it looks like {reads_as}" if reads_as else "say in which register or word the frame stands"
        return f"{placed.name} {verb} {number:#x}, which is no {said}; {advice}"


def gives_addresses(machine: Machine) -> bool:
    """Whether the kernel's frame allocators return where a frame is to be used, not its number or its structure."""
    observer = machine.events.observers.get(FrameObserver)
    functions = observer.functions if isinstance(observer, FrameObserver) else ()
    return all(one.function.unit is Unit.ADDRESS for one in functions if one.function.does is Does.ALLOCATE)


class HeapObserver(AllocatorObserver):
    """Makes HeapAllocated and HeapFreed events of the calls of the heaps that the image has.

    `allocators` as for FrameObserver. A resized block is one that goes back and one that is handed out.
    """

    def __init__(self, machine: Machine, allocators: Sequence[Allocator] | None = None) -> None:
        super().__init__(machine, (HeapAllocated, HeapFreed), allocators)

    @staticmethod
    def functions_of(allocator: Allocator) -> tuple[Function, ...]:
        """Those of blocks."""
        return allocator.blocks

    def report(
        self, placed: Placed, mode: Privilege, moment: Moment, at_call: MachineMoment, instret: int, led: Leading
    ) -> None:
        """See the base."""
        function = placed.function
        size = number_of(function.size, at_call, 0)
        if function.element is not None:
            led = cache(led)
            for element in elements(function, moment):
                self._one(placed, mode, at_call, instret, function.element.at(element) or 0, size, led)
            return
        address = first_of(function.at, moment)
        if function.does is Does.RESIZE:
            old = number_of(function.old, at_call, 0)
            if old and (address or not size):
                old_size = number_of(function.old_size, at_call, 0)
                self._freed(mode, instret, old, old_size, led())
        self._one(placed, mode, at_call, instret, address, size, led)

    def recorded_teller(self, item: Placed) -> Tell | None:
        """See the base."""
        if item.function.does is Does.RESIZE:
            return None
        return block_teller(
            self._machine,
            of_element(item.function),
            self.tell,
            lambda size: self._check_size(item, size),
            kept_kinds(self._machine),
        )

    def _check_size(self, placed: Placed, size: int) -> None:
        """A block that is larger than all of RAM has its size elsewhere."""
        ram = self._machine.memory.ram.size
        if size > ram and not placed.allocator.maps:
            verb = "was given" if placed.function.does is Does.FREE else "returned"
            self.doubt(placed, f"{placed.name} {verb} a block of {size:,} bytes, and RAM has {ram:,}; say in which "
                               "register or word the bytes stand")  # fmt: skip

    def _one(
        self,
        placed: Placed,
        mode: Privilege,
        at_call: MachineMoment,
        instret: int,
        address: int,
        size: int,
        led: Leading,
    ) -> None:
        function = placed.function
        if not address:
            return
        self._check_size(placed, size)
        if function.does is Does.FREE:
            self._freed(mode, instret, address, size, led())
            return
        site, callers = led()
        kind = kind_of(function.kind, at_call)
        if number_of(function.kept, at_call, 0):
            kept_kinds(self._machine).add(kind)
        event = HeapAllocated(
            instret=instret, pc=site, privilege=mode,
            address=VirtAddr(address), size=size, align=number_of(function.align, at_call, 0),
            kind=kind, callers=callers,
        )  # fmt: skip
        self.tell(event)

    def _freed(self, mode: Privilege, instret: int, address: int, size: int, led: Led) -> None:
        self.tell(
            HeapFreed(
                instret=instret,
                pc=led.site,
                privilege=mode,
                address=VirtAddr(address),
                size=size,
                callers=led.callers,
            )
        )


def elements(function: Function, moment: Moment) -> Iterator[ElementMoment]:
    """What a function's list or array holds."""
    first = function.at[0].at(moment)
    if not first:
        return iter(())
    if function.listed is not None:
        return listed(first, function.listed, moment)
    count = function.array.at(moment) if function.array is not None else None
    return in_array(first, count or 0, moment)
