"""Callers by the calls that are open: kept by the guest's own calls, told by its stack where that does not reach."""

from collections.abc import Callable
from itertools import islice, starmap
from weakref import WeakSet

from emu.address import VirtAddr
from emu.engine.translated.features.callentries import INHERITED, RETURN, Around, OpenCall
from emu.engine.translated.features.callrecords import CallRecords, Function, Record
from emu.engine.translated.features.interrupted import Entries
from emu.engine.translated.features.opencalls import KeptCalls
from emu.hints import NamedTuple, cast
from emu.isa.privilege import Privilege
from emu.machine import Machine
from emu.observe.calls.awaited import Awaited, Waiting, Where, of_users
from emu.observe.calls.backtrace import Backtrace
from emu.observe.calls.chains import Chain, Led, Path
from emu.observe.calls.later import Later
from emu.observe.calls.tracer import Call
from emu.observe.calls.underway import UnderWay
from emu.observe.code import HOST

_MOST_CALLERS = 16
_MOST_CHAINS = 1 << 14
_MOST_FOLLOWED = 1 << 12
_MOST_LED = 1 << 16
_MOST_WAITING = 1 << 16
_MOST_LAYERS = 15
LAST_MARK = 2 << _MOST_LAYERS - 1


class _Saved(NamedTuple):
    """What is open at a moment."""

    kept: object
    awaited: dict[Where, tuple[Waiting, ...]]
    begun: dict[Where, tuple[int, Waiting]]


