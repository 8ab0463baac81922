"""What a page tells of a run: events in columns, the places they name, curves, and who held memory when."""

from collections.abc import Callable, Sequence
from typing import Any

from emu.address import VirtAddr
from emu.events import (
    AddressSpaceSwitched,
    ConsoleOutput,
    Event,
    FrameAllocated,
    FrameFreed,
    HeapAllocated,
    HeapFreed,
    PageFault,
    StateRestored,
    TrapTaken,
)
from emu.isa.causes import PAGE_FAULTS, ExceptionCause
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT
from emu.machine import Machine
from emu.memory import RAM_BASE
from emu.observe.allocations.collected import settle
from emu.observe.allocations.description import Allocator
from emu.observe.allocations.observers import FrameObserver, HeapObserver, gives_addresses
from emu.observe.allocations.space import HeapSpace
from emu.observe.faults import PageFaultHandled, PageFaultObserver
from emu.report.memory.blocktypes import BlockTypes
from emu.report.page.addresses import Regions
from emu.report.page.calling import Calling
from emu.report.page.costs import Costs
from emu.report.page.curves import Curves, differences
from emu.report.page.heaps import Heap
from emu.report.page.sources import excerpts
from emu.report.page.spaces import Spaces
from emu.report.places import Places
from emu.report.reasons.pages import refusal
from emu.report.reasons.traps import TrapReasons
from emu.report.sentences import Sentences
from emu.subscriptions import cancel_all

MOST_EVENTS = 120_000
"""Told one by one; later ones are in the curves and in the maps of memory only."""
_MOST_TRAPS = MOST_EVENTS // 3
"""So that a kernel of very many system calls leaves room for what they do."""
_MOST_MAPS = 128
_MOST_RUNS = 300_000
"""Of frames with one owner, in all maps together: some 700 KB of the page."""
_POINTS = 20_000
_CONSOLE = 256 << 10
_SHIFT = 12

FAULT, HANDLED, FRAME, FRAME_FREE, HEAP, HEAP_FREE, SPACE, TRAP, ECALL, INTERRUPT = range(10)
KINDS = ("fault", "handled", "frame +", "frame -", "heap +", "heap -", "satp", "trap", "ecall", "interrupt")
_PAGE_FAULTS = frozenset(PAGE_FAULTS.values())
_ECALLS = (ExceptionCause.ECALL_FROM_U, ExceptionCause.ECALL_FROM_S, ExceptionCause.ECALL_FROM_M)


