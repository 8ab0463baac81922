"""What calls of an allocator's function mean, by their registers and by words of memory that have been read before.

So calls can be told of later than they were made, when memory is another: native code has compared the words then
(`emu.observe.calls.kept.Recorded`).
"""

from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter

from emu.engine.translated.features.callrecords.poisoning import Elements, Plan
from emu.engine.translated.features.callrecords.poisoning.layout import Effect, Step
from emu.isa.privilege import Privilege
from emu.isa.registers import A0
from emu.machine import Machine
from emu.observe.allocations.catalogue import Placed
from emu.observe.allocations.description import Does, Function, Unit
from emu.observe.allocations.moments import CallMoment, MachineMoment
from emu.observe.allocations.values import Moment, Value
from emu.observe.calls.chains import Led
from emu.observe.calls.kept import Meaning, Recorded
from emu.observe.calls.tracer import Call

_WORD, _ARGUMENTS = 8, 8
_ALL = (1 << 64) - 1
_MOST_WORDS = 16
_EFFECTS = (
    {Does.ALLOCATE: Effect.BLOCK_ALLOCATED, Does.FREE: Effect.BLOCK_FREED},
    {Does.ALLOCATE: Effect.FRAMES_ALLOCATED, Does.FREE: Effect.FRAMES_FREED, Does.GIVE: Effect.FRAMES_GIVEN},
)
"""What calls do to memory: of functions of blocks, and of frames."""


class Found:
    """What was read of memory, and what the image says."""

    __slots__ = ("image", "loads", "texts")

    def __init__(self) -> None:
        self.image: dict[str, int] = {}
        """Addresses of symbols and sizes of structures, by the name, that of a structure with a bracket."""
        self.loads: dict[tuple[int, int], int] = {}
        """By address and size."""
        self.texts: dict[int, str] = {}


Leading = Callable[[], Led]
Report = Callable[[Placed, Privilege, "RecordedMoment", "RecordedMoment", int, Leading], None]
"""See `AllocatorObserver.report`."""
Tell = Callable[[tuple[int, ...], Privilege, int, Led, "Found | None", tuple[int, ...]], None]
"""See `Recorded.tell`."""


class RecordedMoment(MachineMoment):
    """A moment that is over: registers a0 to a7 as they were, and what is known of memory then."""

    def __init__(self, machine: Machine, found: Found, registers: tuple[int, ...], arguments: tuple[int, ...]) -> None:
        self._machine, self._found, self._given, self._arguments = machine, found, registers, arguments

    def register(self, number: int) -> int:
        """See `MachineMoment`."""
        return self._given[number - A0]

    def argument(self, number: int) -> int:
        """See `MachineMoment`."""
        return self._arguments[number]

    def load(self, address: int, size: int) -> int:
        """See `MachineMoment`."""
        return self._found.loads[address, size]

    def text(self, address: int) -> str:
        """See `MachineMoment`."""
        return self._found.texts.get(address, "")

    def symbol(self, name: str) -> int:
        """See `MachineMoment`."""
        image = self._found.image
        if name not in image:
            image[name] = super().symbol(name)
        return image[name]

    def size_of(self, name: str, otherwise: int | None) -> int:
        """See `MachineMoment`."""
        image, key = self._found.image, f"({name}"
        if key not in image:
            image[key] = super().size_of(name, otherwise)
        return image[key]


class _Learning(CallMoment):
    """The present moment, which remembers what of memory it was asked for."""

    def __init__(self, machine: Machine, call: Call) -> None:
        super().__init__(machine, call)
        self.found = Found()
        self.words: dict[int, int] = {}

    def load(self, address: int, size: int) -> int:
        """See `MachineMoment`."""
        number = self.found.loads[address, size] = super().load(address, size)
        self.keep(address, size)
        return number

    def text(self, address: int) -> str:
        """See `MachineMoment`."""
        text = self.found.texts[address] = super().text(address)
        if address:
            self.keep(address, len(text) + 1)
        return text

    def keep(self, address: int, size: int) -> None:
        """All of it must be the same again."""
        for word in range(address & -_WORD, address + size, _WORD):
            self.words[word] = super().load(word, _WORD)


