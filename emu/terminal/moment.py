"""A moment of a run at which something is to be done once: a place that is reached, or a count of instructions."""

from collections.abc import Callable

from emu.counted import number_in
from emu.machine import Machine, Outcome, StopReason


class Moment:
    """Does something when pc is first at an address, or when so many instructions have retired."""

    def __init__(self, machine: Machine, text: str, act: Callable[[], None]) -> None:
        """`text`: a symbol, an address with 0x, or a number of instructions. Raises SymbolError for an unknown one."""
        self._machine, self._act = machine, act
        self._instret = number_in(text)
        self._address = None if self._instret is not None else machine.address_of(_place(text))
        self.has_come = False

    def run(self, limit: int | None) -> Outcome | None:
        """Run to the moment, or to what comes before it; None when it has come, and the run goes on."""
        machine = self._machine
        if self._address is not None:
            outcome: Outcome | None = None
            if machine.hart.pc != self._address:
                outcome = machine.run(max_instructions=limit, until=self._address)
            self.has_come = outcome is None or outcome.reason is StopReason.REACHED
        else:
            assert self._instret is not None
            left = max(0, self._instret - machine.instret)
            outcome = machine.run(max_instructions=left if limit is None else min(left, limit))
            self.has_come = machine.instret >= self._instret
        if not self.has_come:
            return outcome
        self._act()
        return None


def _place(text: str) -> int | str:
    try:
        return int(text, 16) if text.startswith("0x") else text
    except ValueError:
        return text