class Story:
    """Listens to a machine from now on. `columns` is what the page is made of, when the run has ended."""

    def __init__(
        self, machine: Machine, allocators: Sequence[Allocator] = (), *, most_events: int = MOST_EVENTS
    ) -> None:
        self._machine, self._most = machine, most_events
        PageFaultObserver(machine)
        for observer in (FrameObserver, HeapObserver):
            observer(machine, ())  # so that there are such events to listen to, if nobody else makes them
        self._places = Places(machine)
        self._calling = Calling(machine, self._places)
        self._spaces = Spaces(machine)
        self._regions = Regions()
        self._sentences, self._reasons = Sentences(self._places), TrapReasons(self._places)
        self._traps = 0
        self._rows: list[tuple[int, int, int, int, int, int]] = []
        """Moment, kind, place, two figures, and a text or a chain of callers."""
        self._known: dict[VirtAddr, int] = {}
        self._chains: dict[tuple[int, ...], int] = {}
        self._texts: list[str] = []
        self._faults: list[dict[str, Any]] = []
        self._console: list[tuple[int, str]] = []
        self._console_bytes = 0
        self._owners: dict[int, int] = {}
        self._blocks: dict[int, int] = {}
        self._typed: dict[tuple[int, str | None], tuple[tuple[VirtAddr, ...], set[int]]] = {}
        """Callers and sizes, by the number of the chain; of blocks with their slab cache, of frames with None."""
        self._in_heap = 0
        self._curves = Curves()
        self._maps: list[tuple[int, list[tuple[int, int, int]]]] = []
        self._events = 0
        self._next_map, self._between_maps = most_events, max(1, most_events // _MOST_MAPS)
        listeners: dict[type[Event], Callable[[Any], None]] = {
            ConsoleOutput: self._wrote,
            PageFault: self._faulted,
            PageFaultHandled: lambda event: self._say(HANDLED, event),
            TrapTaken: self._trapped,
            AddressSpaceSwitched: lambda event: self._say(SPACE, event),
            StateRestored: lambda _event: self._forget(),
        }
        self._subscriptions = [
            *(machine.on(kind, listener) for kind, listener in listeners.items()),
            *(observer.collect(machine, self._changed, at_once=False) for observer in (FrameObserver, HeapObserver)),
        ]
        self._costs = Costs(machine)
        self._heap = Heap(HeapSpace(machine, allocators), self._regions, lambda: len(self._rows), most_events)

    def columns(self, title: str, ending: str) -> dict[str, Any]:
        """Everything, as plain data."""
        cancel_all(self._subscriptions)
        self._calling.close()
        self._spaces.close(self._machine.instret)
        self._costs.close()
        machine, places = self._machine, [self._place(address) for address in self._known]
        rows = list(zip(*self._rows, strict=True)) or [()] * 6
        if self._maps:
            self._draw(machine.instret)
        moments = [*rows[0], *(moment for moment, _ in self._maps), machine.instret]
        return {
            "title": title,
            "ending": ending,
            "instructions": machine.instret,
            "fidelity": machine.config.fidelity,
            "events": self._events,
            "kinds": KINDS,
            "moments": differences(rows[0]),
            **dict(zip(("kind", "place", "a", "b", "c"), map(list, rows[1:]), strict=True)),
            "places": places,
            "chains": [list(chain) for chain in self._chains],
            "types": self._types(),
            "texts": self._texts,
            "faults": self._faults,
            "console": self._console,
            "curves": [differences(column) for column in zip(*self._curves.reduced(_POINTS), strict=True)],
            "maps": self._maps,
            "regions": self._regions.plain(),
            "spaces": self._spaces.plain(moments),
            "free": self._heap.plain(),
            "costs": self._costs.plain(moments),
            "calls": self._calling.plain(moments),
            "memory": [RAM_BASE >> _SHIFT, machine.config.ram_size >> _SHIFT],
            "sources": excerpts((place["path"], place["line"]) for place in places if place["path"]),
        }

    def _types(self) -> dict[int, str]:
        """What blocks and frames are of, by the number of their chain of callers, where it is known."""
        types, found = BlockTypes(self._places), dict[int, str]()
        of_frames = gives_addresses(self._machine)
        for (number, kind), (chain, sizes) in self._typed.items():
            if kind is None and not of_frames:
                continue
            name = kind or types.name(chain, sizes)
            if name:
                found[number] = name if found.get(number, name) == name else f"{found[number]} or {name}"
        return found

    # What happens.

    def _note(self, kind: int, event: Event, a: int = 0, b: int = 0, c: int = -1) -> bool:
        """Take a row for an event; whether there was room for one."""
        self._events += 1
        has_room = len(self._rows) < self._most
        if has_room:
            self._rows.append((event.instret, kind, self._number(event.pc), a, b, c))
        elif self._events >= self._next_map:
            self._draw(event.instret)
        if kind in (FRAME, FRAME_FREE, HEAP, HEAP_FREE):
            self._curves.note(event.instret, len(self._owners), self._in_heap)
        return has_room

    def _say(self, kind: int, event: Event, say: Callable[[Any], str] | None = None) -> None:
        settle(self._machine)
        if self._note(kind, event, c=len(self._texts)):
            self._texts.append(say(event) if say is not None else self._sentences.say(event)[1])

    def _trapped(self, event: TrapTaken) -> None:
        if not event.interrupt and event.cause in _PAGE_FAULTS:
            return  # which PageFault tells
        self._traps += 1
        if self._traps > _MOST_TRAPS:
            return
        kind = INTERRUPT if event.interrupt else ECALL if event.cause in _ECALLS else TRAP
        self._say(kind, event, self._reasons.sentence)

    def _faulted(self, event: PageFault) -> None:
        settle(self._machine)
        self._spaces.fault(event.instret)
        row = len(self._rows)
        self._say(FAULT, event)
        if len(self._rows) == row:
            return
        walk = event.walk
        leaf = walk.steps[-1] if walk.steps else None
        self._faults.append(
            {
                "row": row,
                "access": event.access.name.lower(),
                "address": hex(event.address),
                "levels": PAGING_LEVELS.get(walk.satp >> SATP_MODE_SHIFT, 0),
                "steps": [[step.level, hex(step.pte_address), hex(step.pte)] for step in walk.steps],
                "refusal": refusal(walk),
                "level": leaf.level if leaf else -1,
            }
        )

    def _changed(self, event: Event) -> None:
        """A frame or a block comes or goes: these are told of in bulk."""
        if isinstance(event, HeapAllocated):
            self._heap_allocated(event)
        elif isinstance(event, HeapFreed):
            self._heap_freed(event)
        elif isinstance(event, FrameAllocated):
            self._frame_allocated(event)
        elif isinstance(event, FrameFreed):
            self._frame_freed(event)

    def _frame_allocated(self, event: FrameAllocated) -> None:
        chain = self._chain(event, event.callers)
        for ppn in range(event.ppn, event.ppn + event.count):
            self._owners[ppn] = chain
        self._typed.setdefault((chain, None), ((event.pc, *event.callers), set()))[1].add(event.count << _SHIFT)
        self._note(FRAME, event, event.ppn, event.count, chain)

    def _frame_freed(self, event: FrameFreed) -> None:
        for ppn in range(event.ppn, event.ppn + event.count):
            self._owners.pop(ppn, None)
        self._note(FRAME_FREE, event, event.ppn, event.count, self._chain(event, event.callers))

    def _heap_allocated(self, event: HeapAllocated) -> None:
        self._in_heap += event.size - self._blocks.pop(event.address, 0)
        self._blocks[event.address] = event.size
        chain = self._chain(event, event.callers)
        self._typed.setdefault((chain, event.kind), ((event.pc, *event.callers), set()))[1].add(event.size)
        self._note(HEAP, event, self._regions.short(event.address), event.size, chain)

    def _heap_freed(self, event: HeapFreed) -> None:
        size = self._blocks.pop(event.address, 0)
        self._in_heap -= size
        self._note(HEAP_FREE, event, self._regions.short(event.address), size, self._chain(event, event.callers))

    def _wrote(self, event: ConsoleOutput) -> None:
        if self._console_bytes < _CONSOLE:
            self._console_bytes += len(event.data)
            text = event.data.decode("utf-8", "replace")
            if self._console and not self._console[-1][1].endswith("\n"):
                self._console[-1] = (self._console[-1][0], self._console[-1][1] + text)
            else:
                self._console.append((event.instret, text))

    def _forget(self) -> None:
        settle(self._machine)
        self._owners.clear()
        self._blocks.clear()
        self._in_heap = 0

    def _draw(self, moment: int) -> None:
        """Who holds which frames, as runs; where there are many of these maps, every other one goes."""
        runs: list[tuple[int, int, int]] = []
        for ppn, chain in sorted(self._owners.items()):
            if runs and runs[-1][0] + runs[-1][1] == ppn and runs[-1][2] == chain:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1, chain)
            else:
                runs.append((ppn, 1, chain))
        self._maps.append((moment, runs))
        while len(self._maps) > 2 and (
            len(self._maps) >= _MOST_MAPS or sum(len(runs) for _, runs in self._maps) > _MOST_RUNS
        ):
            del self._maps[-2::-2]
            self._between_maps *= 2
        self._next_map = self._events + self._between_maps

    # Numbers for what is named often.

    def _number(self, address: VirtAddr) -> int:
        return self._known.setdefault(address, len(self._known))

    def _chain(self, event: Event, callers: tuple[VirtAddr, ...]) -> int:
        chain = tuple(self._number(address) for address in (event.pc, *callers))
        return self._chains.setdefault(chain, len(self._chains))

    def _place(self, address: VirtAddr) -> dict[str, Any]:
        line = self._machine.platform.names.lines.at(address)
        return {
            "address": hex(address),
            "name": self._places.name(address),
            "function": self._places.function(address),
            "instruction": self._places.instruction(address) or "",
            "path": line.file if line else "",
            "line": line.line if line else 0,
        }