def recorded(machine: Machine, placed: Placed, report: Report, tell: "Tell | None" = None) -> "Recorded[Found] | None":
    """How calls of a function can be told of later, by `tell` if there is one; None where they cannot be."""
    function = placed.function
    at_entry = function.does in (Does.FREE, Does.GIVE)
    is_frames = function in placed.allocator.frames
    if function.heap is not None or (is_frames and function.unit is Unit.ADDRESS):  # which may take a walk of tables
        return None
    effect, has_elements = _EFFECTS[is_frames].get(function.does), function.element is not None
    if has_elements and (effect is None or tell is None):
        return None
    addressed: set[int] = set()
    learns = False
    for value, results in _values(function, at_entry=at_entry):
        needs = value.needs
        if not all(A0 <= number < A0 + _ARGUMENTS for number in needs.registers):
            return None
        for number in needs.addressed:
            if number >= 0 and results:
                return None
            addressed.add(number - A0 if number >= 0 else ~number)
        learns = learns or bool(needs.loads) or value in function.kind
    if function.element is not None:
        needs = function.element.needs
        if not all(A0 <= number < A0 + _ARGUMENTS for number in needs.registers):
            return None
        learns = learns or bool(needs.fixed)
    if len(addressed) > 1:
        return None
    nothing = Found()
    plan = None if learns else _planned(function, effect, MachineMoment(machine))

    def learn(call: Call) -> Meaning[Found] | None:
        return _learned(machine, function, call, effect, at_entry=at_entry)

    def told(
        arguments: tuple[int, ...],
        mode: Privilege,
        instret: int,
        led: Led,
        found: Found | None,
        registers: tuple[int, ...],
    ) -> None:
        at_call = RecordedMoment(machine, found or nothing, arguments, arguments)
        moment = at_call if at_entry else RecordedMoment(machine, found or nothing, registers, arguments)
        report(placed, mode, moment, at_call, instret, lambda: led)

    learning = learn if learns else None
    return Recorded(at_entry, next(iter(addressed), None), learning, plan, tell or told, has_elements)


def arguments_of(values: Iterable[Value]) -> Callable[[tuple[int, ...]], object]:
    """What picks those of a0 to a7 of a call that values depend on, which look at nothing else but memory."""
    needed = {number - A0 for value in values for number in value.needs.registers}
    needed |= {number for value in values for number in value.needs.arguments}
    return itemgetter(*sorted(needed)) if needed else itemgetter(slice(0))


def _learned(
    machine: Machine, function: Function, call: Call, effect: Effect | None, *, at_entry: bool
) -> Meaning[Found] | None:
    moment = _Learning(machine, call)
    try:
        for value, _ in _values(function, at_entry=at_entry):
            if value not in function.kind:
                _load(value, moment)
        for address, size in function.element.needs.fixed if function.element is not None else ():
            moment.load(address(moment) & _ALL, size)
        for value in function.kind:
            _load(value, moment)
            if moment.text(value.at(moment) or 0):
                break
    except (LookupError, ZeroDivisionError):
        return None
    if len(moment.words) > _MOST_WORDS:
        return None
    return Meaning(tuple(moment.words.items()), moment.found, _planned(function, effect, moment))


def _planned(function: Function, effect: Effect | None, moment: Moment) -> Plan | None:
    """What calls do to memory, as native code does it; None where it cannot."""
    if effect is None or len(function.at) != 1:
        return None
    is_frames, place = effect < Effect.BLOCK_ALLOCATED, function.at[0].steps(moment)
    extent = function.size if not is_frames else function.count if function.element is None else None
    size = ((Step.CONSTANT, int(is_frames)),) if extent is None else extent.steps(moment)
    if place is None or size is None:
        return None
    if function.element is None:
        return Plan(effect, place, size)
    at = function.element.moving_steps(moment)
    if function.listed is not None:
        return None if at is None else Plan(effect, at, size, Elements(place, None, function.listed))
    count = None if function.array is None else function.array.steps(moment)
    return None if at is None or count is None else Plan(effect, at, size, Elements(place, count, 0))


def _load(value: Value, moment: _Learning) -> None:
    for address, size in value.needs.loads:
        moment.load(address(moment) & _ALL, size)


def _values(function: Function, *, at_entry: bool) -> Iterator[tuple[Value, bool]]:
    """What is looked up, and whether a0 to a7 are results then."""
    for value in function.at:
        yield value, not at_entry
    if function.array is not None:
        yield function.array, not at_entry
    whole = function.count, function.size, function.align, function.old, function.old_size, function.kept
    for other in (*whole, *function.kind):
        if other is not None:
            yield other, False
