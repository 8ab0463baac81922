"""Observers of allocators tell at once or in bulk: calls are followed at less cost while nobody listens to each one."""

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable

from emu.engine.slots import Slot
from emu.engine.translated.features.callrecords import MOST_RECORDS
from emu.events import Event
from emu.hints import NamedTuple, TypeVar
from emu.machine import Machine
from emu.observe.allocations.catalogue import Placed
from emu.observe.allocations.meanings import Found
from emu.observe.calls.awaited import Ended
from emu.observe.calls.kept import Crossed, KeptTracer, Recorded
from emu.observe.calls.opened import LAST_MARK, OpenCalls
from emu.observe.calls.tracer import Call, CallTracer, Return
from emu.observe.source import Source
from emu.subscriptions import Stop, Subscription

Collect = Callable[[Event], None]
Crossing = Callable[[Placed, int, int | None], None]
"""Gets a function, the instructions that had retired when it was entered; and None, or those when it has returned."""
L = TypeVar("L")


class Tellers(NamedTuple):
    """What is done with the calls of one function."""

    called: Callable[[Call], None]
    returned: Callable[[Return], None]


class LaterTellers(NamedTuple):
    """The same where nobody is told of each at its moment."""

    called: Callable[[Call], None] | None
    ended: Ended | None
    nested: bool
    """Whether calls inside others of their layer matter, too."""
    recorded: "Recorded[Found] | None"
    """How they are told of where native code has recorded them."""
    crossed: Crossed | None
    """Told of these, where somebody wants to know of entries and returns."""


class Collectors:
    """Who gets the events of a machine's allocators in bulk, by the class of the observer that makes them."""

    def __init__(self) -> None:
        self.by_class: defaultdict[type[object], list[Collect]] = defaultdict(list)
        self.hurried = 0
        """How many of them get events at once."""
        self.impatient = 0
        """How many cannot wait for events of what native code has done until they settle."""
        self.kept: set[str] = set()
        """Kinds of blocks whose contents outlive a free."""
        self.most = MOST_RECORDS
        """How many entries and returns may be told of later than at their moment."""

    @classmethod
    def of(cls, machine: Machine) -> "Collectors":
        """Those of a machine."""
        found = machine.events.observers.get(cls)
        if not isinstance(found, cls):
            found = machine.events.observers[cls] = cls()
        return found


def kept_kinds(machine: Machine) -> set[str]:
    """The kinds of blocks whose contents outlive a free, as far as any was handed out: they have a constructor."""
    return Collectors.of(machine).kept


def settle(machine: Machine) -> None:
    """Have all events of a machine's allocators told so far."""
    calls = OpenCalls.present(machine)
    if calls is not None:
        calls.settle()


