"""What is under way at a moment: it comes back with a snapshot, and ends with a reset or an abandoned call."""

from collections.abc import Callable

from emu.events import MachineReset, StateRestored
from emu.machine import Machine
from emu.subscriptions import cancel_all


class UnderWay:
    """Follows snapshots for an observer whose state is of calls that have begun and not ended.

    A call of the host's that was given up leaves nothing under way, and changes no more than registers.
    """

    def __init__(self, machine: Machine, save: Callable[[], object], restore: Callable[[object | None], None]) -> None:
        """`restore` gets what `save` has returned, or None: then nothing is under way."""
        self._save, self._restore = save, restore
        self._subscriptions = [
            machine.add_follower(self),
            machine.on(StateRestored, self._restored),
            machine.on(MachineReset, lambda _event: restore(None)),
        ]

    def close(self) -> None:
        """Follow nothing more."""
        cancel_all(self._subscriptions)

    def save(self) -> object:
        """What is under way, for a snapshot."""
        return self._save()

    def restore(self, state: object | None) -> None:
        """Return to that."""
        self._restore(state)

    def _restored(self, event: StateRestored) -> None:
        if event.abandoned:
            self._restore(None)
