"""What the command line asks about allocations: whose allocators, since when, and what makes a run fail."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from emu.cli.words.requests import RunWords
from emu.counted import counted, number_in
from emu.errors import ConfigError
from emu.hints import TYPE_CHECKING
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.observe.allocations.catalogue import Catalogue
from emu.observe.faults import PageFaultHandled, PageFaultObserver
from emu.report.places import Places
from emu.spelling import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from emu.observe.allocations.description import Allocator
    from emu.observe.allocations.ledger import AllocationLedger
    from emu.observe.allocations.observers import FrameObserver, HeapObserver

LEAKS, UNREACHABLE, FAULTS, INVARIANTS = "leaks", "unreachable", "faults", "invariants"
DOUBLE_FREE, BAD_FREE, OVERLAP = "double-free", "bad-free", "overlap"
FAILURES = (LEAKS, UNREACHABLE, DOUBLE_FREE, BAD_FREE, OVERLAP, FAULTS, INVARIANTS)
"""The words of `--fail-on`."""
_WRONG = {
    DOUBLE_FREE: ("FREED_TWICE",),
    BAD_FREE: ("NEVER_HELD", "INSIDE", "WRONG_SIZE"),
    OVERLAP: ("OVERLAP",),
}
"""Names of `Wrong`."""
NONE_KNOWN = (
    "the image has none of the allocator functions that are known by name; name its own with "
    "--frame-functions, --heap-functions or --allocator"
)
"""Behind what cannot be answered therefore."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationRequest:
    """The options, as they were typed."""

    frame_functions: str | None = None
    heap_functions: str | None = None
    descriptions: "tuple[Path, ...]" = ()
    since: str | None = None
    fail_on: str = ""
    asked: bool = False
    """Whether allocations are traced: then those are followed too that cost much."""

    def failures(self) -> tuple[str, ...]:
        """The words of `--fail-on`. Raises ConfigError for an unknown one.

        >>> AllocationRequest(fail_on="leaks,double-free").failures()
        ('leaks', 'double-free')
        """
        words = tuple(word.strip() for word in self.fail_on.split(",") if word.strip())
        for word in words:
            if word not in FAILURES:
                suggestion = did_you_mean(word, FAILURES)
                raise ConfigError(f"--fail-on does not know '{word}': {suggestion}it takes {', '.join(FAILURES)}")
        return words

    def read(self) -> "tuple[Allocator, ...]":
        """The allocators that were named. Raises ConfigError."""
        if not self.descriptions and self.frame_functions is None and self.heap_functions is None:
            return ()
        from emu.observe.allocations.description import read_description
        from emu.observe.allocations.signatures import frame_allocator, heap_allocator

        named = [read_description(path, trusted=True) for path in self.descriptions]
        if self.frame_functions is not None:
            named.append(frame_allocator(self.frame_functions))
        if self.heap_functions is not None:
            named.append(heap_allocator(self.heap_functions))
        return tuple(named)


def allocation_request(request: RunWords, *, asked: bool) -> AllocationRequest:
    """What was said about allocators; `asked` follows those, too, that cost much."""
    return AllocationRequest(
        frame_functions=request.frame_functions,
        heap_functions=request.heap_functions,
        descriptions=tuple(request.allocators),
        since=request.since,
        fail_on=request.fail_on,
        asked=asked,
    )


