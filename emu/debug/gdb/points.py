"""Where the client wants the guest to stop: breakpoints, also in one address space only."""

from collections.abc import Callable

from emu.address import PhysPageNum
from emu.debug.gdb.agent import Condition
from emu.errors import EmuError
from emu.isa.status import SATP_PPN
from emu.lateclass import dataclass
from emu.machine import Machine, StopReason
from emu.subscriptions import Subscription

SOFTWARE, HARDWARE = 0, 1
"""Kinds of breakpoints of the packets `Z` and `z`: here both are the same, and change no code of the guest."""
OF_A_SPACE = -1
"""The kind of a breakpoint that the client does not know: of one that it does not find in its list it would go on."""
_WHY = {SOFTWARE: "swbreak:;", HARDWARE: "hwbreak:;", OF_A_SPACE: ""}


@dataclass(slots=True)
class _Breakpoint:
    watch: Subscription
    conditions: tuple[Condition, ...]


class Breakpoints:
    """Stops the machine just before an instruction, for the packets `Z` and `z` and the monitor's `break`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._by_place: dict[tuple[int, int], _Breakpoint] = {}
        self._of_spaces: dict[int, tuple[Subscription, int, PhysPageNum]] = {}
        self.found: Callable[[], None] | None = None
        """Called for each that is met, instead of a stop, while a client goes back in time."""
        self.hit: int | None = None
        """The kind of the breakpoint that has stopped the machine; None while none has."""

    def insert(self, kind: int, address: int, conditions: tuple[Condition, ...]) -> bool:
        """Set a breakpoint, or replace its conditions: it stops when there are none or one of them holds."""
        known = self._by_place.get((kind, address))
        if known is not None:
            known.conditions = conditions
            return True
        watch = self._watch(address, lambda: self._reached(kind, address))
        if watch is None:
            return False
        self._by_place[kind, address] = _Breakpoint(watch, conditions)
        return True

    def remove(self, kind: int, address: int) -> None:
        """Take a breakpoint away; one that is not there is none."""
        known = self._by_place.pop((kind, address), None)
        if known is not None:
            known.watch.cancel()

    def clear(self) -> None:
        """Take all away, those of address spaces too."""
        for kind, address in list(self._by_place):
            self.remove(kind, address)
        for number in list(self._of_spaces):
            self.remove_in_space(number)

    def insert_in_space(self, address: int, root: PhysPageNum) -> int | None:
        """Stop at an address while `satp` names the page table in this frame; returns a number to remove it by."""

        def reached() -> None:
            if self._is_in(root):
                self._stop(OF_A_SPACE)

        watch = self._watch(address, reached)
        if watch is None:
            return None
        number = max(self._of_spaces, default=0) + 1
        self._of_spaces[number] = (watch, address, root)
        return number

    def remove_in_space(self, number: int | None) -> bool:
        """Remove what `insert_in_space` has set; False when there is none of that number."""
        known = None if number is None else self._of_spaces.pop(number, None)
        if known is not None:
            known[0].cancel()
        return known is not None

    def in_spaces(self) -> list[tuple[int, int, PhysPageNum]]:
        """What `insert_in_space` has set: number, address, and the frame of the page table."""
        return [(number, address, root) for number, (_, address, root) in sorted(self._of_spaces.items())]

    def _watch(self, address: int, callback: Callable[[], None]) -> Subscription | None:
        try:
            return self._machine.watch(address, callback)
        except EmuError:  # an odd address
            return None

    def _reached(self, kind: int, address: int) -> None:
        if self._holds(self._by_place[kind, address]):
            self._stop(kind)

    def _holds(self, point: _Breakpoint) -> bool:
        conditions = point.conditions
        return not conditions or any(condition.holds(self._machine) for condition in conditions)

    def _is_in(self, root: PhysPageNum) -> bool:
        return self._machine.hart.csr["satp"] & SATP_PPN == root

    def why(self) -> str | None:
        """What a stop reply says of the breakpoint that was hit, which is forgotten then; None when none was."""
        hit, self.hit = self.hit, None
        return None if hit is None else _WHY[hit]

    def here(self) -> str | None:
        """The same of the breakpoint that would stop the hart where it stands, if any."""
        pc = int(self._machine.hart.pc)
        kinds = [kind for (kind, address), one in self._by_place.items() if address == pc and self._holds(one)]
        if not kinds and any(address == pc and self._is_in(root) for _, address, root in self._of_spaces.values()):
            kinds = [OF_A_SPACE]
        return _WHY[kinds[0]] if kinds else None

    def _stop(self, kind: int) -> None:
        if self.found is not None:
            self.found()
        elif not self._machine.platform.inputs.is_travelling:
            self.hit = kind
            self._machine.platform.end(StopReason.REACHED)