class OpenCalls:
    """Chains of callers: by `KeptCalls`, and by `Backtrace` where that ends, as before it was switched on.

    So the callers of functions are known, too, that keep ra in a register, a CSR or outside of their frame.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._backtrace = Backtrace(machine)
        self._users = 0
        self.kept = KeptCalls(self._returned, self)
        self._awaited: dict[Where, list[Waiting]] = {}
        self._begun: dict[Where, tuple[int, Waiting]] = {}
        """Calls whose return nobody waits for, with their marks; those that have returned, too, until it is asked."""
        self._gone = WeakSet[object]()
        """Owners that have given up."""
        self._layers: dict[object, int] = {}
        self._paths: dict[int, Path] = {}
        self._under_way: UnderWay | None = None
        self._recorders = 0
        self.records = CallRecords(self.kept, has_model=machine.config.fidelity == "exact")
        """On while somebody has said `record`; read by `read_records` before anything else is told."""
        self.records.read = self._read
        self._later = Later(self.records, self._waiting)
        self._functions: dict[int, Callable[[Record], Waiting]] = {}
        """By the numbers of functions whose returns are awaited: who does, by the record of a call."""
        self.waits = False
        """Whether records of what native code has done already are looked at when `settle` is called."""
        self.known_led: dict[tuple[int, int], Led] = {}
        """By the number of a call and those around it, and what its record says of who called."""
        self._further: dict[int, tuple[VirtAddr, ...]] = {}
        """Who has led to outermost calls, by the numbers that facts about it have in records."""
        self._chains: dict[tuple[int, int], Chain] = {}
        """By return address and stack pointer of a call: the chain that was found last, and what it was found by."""

    @classmethod
    def of(cls, machine: Machine) -> "OpenCalls":
        """The one that all observers of a machine share; each of them closes it."""
        shared = cls.present(machine) or cls(machine)
        machine.events.observers[cls] = shared
        shared._users += 1
        if shared._users == 1:
            shared._begin()
        return shared

    @classmethod
    def present(cls, machine: Machine) -> "OpenCalls | None":
        """The one that observers of a machine have now; None when none has."""
        found = machine.events.observers.get(cls)
        return found if isinstance(found, OpenCalls) else None

    def _begin(self) -> None:
        self._machine.core.engine.switch_on(self.kept)
        self._under_way = UnderWay(self._machine, self._save, self._restore)

    def close(self) -> None:
        """Keep nothing any more, once all who share it have said so."""
        self._users -= 1
        if self._users <= 0:
            self._machine.core.engine.switch_off(self.kept)
            if self._under_way is not None:
                self._under_way.close()
            self._machine.events.observers.pop(type(self), None)

    def record(self) -> None:
        """Have calls recorded natively, until each who has said so says `record_no_more`."""
        self._recorders += 1
        if self._recorders == 1:
            self._machine.core.engine.switch_on(self.records)
            self._machine.core.stands_for_changed.append(self._stands_for_changed)
            self._stands_for_changed()

    def record_no_more(self) -> None:
        """See `record`."""
        self._recorders -= 1
        if not self._recorders:
            self.settle()
            self._machine.core.stands_for_changed.remove(self._stands_for_changed)
            self._machine.core.engine.switch_off(self.records)

    def _stands_for_changed(self) -> None:
        self.settle()
        self.records.looks_at_memory = self._machine.core.supervisor_stands_for is Privilege.S

    def read_records(self) -> None:
        """Tell of all calls that were recorded, but for what waits."""
        self.records.empty()

    def _read(self, data: bytes) -> None:
        """Where records wait only the last of them are to be told of at once: of one call, or of its elements."""
        if not self.waits:
            self.records.tell(data)
            return
        at = self.records.told_at_once(data)
        self._wait(data[:at])
        if at < len(data):
            self.records.tell_at_once(data[at:], self._wait)

    def _wait(self, data: bytes) -> None:
        if self._later.size >= _MOST_WAITING:
            self._later.tell()
        if data:
            self._later.add_records(data)

    def settle(self) -> None:
        """Tell of all calls that were recorded, and of what has waited."""
        self.read_records()
        self._later.tell()

    def tell_later(self, tell: Callable[[], object]) -> None:
        """Tell it when `settle` is called, in the order of all that has waited till then; at once if nothing waits."""
        self.read_records()
        if self.waits:
            self._later.add(tell)
        else:
            tell()

    def add_function(self, function: Function, waiting: Callable[[Record], Waiting]) -> None:
        """Have it known who awaits the return of a function's recorded call."""
        self._functions[function.number] = waiting

    def _waiting(self, record: Record) -> Waiting | None:
        """Who awaits the return of a recorded call."""
        function = self._functions.get(record[0])
        return None if function is None else function(record)

    def _save(self) -> object:
        self.settle()
        self._prune()
        awaited = {where: tuple(all_of) for where, all_of in self._awaited.items()}
        places = starmap(OpenCall, awaited.keys() | self._begun.keys())
        return _Saved(self.kept.saved(places), awaited, dict(self._begun))

    def _restore(self, state: object | None) -> None:
        self.settle()
        self.records.forget_awaited()
        if state is None:
            self.kept.forget()
            self._awaited.clear()
            self._begun.clear()
            return
        assert isinstance(state, _Saved)
        self.kept.restore(state.kept)
        self._awaited = {where: list(all_of) for where, all_of in state.awaited.items()}
        self._begun = dict(state.begun)

    def callers(self, return_address: int, stack_pointer: int) -> tuple[VirtAddr, ...]:
        """The call instructions above a call, innermost first, at most 16; see `Backtrace.callers`.

        At the entry or the return of the call with this return address and stack pointer.
        """
        around = self.kept.around(return_address, stack_pointer)
        if around is None:
            return self._told_by_stack(return_address, stack_pointer)
        path = self._path(OpenCall(return_address, stack_pointer), around)
        if path.outermost is None:
            return path.sites
        further = self._told_by_stack(*path.outermost)
        if further is not path.further:
            path.further, path.all_of = further, (*path.sites, *further)[:_MOST_CALLERS]
        return path.all_of

    def learn_callers(self, return_address: int, stack_pointer: int) -> None:
        """Let calls be recorded inside of the same outermost one, or of one like it, while its stack says the same."""
        outermost = OpenCall(return_address, stack_pointer)
        around = self.kept.open_calls(*outermost)
        for outermost in islice(() if around is None else around, _MOST_CALLERS):
            if outermost.return_address == HOST:
                return
        path = self.kept.path(*outermost)
        self._told_by_stack(*outermost)
        told = self._chains[outermost]
        words, away = told.words, told.words_from(outermost.stack_pointer)
        if around is None or path is None or words is None:
            return
        if len(self._further) >= _MOST_LED or len(self.known_led) >= _MOST_LED:
            self.settle()
            self.records.forget_facts()
            self._further.clear()
            self.known_led.clear()
        self._further[self.records.learn(path, words)] = told.sites
        if away is not None:
            self._further[self.records.learn_beyond(outermost.return_address, away)] = told.sites

    def led(self, callers: int, path: int) -> Led:
        """Who has led to the call whose record is being told."""
        led = self.known_led.get((path, callers))
        if led is None:
            count = callers >> 32
            sites = self._backtrace.sites_by(self.records.links(count), lambda: self.records.code(count))
            further = self._further.get(callers & (1 << 32) - 1, ())
            led = self.known_led[path, callers] = Led(sites[0], (sites + further)[1 : 1 + _MOST_CALLERS])
        return led

    def _path(self, call: OpenCall, around: Around) -> Path:
        """What the calls around one say: found by that of the next one, until one is known."""
        new: list[tuple[int, VirtAddr]] = []
        path = self._paths.get(around.path)
        while path is None:
            if around.is_end:
                path = self._beyond(call)
                break
            call = around.call
            new.append((around.path, self._backtrace.site(call.return_address)))
            if call.return_address == HOST or len(new) == _MOST_FOLLOWED:
                path = Path((), None)
                break
            around = self.kept.around_entry(around.before)
            path = self._paths.get(around.path)
        if len(self._paths) >= _MOST_CHAINS:
            self._paths.clear()
        for key, site in reversed(new):
            sites = (site, *path.sites)[:_MOST_CALLERS]
            path = Path(sites, None if len(sites) == _MOST_CALLERS else path.outermost)
            if len(new) < _MOST_FOLLOWED or path.outermost is None:
                self._paths[key] = path
        return path

    def _beyond(self, call: OpenCall) -> Path:
        """What the stack says where nothing is kept: around a call that was made first on its stack."""
        further = self._told_by_stack(*call)
        chain = self._chains[call]
        if not chain.read and not chain.registers:  # nothing that can change has been asked
            return Path(further, None)
        return Path((), call)

    def layer(self, name: object) -> int | None:
        """The mark of calls of a layer, by any name of it; None when there are too many."""
        if name not in self._layers and len(self._layers) == _MOST_LAYERS:
            return None
        return 2 << self._layers.setdefault(name, len(self._layers))

    def give_mark(self, call: Call, mark: int) -> None:
        """Mark a call that is at its first instruction, and what is called inside of it."""
        if mark:
            self.kept.mark_only(call.return_address, call.stack_pointer, mark)

    def await_return(self, where: Where, awaited: Awaited, *, also: bool, function: Function | None = None) -> None:
        """Have the return of a marked call told to whoever awaits it, `also` to those who do already.

        That of a `function` that is recorded is recorded, if nobody else awaits it.
        """

        def enter() -> None:
            self._awaited[where] = [*self._awaited.get(where, ()), awaited] if also else [awaited]

        if self.waits:
            self._later.add_change(where, [awaited], enter, also=also)
        else:
            enter()
        self.records.await_return(where, None if also else function, awaited.call.args)

    def awaits(self, where: Where, awaited: Waiting) -> None:
        """A recorded call is told of: who awaits its return. One that was made there before has never returned."""
        self._awaited[where] = [awaited]

    def returned(self, where: Where) -> list[Waiting]:
        """The record of a return is told of: who has awaited it."""
        return self._awaited.pop(where, [])

    def returns(self, where: Where) -> list[Waiting]:
        """A call returns at this moment: who has awaited it."""
        if not self.waits:
            return self.returned(where)
        waiting = self.awaiting(where)
        self._later.add_change(where, [], lambda: self.returned(where))
        return waiting

    def awaiting(self, where: Where) -> list[Waiting]:
        """Who awaits a return at this moment."""
        waiting, is_all = self._later.awaited(where)
        return waiting if is_all else self._awaited.get(where, []) + waiting

    def begin(self, where: Where, mark: int, begun: Waiting) -> None:
        """Note a call at its first instruction, marked alone, whose return nobody waits for."""
        if self.waits:
            self._later.add(lambda: self.begun(where, mark, begun))
        else:
            self.begun(where, mark, begun)

    def begun(self, where: Where, mark: int, begun: Waiting) -> None:
        """The same of one whose record is told of."""
        self._begun[where] = mark, begun
        if len(self._begun) > _MOST_CHAINS:
            self._prune()

    def _prune(self) -> None:
        has_mark = self.kept.has_mark
        self._begun = {where: one for where, one in self._begun.items() if has_mark(OpenCall(*where), one[0])}

    def set_aside(self, entries: Entries, /) -> object:
        """See `Apart`."""
        places = [(words[1], words[0]) for words in entries.values() if words[3] & (INHERITED | RETURN)]
        if places:
            self.settle()
        awaited = {where: tuple(self._awaited[where]) for where in places if where in self._awaited}
        return awaited, {where: self._begun[where] for where in places if where in self._begun}

    def put_back(self, known: object, /) -> None:
        """See `Apart`. Python is told of their returns: what native code knows may be another call's."""
        awaited, begun = cast("tuple[dict[Where, tuple[Waiting, ...]], dict[Where, tuple[int, Waiting]]]", known)
        if awaited or begun:
            self.settle()
        self._begun.update(begun)
        for where, waiting in awaited.items():
            self._awaited[where] = [one for one in waiting if one.awaited.owner not in self._gone]
            self.records.await_return(where, None, ())

    def leave_process(self) -> object | None:
        """See `Apart`: calls that are awaited, with all that they lead to in the table."""
        self.read_records()
        if self._later.has_user_calls() or of_users(self._awaited):  # else nothing that waits is about any
            self.settle()
        awaited = {where: self._awaited.pop(where) for where in of_users(self._awaited)}
        return (self.kept.copied(starmap(OpenCall, awaited)), awaited) if awaited else None

    def enter_process(self, known: object, /) -> None:
        """See `Apart`."""
        entries, awaited = cast("tuple[Entries, dict[Where, list[Waiting]]]", known)
        self.kept.put_back(entries)
        self.put_back((awaited, {}))

    def give_up(self, owner: object) -> list[Awaited]:
        """Await no return for an owner any more; its calls that are open."""
        self.settle()
        self._gone.add(owner)
        self._prune()
        given_up = [one.awaited for _, one in self._begun.values() if one.awaited.owner is owner]
        self._begun = {where: one for where, one in self._begun.items() if one[1].awaited.owner is not owner}
        for where, waiting in self._awaited.items():
            all_of = [one.awaited for one in waiting]
            given_up += [awaited for awaited in all_of if awaited.owner is owner]
            self._awaited[where] = [awaited for awaited in all_of if awaited.owner is not owner]
        return given_up

    def _returned(self, where: OpenCall, instret: int) -> None:
        self.read_records()
        for waiting in reversed(self.returns(where)):
            awaited = waiting.awaited
            if awaited.ended is not None:
                awaited.ended(awaited.call, instret)

    def callers_here(self) -> tuple[VirtAddr, ...]:
        """The same for the instruction at pc, wherever in its function that stands."""
        here, is_told = self._backtrace.here()
        if not is_told:
            here = self.kept.innermost or here
        if here is None:
            return ()
        return (self._backtrace.site(here[0]), *self.callers(*here))[:_MOST_CALLERS]

    def _told_by_stack(self, return_address: int, stack_pointer: int) -> tuple[VirtAddr, ...]:
        known = self._chains.get((return_address, stack_pointer))
        if known is not None and self._backtrace.reads_again(known.read, known.registers):
            return known.sites
        sites = self._backtrace.callers(return_address, stack_pointer)
        if len(self._chains) >= _MOST_CHAINS:
            self._chains.clear()
        stack = self._backtrace.stack
        self._chains[return_address, stack_pointer] = Chain(sites, stack.read, stack.registers, stack.is_relative)
        return sites