class CollectedSource(Source[Placed]):
    """The base of observers of allocators: chooses how their functions are followed.

    While somebody listens, each event is told at its moment (`CallTracer`): the listener may stop the machine there, or
    change it. For those who collect, natively, `KeptTracer` does. Who begins to listen gets all from then on at once.
    """

    def __init__(self, machine: Machine, kinds: tuple[type[Event], ...], functions: Iterable[Placed]) -> None:
        self.crossed: list[Crossing] = []
        """Told of each outermost call, before its events and behind them."""
        self.freeing: list[Callable[[Placed, Call], None]] = []
        """Told of each outermost call of a function that frees, behind its event."""
        self._tracers: dict[str, CallTracer] = {}
        self._open_calls: OpenCalls | None = None
        self._later: KeptTracer | None = None
        self._listens_to_collect = False
        self._collectors = Collectors.of(machine).by_class[type(self)]
        super().__init__(machine, kinds, functions)

    @abstractmethod
    def tellers(self, item: Placed) -> Tellers:
        """What to do with the calls of a function."""

    @abstractmethod
    def later_tellers(self, item: Placed) -> LaterTellers:
        """What to do with them while only collectors get events."""

    def tell_crossings(self, tell: Crossing) -> Subscription:
        """Call `tell` of each entry into one of its functions and each return, calls inside others left out.

        In order with the events that are told in bulk (`collect`), and at the latest when `settle` is called.
        """
        settle(self._machine)
        subscription = self._leader._add(self._leader.crossed, tell)
        self._leader._trace_anew()
        return subscription

    @staticmethod
    def ask_within(machine: Machine, most: int = MOST_RECORDS) -> None:
        """Have all entries and returns but the next `most`, at the most, told of at their moments."""
        Collectors.of(machine).most = most
        calls = OpenCalls.present(machine)
        if calls is not None:
            calls.records.most = most

    def tell_freeing(self, tell: Callable[[Placed, Call], None]) -> Subscription:
        """Call `tell` when the guest has entered a function that frees, and the event has been told."""
        return self._leader._add(self._leader.freeing, tell)

    def _add(self, listeners: list[L], listener: L) -> Subscription:
        listeners.append(listener)
        self._choose()
        return Subscription(lambda: listeners.remove(listener))

    @classmethod
    def collect(cls, machine: Machine, tell: Collect, *, at_once: bool, can_wait: bool = False) -> Subscription:
        """Call `tell` with each event, in their order; it must only keep what it gets, and leave the machine alone.

        `at_once`: before the guest's next block of code at the latest. Else when `settle` is called or the guest stops
        at the latest. Costs a fraction of listening. `can_wait`: if all who collect say so, what native code has done
        to memory (`emu.engine.translated.features.callrecords.poisoning`) is told when `settle` is called, and all else
        at its moment: who gets both puts them in order by `OpenCalls.tell_later`.
        """
        settle(machine)
        all_of = Collectors.of(machine)
        collectors = all_of.by_class[cls]
        collectors.append(tell)
        all_of.hurried += at_once
        all_of.impatient += not can_wait

        def choose() -> None:
            leader = machine.events.observers.get(cls)
            if isinstance(leader, cls):
                leader._choose()

        def cancel() -> None:
            settle(machine)
            collectors.remove(tell)
            all_of.hurried -= at_once
            all_of.impatient -= not can_wait
            choose()

        choose()
        return Subscription(cancel)

    def tell(self, event: Event) -> None:
        """Hand an event to those who collect, and to those who listen."""
        for collect in self._collectors:
            collect(event)
        if self._later is None:
            self._machine.events.emit(event)

    def follow(self, item: Placed) -> None:
        """Watch a function."""
        if self._open_calls is None:
            self._open_calls = OpenCalls.of(self._machine)
        layer, tellers = item.allocator.layer, self.tellers(item)
        if layer not in self._tracers:
            self._tracers[layer] = CallTracer(self._machine)
        calls, mark = self._open_calls, self.mark(layer)

        def called(call: Call) -> None:
            calls.give_mark(call, mark)
            tellers.called(call)

        self._tracers[layer].trace(item.name, item.address, called, tellers.returned)

    def mark(self, layer: str) -> int:
        """The mark that calls of a layer's functions have among the open ones, with what is called inside of them."""
        calls = OpenCalls.present(self._machine)
        return 0 if calls is None else calls.layer((type(self), layer)) or LAST_MARK

    def at_moment(self, instret: int, tell: Callable[[], None]) -> None:
        """In what collects events: tell listeners of something that has come of one, with its count of instructions.

        Where the event comes in the middle of a block, who stops the machine stops it behind that, and an exception
        comes out of the run there.
        """
        if self._leader._later is None:
            tell()
            return
        core = self._machine.core
        slots, engine = core.slots, core.engine
        counted, slots[Slot.COUNT] = slots[Slot.COUNT], instret
        engine.in_report = True
        try:
            tell()
        except BaseException as error:  # noqa: BLE001  # kept for `run` to raise, with the block at its end
            engine.fail_after_block(error)
        finally:
            engine.in_report = False
            slots[Slot.COUNT] = counted

    def unfollow(self, item: Placed) -> None:
        """Stop watching it."""
        if self._later is not None:
            self._later.untrace(item.address)
            return
        self._tracers[item.allocator.layer].untrace(item.address)
        if self._open_calls is not None and not any(tracer.traces for tracer in self._tracers.values()):
            self._open_calls.close()
            self._open_calls = None

    def _choose(self) -> None:
        """Follow calls in the way that those who want events need."""
        is_wanted = bool(self._collectors) and bool(self._wanted)
        can_wait = not (self._listened_kinds or self.freeing)
        if self._later is not None and not (is_wanted and can_wait):
            self._wait_no_more()
        elif self._later is None and is_wanted and can_wait and KeptTracer.is_possible(self._machine):
            self._wait()
        if self._later is not None and self._open_calls is not None:
            all_of = Collectors.of(self._machine)
            self._open_calls.records.at_once, self._open_calls.records.most = all_of.hurried > 0, all_of.most
            self._open_calls.waits = not all_of.impatient and not self.crossed
            if not self._open_calls.waits:
                self._open_calls.settle()
        if is_wanted and self._later is None and not self._listens_to_collect:
            self._listens_to_collect = True
            super()._start()
        elif self._listens_to_collect and not is_wanted:
            self._listens_to_collect = False
            super()._stop()

    def _wait(self) -> None:
        self._open_calls = OpenCalls.of(self._machine)
        self._later = KeptTracer(self._machine)
        self._trace_later()

    def _trace_later(self) -> None:
        """Follow what is wanted and not followed, or everything in the other way if that cannot be."""
        later = self._later
        for item in self._wanted if later is not None else ():
            if later is not None and not later.traces(item.address):
                how = self.later_tellers(item)
                layer, on_return = (type(self), item.allocator.layer), self.tellers(item).returned
                if not later.trace(
                    layer, item.name, item.address, how.called, how.ended, on_return,
                    nested=how.nested, recorded=how.recorded, crossed=how.crossed,
                ):  # fmt: skip
                    self._wait_no_more()
                    return

    def _trace_anew(self) -> None:
        """What is wanted of calls has changed."""
        if self._later is not None:
            for item in self._wanted:
                self._later.untrace(item.address)
            self._trace_later()

    def _wait_no_more(self) -> None:
        """From now on each event is told at its moment, also of calls that are open."""
        settle(self._machine)
        later, self._later, calls, self._open_calls = self._later, None, self._open_calls, None
        assert later is not None
        assert calls is not None
        given_up = later.close()
        if self._collectors and self._wanted:
            self._listens_to_collect = True
            super()._start()
        layers = {item.address: item.allocator.layer for item in self._wanted}
        for each in given_up:
            address = each.call.address
            tracer = self._tracers.get(layers[address]) if address in layers else None
            if tracer is not None and tracer.traces:
                tracer.adopt(each.call, each.on_return)
        calls.close()

    def _start(self) -> Stop:
        if self._later is not None:
            self._wait_no_more()
        return super()._start()

    def _stop(self) -> None:
        if self._collectors and self._wanted and not self._listens_to_collect:
            self._listens_to_collect = True  # open calls go on being followed
            self._listened_kinds += 1
        super()._stop()

    def _lead(self, items: tuple[Placed, ...], kinds: tuple[type[Event], ...]) -> None:
        super()._lead(items, kinds)
        self._trace_later()
        self._choose()

    def _release(self, items: tuple[Placed, ...]) -> None:
        super()._release(items)
        if self._later is not None:
            for item in items:
                if item not in self._wanted:
                    self._later.untrace(item.address)
        self._choose()
