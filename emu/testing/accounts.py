"""What a test asks about memory: who holds frames and blocks since it began, which page faults were not resolved."""

from emu.counted import counted
from emu.errors import ConfigError
from emu.events import PageFault
from emu.machine import Machine
from emu.observe.allocations.catalogue import Catalogue
from emu.observe.allocations.description import Allocator
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.faults import PageFaultHandled, PageFaultObserver
from emu.report.memory.accounts import AccountReport
from emu.report.places import Places
from emu.report.sentences import Sentences
from emu.subscriptions import cancel_all


class Allocations:
    """The account of a machine's frames and heap blocks since a test began.

    Allocators are found in the image as by `ekernel run`, or described (see docs/allocators.md).
    """

    def __init__(self, machine: Machine, described: tuple[Allocator, ...] = ()) -> None:
        """Raises ConfigError for an image without an allocator that is known."""
        chosen = described or Catalogue(machine.symbols).fitting()
        self._observers = (FrameObserver(machine, chosen), HeapObserver(machine, chosen))
        if not any(observer.functions for observer in self._observers):
            self.close()
            raise ConfigError(
                "no allocator is known in this image: describe its functions (docs/allocators.md) by a fixture "
                "`allocators` that returns [ekernel.frame_allocator('alloc,free')], say"
            )
        self.ledger = AllocationLedger(machine)
        """Both accounts, with all that they tell."""
        self._report = AccountReport(Places(machine))

    @property
    def frames(self) -> int:
        """Frames that are held and were allocated since the test began."""
        return len(self.ledger.frames.held)

    @property
    def blocks(self) -> int:
        """The same of heap blocks."""
        return len(self.ledger.blocks.held)

    def no_leaks(self) -> None:
        """Fail when something that was allocated since the test began is held still."""
        __tracebackhide__ = True
        if self.frames or self.blocks:
            raise AssertionError(
                self._text(f"{counted(self.frames, 'frame')} and {counted(self.blocks, 'heap block')} are still held")
            )

    def no_mistakes(self) -> None:
        """Fail when something was freed twice, freed that nobody held, or handed out while it was held.

        What is freed that was allocated before the test began is no mistake.
        """
        __tracebackhide__ = True
        count = sum(
            mistake.other is not None
            for account in (self.ledger.frames, self.ledger.blocks)
            for mistake in account.mistakes
        )
        if count:
            raise AssertionError(self._text(f"{counted(count, 'wrong call')} of the allocator"))

    def _text(self, what: str) -> str:
        frames = self._report.lines("frames", self.ledger.frames)
        return "\n".join([what, *frames, *self._report.lines("heap", self.ledger.blocks)])

    def close(self) -> None:
        """Stop listening."""
        if hasattr(self, "ledger"):
            self.ledger.close()
        for observer in self._observers:
            observer.close()


class Faults:
    """The page faults since a test began."""

    def __init__(self, machine: Machine) -> None:
        self.all: list[PageFault] = []
        """All, the kernel resolved them or not."""
        self._unmapped: list[PageFault] = []
        self._observer = PageFaultObserver(machine)
        self._sentences = Sentences(Places(machine))
        self._subscriptions = [machine.on(PageFault, self.all.append), machine.on(PageFaultHandled, self._handled)]

    @property
    def unresolved(self) -> tuple[PageFault, ...]:
        """Those whose page the kernel did not map, or whose handler has not returned."""
        return (*self._unmapped, *self._observer.unhandled)

    def no_faults(self) -> None:
        """Fail for a page fault that the kernel did not resolve."""
        __tracebackhide__ = True
        if self.unresolved:
            told = [f"  {self._sentences.say(fault)[1]}" for fault in self.unresolved[:5]]
            raise AssertionError("\n".join([f"not resolved: {counted(len(self.unresolved), 'page fault')}", *told]))

    def _handled(self, event: PageFaultHandled) -> None:
        if not event.retried or event.walk.refusal is not None:
            self._unmapped.append(event.fault)

    def close(self) -> None:
        """Stop listening."""
        cancel_all(self._subscriptions)
        self._observer.close()
