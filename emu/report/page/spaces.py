"""Which address space a run was in when: processes in time, with what each has done."""

from array import array
from typing import Any

from emu.events import AddressSpaceSwitched, SyscallMade
from emu.machine import Machine
from emu.report.page.curves import differences
from emu.subscriptions import cancel_all

_MOST_SWITCHES = 50_000
"""Told one by one; later ones are in the sums only."""
_MOST_SPACES = 1000


class Spaces:
    """The address spaces of a machine from now on, each by its satp: a process, as the hardware knows it."""

    def __init__(self, machine: Machine) -> None:
        self._numbers: dict[int, int] = {}
        self._instructions: list[int] = []
        self._switched: list[int] = []
        self._faults: list[int] = []
        self._syscalls: list[int] = []
        self._columns = array("Q"), array("H")
        """When a space became current, and which."""
        self._current, self._since = self._number(machine.hart.csr["satp"]), machine.instret
        self._subscriptions = [
            machine.on(AddressSpaceSwitched, self._switch),
            machine.on(SyscallMade, self._called),
        ]

    def close(self, instret: int) -> None:
        """Listen no more; the space that is current ends here."""
        cancel_all(self._subscriptions)
        self._instructions[self._current] += instret - self._since

    def fault(self) -> None:
        """A page fault of the space that is current."""
        self._faults[self._current] += 1

    def plain(self) -> dict[str, Any]:
        """Everything, as plain data; moments as differences."""
        return {
            "satp": [hex(satp) for satp in self._numbers],
            "instructions": self._instructions,
            "switches": self._switched,
            "faults": self._faults,
            "syscalls": self._syscalls,
            "moments": differences(self._columns[0]),
            "space": list(self._columns[1]),
        }

    def _number(self, satp: int) -> int:
        known = self._numbers.get(satp)
        if known is None:
            if len(self._numbers) == _MOST_SPACES:
                return _MOST_SPACES - 1
            known = self._numbers[satp] = len(self._numbers)
            for column in (self._instructions, self._switched, self._faults, self._syscalls):
                column.append(0)
        return known

    def _switch(self, event: AddressSpaceSwitched) -> None:
        if event.new == event.old:
            return
        self._instructions[self._current] += event.instret - self._since
        self._current, self._since = self._number(event.new), event.instret
        self._switched[self._current] += 1
        if len(self._columns[0]) < _MOST_SWITCHES:
            for column, value in zip(self._columns, (event.instret, self._current), strict=True):
                column.append(value)

    def _called(self, _event: SyscallMade) -> None:
        self._syscalls[self._current] += 1
