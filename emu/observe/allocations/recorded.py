"""Tells of recorded calls: what is not in registers alone is looked up once for the same arguments and memory."""

from collections.abc import Callable

from emu.address import VirtAddr
from emu.events import Event, HeapAllocated, HeapFreed
from emu.hints import Generic, TypeVar
from emu.isa.privilege import Privilege
from emu.lateclass import replace
from emu.machine import Machine
from emu.observe.allocations.compiled import Compiled, compiled
from emu.observe.allocations.description import Does, Function
from emu.observe.allocations.meanings import Found, RecordedMoment, Tell, arguments_of
from emu.observe.allocations.moments import first_of, kind_of, number_of
from emu.observe.allocations.values import Value
from emu.observe.calls.chains import Led

T = TypeVar("T")
_MOST_DECIDED = 1 << 14
_Numbers = tuple[int, ...]
Frames = Callable[[int, int, Privilege, int, Led], None]
"""Gets the number of the first frame, not 0, how many there are, the privilege, the instructions, and who called."""


def block_teller(
    machine: Machine, function: Function, tell: Callable[[Event], None], check: Callable[[int], None], kept: set[str]
) -> Tell:
    """Makes the events of a function that hands out blocks, or takes them back; `check` gets each size once.

    `kept` gets the kinds whose blocks keep what they hold when they are free.
    """
    values = function.size, function.align, function.kept, *function.kind
    deciding = [value for value in values if value is not None]

    def decide(at_call: RecordedMoment) -> tuple[int, int, str]:
        size, align = number_of(function.size, at_call, 0), number_of(function.align, at_call, 0)
        check(size)
        kind = kind_of(function.kind, at_call)
        if number_of(function.kept, at_call, 0):
            kept.add(kind)
        return size, align, kind

    what, at, frees = _Decided(machine, deciding, decide), _At(machine, function.at), function.does is Does.FREE
    places, decided, arguments_for = at.known, what.known, what.arguments_for
    new = object.__new__  # and the class's __init__: what a call of the class does, in two thirds of its time

    def told(
        arguments: _Numbers, mode: Privilege, instret: int, led: Led, found: Found | None, registers: _Numbers
    ) -> None:
        place = places.get(found) or at.find(found, registers, arguments)
        address = place(registers, arguments)
        if not address:
            return
        known = decided.get((found, arguments_for(arguments)))
        size, align, kind = what.decide(found, arguments) if known is None else known
        site, callers = led
        if frees:
            freed = new(HeapFreed)
            HeapFreed.__init__(
                freed, instret=instret, pc=site, privilege=mode, address=VirtAddr(address), size=size, callers=callers
            )
            tell(freed)
        else:
            event = new(HeapAllocated)
            HeapAllocated.__init__(
                event, instret=instret, pc=site, privilege=mode, address=VirtAddr(address), size=size, align=align,
                kind=kind, callers=callers,
            )  # fmt: skip
            tell(event)

    return told


def frame_teller(machine: Machine, function: Function, tell: Frames) -> Tell:
    """Tells of the calls of a function of frames by page number."""
    deciding = [] if function.count is None else [function.count]
    count = _Decided(machine, deciding, lambda at_call: number_of(function.count, at_call, 1))
    at = _At(machine, function.at)

    def told(
        arguments: _Numbers, mode: Privilege, instret: int, led: Led, found: Found | None, registers: _Numbers
    ) -> None:
        place = at.known.get(found) or at.find(found, registers, arguments)
        number = place(registers, arguments)
        if number:
            known = count.known.get((found, count.arguments_for(arguments)))
            tell(number, count.decide(found, arguments) if known is None else known, mode, instret, led)

    return told


def of_element(function: Function) -> Function:
    """A function as it is told of for each element of what it is given: that one's number is in a0."""
    return function if function.element is None else replace(function, at=(Value.parse("a0"),), count=None)


class _Decided(Generic[T]):
    """What only a call's arguments and memory decide."""

    def __init__(self, machine: Machine, deciding: list[Value], decide: Callable[[RecordedMoment], T]) -> None:
        self._machine, self._decide, self._nothing = machine, decide, Found()
        self.arguments_for = arguments_of(deciding)
        """Picks those that it depends on."""
        self.known: dict[tuple[Found | None, object], T] = {}
        """By what was read of memory, and these."""

    def decide(self, found: Found | None, arguments: _Numbers) -> T:
        """Find it."""
        what = self._decide(RecordedMoment(self._machine, found or self._nothing, arguments, arguments))
        if len(self.known) < _MOST_DECIDED:
            self.known[found, self.arguments_for(arguments)] = what
        return what


class _At:
    """Where something is by the registers, with what else it depends on as it is found."""

    def __init__(self, machine: Machine, values: tuple[Value, ...]) -> None:
        self._machine, self._values = machine, values
        self.known: dict[Found | None, Compiled] = {}
        """By what was read of memory: what gives the first number that is not 0, or nothing."""
        self._nothing = Found()

    def find(self, found: Found | None, registers: _Numbers, arguments: _Numbers) -> Compiled:
        """Find it."""
        number = self._made(found or self._nothing, registers, arguments)
        if len(self.known) < _MOST_DECIDED:
            self.known[found] = number
        return number

    def _made(self, found: Found, registers: _Numbers, arguments: _Numbers) -> Compiled:
        machine, values = self._machine, self._values
        made = compiled(values[0], RecordedMoment(machine, found, registers, arguments)) if len(values) == 1 else None
        return made or (lambda now, call: first_of(values, RecordedMoment(machine, found, now, call)))
