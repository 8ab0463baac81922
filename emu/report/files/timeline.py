"""A recording as spans, instants and counters in the order of time: what programs that draw timelines want."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple, TypeAlias

from emu.address import VirtAddr
from emu.engine.translated.features.calls import Kind, Transfer
from emu.isa.causes import cause_label
from emu.observe.allocations.workload import number_of
from emu.observe.calls.stacks import CallStacks, Frame
from emu.record.recording import Recording
from emu.report.places import PlaceNames

_MOST_STACKS = 1 << 13
_PUSHES = (Kind.CALL, Kind.SWAP, Kind.TRAP)
_TOLD_BY_SPANS = ("TrapReturned", "FunctionCalled", "FunctionReturned", "PageFaultHandled")
FRAMES, HEAP = "frames held", "heap bytes held"


class Stack(NamedTuple):
    """A stack of calls appears: a thread's, or that of an interrupt."""

    number: int
    """From 1."""
    stack_pointer: int

    @property
    def name(self) -> str:
        """As it is called in the files."""
        return f"stack {self.number} (sp {self.stack_pointer:#x})"


class Begun(NamedTuple):
    """A call or a trap begins."""

    stack: int
    instret: int
    name: str
    category: str
    """`call`, `trap` or `system call`."""
    entry: int
    """Its first instruction."""
    details: dict[str, object]


class Ended(NamedTuple):
    """The innermost call or trap of a stack ends."""

    stack: int
    instret: int


class Happened(NamedTuple):
    """An event that has no length."""

    stack: int
    instret: int
    name: str
    details: dict[str, object]


class Counted(NamedTuple):
    """What a counter shows from now on: FRAMES or HEAP."""

    instret: int
    counter: str
    value: int


Item: TypeAlias = Stack | Begun | Ended | Happened | Counted


class _Open(NamedTuple):
    frame: Frame
    begun: Begun | None
    """None for a function that is not to be shown."""


class _Thread(NamedTuple):
    stack: list[Frame]
    """Kept, so that its identity stays its own."""
    head: Stack
    shown: list[_Open]


