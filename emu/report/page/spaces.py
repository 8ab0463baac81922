"""Which address space a run was in when: processes in time, with what each has done."""

from array import array
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from emu.events import AddressSpaceSwitched, SyscallMade
from emu.machine import Machine
from emu.report.page.curves import differences
from emu.report.page.timeline import Timeline
from emu.subscriptions import cancel_all

_MOST_SWITCHES = 50_000
"""Told one by one; later ones are in the sums only."""
_MOST_SPACES = 1000
_MOST = 60_000
"""Sums of the page's timeline: some 300 KB."""


class _Figure(IntEnum):
    """What a sum of the timeline is of: the last two bits of its key, behind the number of the space."""

    INSTRUCTIONS = 0
    SWITCHES = 1
    FAULTS = 2
    SYSCALLS = 3


class Spaces:
    """The address spaces of a machine from now on, each by its satp: a process, as the hardware knows it."""

    def __init__(self, machine: Machine) -> None:
        self._numbers: dict[int, int] = {}
        self._timeline = Timeline()
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
        self._spend(instret)

    def fault(self, instret: int) -> None:
        """A page fault of the space that is current."""
        self._count(instret, _Figure.FAULTS)

    def plain(self, moments: Sequence[int]) -> dict[str, Any]:
        """Everything, as plain data: switches, and what came to each space by which of these moments."""
        timeline = self._timeline.at(moments, _MOST, is_stretch=lambda key: key & 3 == _Figure.INSTRUCTIONS)
        return {
            "satp": [hex(satp) for satp in self._numbers],
            "timeline": timeline.plain(),
            "moments": differences(self._columns[0]),
            "space": list(self._columns[1]),
        }

    def _number(self, satp: int) -> int:
        known = self._numbers.get(satp)
        if known is None:
            if len(self._numbers) == _MOST_SPACES:
                return _MOST_SPACES - 1
            known = self._numbers[satp] = len(self._numbers)
        return known

    def _switch(self, event: AddressSpaceSwitched) -> None:
        if event.new == event.old:
            return
        self._spend(event.instret)
        self._current = self._number(event.new)
        self._count(event.instret, _Figure.SWITCHES)
        if len(self._columns[0]) < _MOST_SWITCHES:
            for column, value in zip(self._columns, (event.instret, self._current), strict=True):
                column.append(value)

    def _called(self, event: SyscallMade) -> None:
        self._count(event.instret, _Figure.SYSCALLS)

    def _count(self, moment: int, figure: _Figure) -> None:
        self._spend(moment)
        self._timeline.add(moment, self._current << 2 | figure)

    def _spend(self, moment: int) -> None:
        """The instructions up to here are those of the space that is current."""
        if moment > self._since:
            self._timeline.add(moment, self._current << 2 | _Figure.INSTRUCTIONS, moment - self._since)
        self._since = moment
