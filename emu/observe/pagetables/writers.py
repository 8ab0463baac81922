"""Who wrote each page-table entry last."""

from emu.events import PteWritten, StateRestored
from emu.machine import Machine
from emu.subscriptions import cancel_all


class PteWriters:
    """Keeps the last write to each entry, as far as PteWritten tells of them; attach it before the run."""

    def __init__(self, machine: Machine) -> None:
        self.last: dict[int, PteWritten] = {}
        """By the entry's physical address."""
        self._subscriptions = [
            machine.on(PteWritten, self._written),
            machine.on(StateRestored, lambda _event: self.last.clear()),
        ]

    def close(self) -> None:
        """Stop listening."""
        cancel_all(self._subscriptions)

    def _written(self, write: PteWritten) -> None:
        if not write.by_walk:
            self.last[int(write.pte_address)] = write
