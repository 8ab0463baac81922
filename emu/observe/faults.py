"""What became of each page fault: the kernel mapped the page and resumed, went on elsewhere, or never returned."""

from emu.address import VirtAddr
from emu.events import Event, PageFault, StateRestored, TrapReturned, TrapTaken
from emu.isa.privilege import Privilege
from emu.lateclass import dataclass
from emu.machine import Machine
from emu.observe.source import Source
from emu.subscriptions import Subscription, cancel_all
from emu.walks import Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFaultHandled(Event):
    """The handler of a page fault returned.

    `walk` repeats the refused access as it would go now, so that a page that the kernel mapped can be seen.
    """

    fault: PageFault
    walk: Walk
    target: VirtAddr
    """Where the handler returned to: the instruction that faulted, when it is to be tried again."""

    @property
    def retried(self) -> bool:
        """Whether the hart goes on with the instruction that faulted."""
        return self.target == self.fault.pc


class PageFaultObserver(Source[None]):
    """Makes a PageFaultHandled event when the trap that a page fault caused is returned from.

    Traps nest, so a return belongs to the trap that was taken last; a fault whose handler switches to another process
    is followed as far as that switch. But no handler returns to a less privileged mode than it was entered from: a
    kernel that traps into itself as a way to jump, as Linux does to turn paging on, never returns from that trap.
    `unhandled` are the faults whose handlers have not returned.
    """

    def __init__(self, machine: Machine) -> None:
        self._subscriptions: list[Subscription] = []
        self._open: list[tuple[Privilege, PageFault | None]] = []
        self._latest: PageFault | None = None
        super().__init__(machine, (PageFaultHandled,), (None,))

    @property
    def unhandled(self) -> tuple[PageFault, ...]:
        """Faults whose handlers have not returned, oldest first."""
        return tuple(fault for _, fault in self._leader._open if fault is not None)

    def follow(self, item: None) -> None:  # noqa: ARG002  # there is one thing to follow
        """Listen to faults, traps and returns."""
        self._subscriptions = [
            self._machine.on(PageFault, self._faulted),
            self._machine.on(TrapTaken, self._trapped),
            self._machine.on(TrapReturned, self._returned),
            self._machine.on(StateRestored, lambda _event: self._forget()),
        ]

    def unfollow(self, item: None) -> None:  # noqa: ARG002
        """Stop listening and forget the open faults."""
        cancel_all(self._subscriptions)
        self._forget()

    def _forget(self) -> None:
        self._open.clear()
        self._latest = None

    def _faulted(self, fault: PageFault) -> None:
        self._latest = fault

    def _trapped(self, trap: TrapTaken) -> None:
        self._open.append((trap.privilege, self._latest))
        self._latest = None

    def _returned(self, end: TrapReturned) -> None:
        if not self._open or end.to_privilege < self._open[-1][0]:
            return
        _, fault = self._open.pop()
        if fault is None:
            return
        self._machine.events.emit(
            PageFaultHandled(
                instret=end.instret,
                pc=end.pc,
                privilege=end.privilege,
                hart=end.hart,
                fault=fault,
                walk=self._machine.walk(fault.address, fault.access, fault.privilege),
                target=end.target,
            )
        )