class Timeline:
    """Reads a recording with calls; events are in it if it was made with `--trace`.

    A call or trap that is open at the first moment begins there; one that is open at the end has no end. After a tail
    call the span keeps the name of the function that was called. Raises RecordingError for a recording without calls.
    """

    def __init__(
        self, recording: Recording, names: PlaceNames, first: int, last: int, chosen: Callable[[int], bool]
    ) -> None:
        self._recording, self._names = recording, names
        self._first, self._last, self._chosen = first, last, chosen
        self._stacks = CallStacks()
        self._threads: dict[int, _Thread] = {}
        self._known = 0
        self._is_begun = False
        self._trap: tuple[int, int] = (-1, 0)
        self._trap_name, self._trap_category = "", ""
        self._trap_details: dict[str, object] = {}
        self._held: dict[str, int] = {FRAMES: 0, HEAP: 0}
        self._frames: set[int] = set()
        self._blocks: dict[str, int] = {}

    def __iter__(self) -> Iterator[Item]:
        """What happened, in the order of time."""
        events = chain(self._recording.events(), [None])
        event = next(events)
        for transfer in self._recording.transfers():
            while event is not None and _when(event) <= transfer.instret:
                yield from self._event(event)
                event = next(events)
            yield from self._opened(transfer.instret)
            if transfer.instret > self._last:
                return
            before = self._stacks.current
            self._stacks.apply(transfer)
            for item in self._followed(before, transfer):
                if self._is_begun:
                    yield item
        while event is not None:
            yield from self._event(event)
            event = next(events)
        yield from self._opened(self._first)

    def _opened(self, instret: int) -> Iterator[Item]:
        """What is open at the first moment, once that has come."""
        if self._is_begun or instret < self._first:
            return
        self._is_begun = True
        for thread in self._threads.values():
            yield thread.head
            for each in thread.shown:
                if each.begun is not None:
                    yield each.begun._replace(instret=self._first)
        for counter, value in self._held.items():
            if value:
                yield Counted(self._first, counter, value)

    def _followed(self, before: list[Frame], transfer: Transfer) -> Iterator[Item]:
        now = self._stacks.current
        if before is not now and id(before) in self._threads:
            yield from self._closed(self._threads[id(before)], len(before), transfer.instret)
        thread = self._threads.get(id(now))
        if thread is None:
            self._known += 1
            thread = self._threads[id(now)] = _Thread(now, Stack(self._known, transfer.stack_pointer), [])
            yield thread.head
            if len(self._threads) > _MOST_STACKS:
                del self._threads[next(iter(self._threads))]
        kept = len(now) - 1 if transfer.kind in _PUSHES else len(now)
        yield from self._closed(thread, kept, transfer.instret)
        for frame in now[len(thread.shown) :]:
            begun = self._begun(thread.head.number, frame) if self._chosen(frame.entry) else None
            thread.shown.append(_Open(frame, begun))
            if begun is not None:
                yield begun

    def _closed(self, thread: _Thread, kept: int, instret: int) -> Iterator[Item]:
        shown = thread.shown
        while len(shown) > kept:
            if shown.pop().begun is not None:
                yield Ended(thread.head.number, instret)

    def _begun(self, stack: int, frame: Frame) -> Begun:
        name = self._names.function(VirtAddr(frame.entry))
        if not frame.is_trap:
            return Begun(stack, frame.instret, name, "call", frame.entry, {})
        details: dict[str, object] = {"at": self._names.name(VirtAddr(frame.site)), "handler": name}
        if self._trap != (frame.instret, frame.site):
            return Begun(stack, frame.instret, f"trap to {name}", "trap", frame.entry, details)
        details |= self._trap_details
        return Begun(stack, frame.instret, self._trap_name, self._trap_category, frame.entry, details)

    def _event(self, event: dict[str, object]) -> Iterator[Item]:
        kind, instret = str(event.get("event")), _when(event)
        pc = number_of(event.get("pc"))
        if kind == "TrapTaken":
            if self._trap != (instret, pc) or not self._trap_name:
                self._trap_name = cause_label(number_of(event.get("cause")), interrupt=bool(event.get("interrupt")))
                self._trap_category, self._trap_details = "trap", {"tval": hex(number_of(event.get("tval")))}
            self._trap = instret, pc
            return
        if kind == "SyscallMade":
            self._trap, self._trap_category = (instret, pc), "system call"
            self._trap_name = f"system call {event.get('number')}"
            self._trap_details = {"args": str(event.get("args"))}
            return
        yield from self._opened(instret)
        counter = self._counted(kind, event)
        if not self._first <= instret <= self._last or kind in _TOLD_BY_SPANS:
            return
        if counter is not None:
            yield Counted(instret, counter, self._held[counter])
        elif self._chosen(pc):
            thread = self._threads.get(id(self._stacks.current))
            if thread is not None:
                yield Happened(thread.head.number, instret, kind, _details(event))

    def _counted(self, kind: str, event: dict[str, object]) -> str | None:
        """Which counter the event has changed."""
        if kind in ("FrameAllocated", "FrameFreed"):
            first = number_of(event.get("ppn"))
            frames = range(first, first + min(number_of(event.get("count")), 1 << 24))
            if kind == "FrameAllocated":
                self._frames.update(frames)
            else:
                self._frames.difference_update(frames)
            self._held[FRAMES] = len(self._frames)
            return FRAMES
        if kind in ("HeapAllocated", "HeapFreed"):
            place = str(event.get("address"))
            self._held[HEAP] -= self._blocks.pop(place, 0)
            if kind == "HeapAllocated":
                self._blocks[place] = number_of(event.get("size"))
                self._held[HEAP] += self._blocks[place]
            return HEAP
        return None


def _details(event: dict[str, object]) -> dict[str, object]:
    """What of an event is short enough to stand beside it: of a walk, why it ended."""
    walk = event.get("walk")
    more = {"refusal": walk.get("refusal")} if isinstance(walk, dict) else {}
    parts = {name: value for name, value in event.items() if name not in ("event", "instret", "hart")}
    return {name: value for name, value in parts.items() if isinstance(value, str | int)} | more


def _when(event: dict[str, object]) -> int:
    return number_of(event.get("instret"))
