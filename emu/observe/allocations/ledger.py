"""Who holds what: frames and heap blocks between their allocation and their free."""

from emu.errors import ConfigError
from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed, MachineReset
from emu.hints import cast
from emu.machine import Machine
from emu.observe.allocations.accounts import BlockAccount, FrameAccount
from emu.observe.allocations.collected import settle
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.shown import Shown
from emu.subscriptions import cancel_all


class AllocationLedger(Shown):
    """Keeps an account of frames and one of heap blocks from the machine's allocation events.

    Follows snapshots: after `machine.restore` it says what it said when the snapshot was taken. Needs a FrameObserver
    or a HeapObserver on the machine; raises ConfigError without.
    """

    def __init__(self, machine: Machine) -> None:
        self._frames, self._blocks = FrameAccount(), BlockAccount()
        self.marks: dict[str, int] = {}
        """Moments by name, as counts of instructions."""
        self.machine = machine
        self._subscriptions = [
            made_by.collect(machine, enter, at_once=False)
            for made_by, kind, enter in (
                (FrameObserver, FrameAllocated, self._enter_frames),
                (HeapObserver, HeapAllocated, self._enter_block),
            )
            if machine.events.has_source(kind)
        ]
        if not self._subscriptions:
            raise ConfigError(
                "nothing tells of allocations on this machine; attach the observer that does: FrameObserver, "
                "HeapObserver or both, from emu.observe.allocations.observers"
            )
        self._subscriptions += [machine.on(MachineReset, self._reset), machine.add_follower(self)]

    @property
    def frames(self) -> FrameAccount:
        """The account of frames, by now."""
        settle(self.machine)
        return self._frames

    @property
    def blocks(self) -> BlockAccount:
        """The account of heap blocks, by now."""
        settle(self.machine)
        return self._blocks

    def _enter_frames(self, event: Event) -> None:
        if isinstance(event, FrameAllocated):
            self._frames.allocate(event)
        elif isinstance(event, FrameFreed):
            self._frames.free(event)

    def _enter_block(self, event: Event) -> None:
        if isinstance(event, HeapAllocated):
            self._blocks.allocate(event)
        elif isinstance(event, HeapFreed):
            self._blocks.free(event)

    def close(self) -> None:
        """Stop listening; the accounts stay readable."""
        cancel_all(self._subscriptions)

    def mark(self, name: str) -> None:
        """Give this moment a name, to ask later what was allocated since."""
        self.marks[name] = self.machine.instret

    def save(self) -> object:
        """The accounts as they are, for a snapshot."""
        return self.frames.copied(), self.blocks.copied(), dict(self.marks)

    def restore(self, state: object | None) -> None:
        """Return to saved accounts; to empty ones when the snapshot is older than the ledger."""
        settle(self.machine)
        if state is None:
            self._frames, self._blocks, self.marks = FrameAccount(), BlockAccount(), {}
            return
        frames, blocks, marks = cast("tuple[FrameAccount, BlockAccount, dict[str, int]]", state)
        self._frames, self._blocks, self.marks = frames.copied(), blocks.copied(), dict(marks)

    def _reset(self, _event: MachineReset) -> None:
        self.frames.forget()
        self.blocks.forget()