class Allocations:
    """Observers and accounts of one run."""

    def __init__(self, machine: Machine, request: AllocationRequest, *, summed_up: bool) -> None:
        """Raises ConfigError or SymbolError for what the image does not have."""
        self._machine = machine
        self._failures = request.failures()
        named = request.read()
        judged = bool(set(self._failures) - {FAULTS, INVARIANTS})
        asked = request.asked or judged or bool(named or request.since)
        fitting = Catalogue(machine.symbols).fitting()
        self._left_out = () if asked else tuple(allocator for allocator in fitting if allocator.on_request)
        chosen = [allocator for allocator in fitting if allocator not in self._left_out]
        self._frames, self._blocks = (_of_kind(named, kind) or tuple(chosen) for kind in ("frames", "blocks"))
        self.chosen = (*named, *chosen)
        """The descriptions that were named or that fit the image."""
        self.followed = asked or bool(fitting)
        """Whether there is anything to follow; else observers and accounts are made for who asks for them only."""
        self._is_accounted = summed_up or judged
        if self.followed:
            self.ledger  # noqa: B018  # attaches the observers, too
        if judged and not (self.frames.functions or self.heap.functions):
            raise ConfigError(f"--fail-on {request.fail_on}: {NONE_KNOWN}")
        self.since: int | None = 0
        """Since which instruction what is held counts; None while the place of `--since` was not reached."""
        self._since_text = request.since
        if request.since is not None:
            self._wait_for(request.since)
        self._unmapped = 0
        if FAULTS in self._failures:
            machine.on(PageFaultHandled, self._count_fault)

    @cached_property
    def frames(self) -> "FrameObserver":
        """What makes events of frames."""
        from emu.observe.allocations.observers import FrameObserver

        return FrameObserver(self._machine, self._frames)

    @cached_property
    def heap(self) -> "HeapObserver":
        """What makes events of heap blocks."""
        from emu.observe.allocations.observers import HeapObserver

        return HeapObserver(self._machine, self._blocks)

    @cached_property
    def ledger(self) -> "AllocationLedger | None":
        """Who holds what; None when nobody would read it."""
        from emu.observe.allocations.ledger import AllocationLedger

        _ = self.frames, self.heap
        return AllocationLedger(self._machine) if self._is_accounted else None

    def says(self) -> list[str]:
        """By which descriptions it went, for the summary."""
        if not self.followed:
            return []
        used = dict.fromkeys((*self.frames.allocators, *self.heap.allocators))
        told = [allocator.about or allocator.name for allocator in used]
        lines = [f"as described: {'; '.join(told)}"] if told else []
        lines += [f"not followed: {allocator.about} (--trace frames,heap does)" for allocator in self._left_out]
        if self._since_text is not None and self.since is None:
            lines.append(f"--since {self._since_text}: that was never reached")
        skipped = dict.fromkeys((*self.frames.skipped, *self.heap.skipped))
        return [*lines, *(f"not {reason}" for reason in skipped), *self._unseen()]

    def _unseen(self) -> Iterator[str]:
        """Calls of functions that the user has named, and that the compiler has inlined."""
        functions = (*self.frames.functions, *self.heap.functions)
        names = {one.name for one in functions if one.allocator.trusted}
        if names:
            for name, lines in sorted(self._machine.platform.names.inlined.calls(names).items()):
                others = f" and {counted(len(lines) - 1, 'more place')}" if len(lines) > 1 else ""
                yield f"{name} is inlined at {lines[0]}{others}, where it is not seen: compile it with noinline"

    def failed(self, faults: PageFaultObserver) -> list[str]:
        """What `--fail-on` names and has happened."""
        return [text for word in self._failures if word != INVARIANTS and (text := self._failure(word, faults))]

    def _failure(self, word: str, faults: PageFaultObserver) -> str | None:
        from emu.observe.allocations.accounts import Wrong
        from emu.observe.allocations.reach import unreachable

        if word == FAULTS:
            count = self._unmapped + len(faults.unhandled)
            return f"{counted(count, 'page fault')} that the kernel did not resolve" if count else None
        assert self.ledger is not None
        frames, blocks = self.ledger.frames, self.ledger.blocks
        since = self.since
        if word in (LEAKS, UNREACHABLE) and since is None:
            return f"{word} since {self._since_text}, and that was never reached"
        if word == LEAKS:
            assert since is not None
            held = sum(1 for _ in frames.since(since)), sum(1 for _ in blocks.since(since))
            return f"{counted(held[0], 'frame')} and {counted(held[1], 'heap block')} still held" if any(held) else None
        if word == UNREACHABLE:
            assert since is not None
            found = unreachable(self._machine, self.ledger, self.chosen)
            lost = [sum(event.instret > since for event in events) for events in (found.frames, found.blocks)]
            return f"nothing points to {lost[0]:,} frames and {lost[1]:,} heap blocks" if any(lost) else None
        wrong = [Wrong[name] for name in _WRONG[word]]
        count = sum(account.wrong[kind] for account in (frames, blocks) for kind in wrong)
        return f"{' or '.join(kind.value for kind in wrong)}: {count:,}" if count else None

    def _count_fault(self, event: PageFaultHandled) -> None:
        self._unmapped += not event.retried or event.walk.refusal is not None

    def _wait_for(self, since: str) -> None:
        self.since = number_in(since)
        if self.since is not None:
            return
        if since == "mark":
            return
        symbol = self._machine.symbols.lookup(since)

        def reached() -> None:
            watch.cancel()
            self.since = self._machine.instret

        watch = self._machine.watch(symbol.address, reached)

    def mark(self) -> int:
        """The user marks this moment, in the monitor: `--since mark` counts from the last one on."""
        if self._since_text == "mark":
            self.since = self._machine.instret
        return self._machine.instret


def drawing(machine: Machine, allocations: Allocations) -> Iterable[str]:
    """What is held now, for the monitor."""
    from emu.report.memory.heap import HeapReport  # only who asks for it pays for its import

    if allocations.ledger is None:
        return ("--quiet keeps no account of what is held",)
    return HeapReport(machine, Places(machine), allocations.ledger, allocations.chosen).drawing()


def _of_kind(named: "Sequence[Allocator]", kind: str) -> "tuple[Allocator, ...]":
    return tuple(allocator for allocator in named if getattr(allocator, kind))
