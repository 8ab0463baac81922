"""Follows calls of guest functions whose returns are told in bulk, to those who need not be asked at each moment."""

from collections.abc import Callable

from emu.address import VirtAddr
from emu.engine.slots import Slot
from emu.engine.translated.features.callentries import RETURN
from emu.engine.translated.features.callrecords import Record, Words
from emu.engine.translated.features.callrecords.layout import ENDED_BIT
from emu.engine.translated.features.callrecords.poisoning import Plan
from emu.engine.translated.features.callrecords.poisoning.layout import TOLD
from emu.hints import Generic, TypeVar
from emu.isa.privilege import Privilege
from emu.isa.registers import A0, RA, SP, TP
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.observe.calls.awaited import Awaited, Ended, Waiting
from emu.observe.calls.chains import Led
from emu.observe.calls.opened import OpenCalls
from emu.observe.calls.tracer import Call, Return

M = TypeVar("M")
_PRIVILEGES = (Privilege.U, Privilege.S, Privilege.S, Privilege.M)
_S_MODE = 1
_NUMBER, _INSTRET, _LINK, _STACK, _THREAD, _MODE, _CALLERS, _MEANING, _FIRST = range(9)
_PATH = _FIRST + 8
_ELEMENT, _DONE = _PATH + 1, _PATH + 2


@dataclass(frozen=True, slots=True)
class Meaning(Generic[M]):
    """What calls of a function mean, as long as some words of memory are what they are."""

    words: Words
    found: M
    plan: Plan | None = None
    """What they do to memory, for native code."""


@dataclass(frozen=True, slots=True)
class Recorded(Generic[M]):
    """How calls are told of that native code has recorded: not at the moment, so without looking at the machine."""

    at_entry: bool
    """Whether a call tells something when it is entered, else when it has returned."""
    argument: int | None
    """The meaning is one for each value of this argument; one for all calls if None."""
    learn: "Callable[[Call], Meaning[M] | None] | None"
    """Finds the meaning, at the moment; None where it cannot be known by words of memory. Without it there is none."""
    plan: Plan | None
    """What calls do to memory, for native code, where nothing is learned."""
    tell: "Callable[[tuple[int, ...], Privilege, int, Led, M | None, tuple[int, ...]], None]"
    """Gets a0 to a7 of the call and its privilege, the instructions that have retired, who called, the meaning, and a0
    to a7 now."""
    has_elements: bool = False
    """Whether plans have elements: each is told of, with its number in the place of a0 now."""


Crossed = Callable[[int, int | None], None]
"""Gets the instructions that had retired when a call was entered; and None, or those when it has returned."""


class KeptTracer:
    """Reports calls and returns as `CallTracer` does, at a fraction of the cost; natively only.

    It reports no call that is made inside another one of its layer. What it calls must only look at the machine: it
    can neither stop nor change it.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._calls = OpenCalls.of(machine)
        self._remove: dict[int, Callable[[], None]] = {}
        self._calls.record()

    @staticmethod
    def is_possible(machine: Machine) -> bool:
        """Whether calls can be followed so from now on."""
        return machine.core.engine.is_native and not machine.core.engine.running

    def trace(
        self,
        layer: object,
        name: str,
        address: VirtAddr,
        on_call: Callable[[Call], None] | None,
        ended: Ended | None,
        on_return: Callable[[Return], None],
        *,
        nested: bool,
        recorded: Recorded[M] | None = None,
        crossed: Crossed | None = None,
    ) -> bool:
        """Follow the function that starts at `address`, as one of a layer; False if that is not possible now.

        With `nested`, calls inside others of the layer are reported, too, with depth 1; their returns are not.
        `on_return` is for a tracer that follows them on; see `Awaited`. What is `recorded` is told by that instead, in
        order with all else, and `crossed` of it: around what is told of a call.
        """
        machine, calls, mark = self._machine, self._calls, self._calls.layer(layer)
        core = machine.core
        if mark is None or not self.is_possible(machine):
            return False
        words, waits = core.words, ended is not None
        give_mark = calls.kept.mark if waits else calls.kept.mark_only
        one = None
        if recorded is not None:
            one = _RecordedFunction(self, name, address, mark, ended, on_return, recorded, crossed)
            on_call, ended = one.telling(on_call, ended)
        function = None if one is None else one.function

        def entered() -> None:
            calls.read_records()
            return_address, stack_pointer = where = words[RA], words[SP]
            marks = give_mark(return_address, stack_pointer, mark)
            depth = 1 if marks & mark else 0
            if depth and not nested:
                return
            call = Call(
                name, address, tuple(words[A0 : A0 + 8]), VirtAddr(return_address), stack_pointer, words[TP],
                self._retired(address), core.privilege, depth,
            )  # fmt: skip
            if not depth:
                awaited = Awaited(self, call, on_return, ended)
                if waits or marks & RETURN:
                    calls.await_return(where, awaited, also=bool(marks & RETURN), function=function)
                else:
                    calls.begin(where, mark, awaited)
            if on_call is not None:
                on_call(call)

        before = None if function is None else function.before
        self._remove[address] = core.engine.add_code_hook(address, entered, before)
        core.engine.forget_all_code()
        return True

    def _retired(self, pc: int) -> int:
        """Instructions that have retired before the one at pc, in the block that has begun."""
        slots = self._machine.core.slots
        if slots[Slot.BLOCK_PC] == pc:
            return slots[Slot.COUNT] - slots[Slot.BLOCK_LENGTH]
        return slots[Slot.COUNT] - self._machine.core.instructions_from(pc)

    def traces(self, address: int) -> bool:
        """Whether a function is followed."""
        return address in self._remove

    def untrace(self, address: int) -> None:
        """Stop following one function."""
        if address in self._remove:
            self._calls.settle()
            self._remove.pop(address)()

    def close(self) -> list[Awaited]:
        """Stop following; the calls that have not returned."""
        self._calls.settle()
        self._calls.kept.flush()
        for remove in self._remove.values():
            remove()
        self._remove.clear()
        given_up = self._calls.give_up(self)
        self._calls.record_no_more()
        self._calls.close()
        return given_up


class _RecordedFunction(Generic[M]):
    """One function whose calls native code records, or tells of at the moment where it cannot."""

    def __init__(
        self,
        tracer: KeptTracer,
        name: str,
        address: VirtAddr,
        mark: int,
        ended: Ended | None,
        on_return: Callable[[Return], None],
        recorded: Recorded[M],
        crossed: Crossed | None,
    ) -> None:
        self._tracer, self._name, self._address, self._mark = tracer, name, address, mark
        self._on_return, self._ended, self._recorded, self._crossed = on_return, ended, recorded, crossed
        self._waits, self._at_entry, self._traced = ended is not None, recorded.at_entry, tracer._remove
        self._calls, self._core = tracer._calls, tracer._machine.core
        self._meanings: dict[int, M] = {}
        self._calls_of_elements: list[_Given] = []
        """Whose elements are told of next."""
        self.function = self._calls.records.add(
            mark, self._entering(), self._has_ended, None if recorded.at_entry else self._passing(), self._at_once,
            self._tell_element if recorded.has_elements else None,
            waits=self._waits, at_entry=recorded.at_entry,
            argument=recorded.argument, learns=recorded.learn is not None, plan=recorded.plan,
        )  # fmt: skip
        if self._waits:
            self._calls.add_function(self.function, self._recorded_call)

    def telling(
        self, on_call: Callable[[Call], None] | None, ended: Ended | None
    ) -> tuple[Callable[[Call], None] | None, Ended | None]:
        """What tells of a call at its moment, where native code could not record it, and learns for the next one."""

        def called(call: Call) -> None:
            if on_call is not None:
                on_call(call)
            if not call.depth:
                self._learn(call)

        def has_ended(call: Call, instret: int) -> None:
            if ended is not None:
                ended(call, instret)
            self._learn(call)

        if self._recorded.at_entry:
            return called, ended
        self._ended = None if ended is None else has_ended
        return on_call, self._ended

    def _learn(self, call: Call) -> None:
        self._calls.learn_callers(call.return_address, call.stack_pointer)
        learn = self._recorded.learn
        meaning = None if learn is None else learn(call)
        if meaning is not None:
            number = self._calls.records.learn(self.function.key(call.args), meaning.words, meaning.plan)
            self._meanings[number] = meaning.found

    # Of records, at the moment or later.

    def _recorded_call(self, record: Record) -> "_RecordedCall":
        return _RecordedCall(self, record, self._privilege(record[_MODE]))

    def _entering(self) -> Callable[[Record], None]:
        """What tells of a call by the record of its entry; of most of those that tell something then in one step."""
        if self._crossed is not None or self._recorded.has_elements or self._waits or not self._at_entry:
            return self._was_entered
        traced, address, mark, meanings = self._traced, self._address, self._mark, self._meanings
        begun, known, led, tell = self._calls.begun, self._calls.known_led, self._calls.led, self._recorded.tell

        def entered(record: Record) -> None:
            if address not in traced:
                return
            call = self._recorded_call(record)
            begun(record[_LINK:_THREAD], mark, call)
            if record[_DONE] & TOLD:
                return
            callers, path, registers = record[_CALLERS], record[_PATH], record[_FIRST:_PATH]
            who = known.get((path, callers)) or led(callers, path)
            tell(registers, call.privilege, record[_INSTRET], who, meanings.get(record[_MEANING]), registers)

        return entered

    def _was_entered(self, record: Record) -> None:
        if self._address not in self._traced:
            return
        call = self._recorded_call(record)
        if self._waits:
            self._calls.awaits(record[_LINK:_THREAD], call)
        else:
            self._calls.begun(record[_LINK:_THREAD], self._mark, call)
        if self._crossed is not None:
            self._crossed(record[_INSTRET], None)
        if self._at_entry:
            self._tell_of([_given(call)], record)

    def _privilege(self, mode: int) -> Privilege:
        return self._core.supervisor_stands_for if mode == _S_MODE else _PRIVILEGES[mode]

    def _has_ended(self, record: Record) -> None:
        waiting = self._calls.returned(record[_LINK:_THREAD])
        if self._address not in self._traced:
            return
        if not self._at_entry:
            self._tell_of([_given(one) for one in waiting], record)
        if self._crossed is not None:
            for one in waiting:
                self._crossed(_begun(one), record[_INSTRET])

    def _passing(self) -> Callable[[Record, Record], None]:
        """What tells of a call by both records where nothing has come between them; most are told of so."""
        if self._crossed is not None or self._recorded.has_elements:
            return self._has_passed
        core, traced, address, meanings = self._core, self._traced, self._address, self._meanings
        returned, known, led, tell = self._calls.returned, self._calls.known_led, self._calls.led, self._recorded.tell

        def passed(record: Record, end: Record) -> None:
            returned(end[_LINK:_THREAD])
            if address not in traced or end[_DONE] & TOLD:
                return
            mode, callers, path = record[_MODE], end[_CALLERS], end[_PATH]
            tell(
                record[_FIRST:_PATH],
                core.supervisor_stands_for if mode == _S_MODE else _PRIVILEGES[mode],
                end[_INSTRET],
                known.get((path, callers)) or led(callers, path),
                meanings.get(end[_MEANING]),
                end[_FIRST:_PATH],
            )

        return passed

    def _has_passed(self, record: Record, end: Record) -> None:
        """The same where there is more to tell."""
        self._calls.returned(end[_LINK:_THREAD])
        if self._address not in self._traced:
            return
        if self._crossed is not None:
            self._crossed(record[_INSTRET], None)
        self._tell_of([(record[_FIRST:_PATH], self._privilege(record[_MODE]))], end)
        if self._crossed is not None:
            self._crossed(record[_INSTRET], end[_INSTRET])

    def _at_once(self, record: Record) -> Callable[[Record], None]:
        if record[_NUMBER] >> ENDED_BIT:
            calls = [_given(one) for one in self._calls.awaiting(record[_LINK:_THREAD])]
        else:
            calls = [_given(self._recorded_call(record))]

        def tell(record: Record) -> None:
            for call in calls if self._address in self._traced else ():
                self._tell_now(*call, record)

        return tell

    def _tell_of(self, calls: "list[_Given]", record: Record) -> None:
        """Tell of what calls say at this record, unless their elements do."""
        if self._recorded.has_elements:
            self._calls_of_elements = calls
        elif not record[_DONE] & TOLD:
            for call in calls:
                self._tell_now(*call, record)

    def _tell_element(self, record: Record) -> None:
        if self._address in self._traced and not record[_DONE] & TOLD:
            for call in self._calls_of_elements:
                self._tell_now(*call, record)

    def _tell_now(self, arguments: tuple[int, ...], privilege: Privilege, record: Record) -> None:
        registers = record[_FIRST:_PATH]
        if self._recorded.has_elements:
            registers = (record[_ELEMENT], *registers[1:])
        self._recorded.tell(
            arguments, privilege, record[_INSTRET], self._calls.led(record[_CALLERS], record[_PATH]),
            self._meanings.get(record[_MEANING]), registers,
        )  # fmt: skip

    def call(self, record: Record, privilege: Privilege) -> Call:
        """What a record of an entry stands for."""
        return Call(
            self._name, self._address, record[_FIRST:_PATH], VirtAddr(record[_LINK]), record[_STACK], record[_THREAD],
            record[_INSTRET], privilege, 0,
        )  # fmt: skip

    def awaited(self, call: Call) -> Awaited:
        """Who wants to know of a call's return."""
        return Awaited(self._tracer, call, self._on_return, self._ended)


_Given = tuple[tuple[int, ...], Privilege]


def _given(waiting: Waiting) -> _Given:
    """a0 to a7 of a call whose return is awaited, and its privilege."""
    if isinstance(waiting, _RecordedCall):
        return waiting.record[_FIRST:_PATH], waiting.privilege
    call = waiting.awaited.call
    return call.args, call.privilege


def _begun(waiting: Waiting) -> int:
    """The instructions that had retired when a call began whose return is awaited."""
    return waiting.record[_INSTRET] if isinstance(waiting, _RecordedCall) else waiting.awaited.call.instret


class _RecordedCall:
    """A recorded call that has not returned: most are asked for no more than what they were given."""

    __slots__ = ("_function", "privilege", "record")

    def __init__(self, function: "_RecordedFunction[M]", record: Record, privilege: Privilege) -> None:
        self._function, self.record, self.privilege = function, record, privilege

    @property
    def call(self) -> Call:
        """The whole."""
        return self._function.call(self.record, self.privilege)

    @property
    def awaited(self) -> Awaited:
        """Who wants to know of its return."""
        return self._function.awaited(self.call)
