"""The monitor's words for time: where the run is, where to go, who wrote something last, and why."""

from collections.abc import Callable, Iterator

from emu.address import VirtAddr
from emu.errors import ConfigError
from emu.isa.privilege import Access
from emu.isa.registers import INTEGER_REGISTERS
from emu.machine import Machine
from emu.machine.history.moment import Moment
from emu.observe.calls.backtrace import Backtrace
from emu.observe.origins import why
from emu.observe.pagetables.changes import pte_changes
from emu.report.pagechanges import change_text
from emu.report.places import Places
from emu.report.reasons.pages import pte_text

_MOST_WRITERS = 16


class Moments:
    """Answers about one machine's history; `value` reads an expression."""

    def __init__(self, machine: Machine, value: Callable[[str], int]) -> None:
        self._machine, self._value = machine, value
        self._places = Places(machine)

    def when(self) -> Iterator[str]:
        """Where the run is."""
        history, now = self._machine.history, self._machine.moment
        yield f"{_said(now)}, at {self._places.name(self._machine.hart.pc)}"
        yield f"history goes from {history.begin.instret:,} to {history.end.instret:,} instructions"
        for name, moment in sorted(history.marks.items(), key=lambda item: item[1]):
            yield f"{name}: {_said(moment)}"

    def goto(self, aim: str) -> Iterator[str]:
        """Put the machine to a count of instructions, to `start`, `end`, or a mark."""
        history = self._machine.history
        if aim in history.marks:
            self._machine.goto(history.marks[aim])
        elif aim in ("start", "end"):
            self._machine.goto(history.begin if aim == "start" else history.end)
        elif aim:
            self._machine.goto(self._value(aim.replace(",", "")))
        else:
            raise ConfigError("goto: where? goto INSTRUCTIONS|start|end|MARK; `mark NAME` makes a mark")
        yield from self.when()

    def mark(self, name: str) -> Iterator[str]:
        """Give this moment a name."""
        self._machine.history.marks[name] = self._machine.moment
        yield f"{name}: {_said(self._machine.moment)}"

    def last_write(self, text: str) -> Iterator[str]:
        """Who wrote last to each 8 bytes of a range."""
        place, _, length = text.partition(",")
        first = self._value(place)
        last = first + max(self._value(length) if length.strip() else 1, 1)
        for address in range(first, min(last, first + 8 * _MOST_WRITERS), 8):
            yield from self._writer(address, min(8, last - address))

    def why(self, what: str) -> Iterator[str]:
        """How a register got its value, or an address its page-table entry."""
        name = what.removeprefix("$")
        if not name:
            raise ConfigError("why: of which register or address? why a0, why 0x80200000")
        if name not in INTEGER_REGISTERS:
            yield from self._why_mapped(self._value(what))
            return
        before: Moment | None = None
        for link in why(self._machine, name):
            before = link.moment
            with self._machine.at(link.moment):
                text = self._places.instruction(link.pc)
            yield (
                f"{link.place} = {link.value:#x}: {link.origin}, by `{text}` at {self._places.name(link.pc)}"
                f"{self._callers(link.callers)} after {link.moment.instret:,} instructions"
            )
        if before is None:
            yield f"no instruction of this history has written {name}"

    def _why_mapped(self, address: int) -> Iterator[str]:
        machine = self._machine
        walk = machine.walk(address, Access.LOAD)
        leaf = walk.leaf
        if leaf is not None:
            yield f"{address:#x}: {pte_text(leaf.level, leaf.pte_address, leaf.pte)}"
        is_mapped = False
        for change in pte_changes(machine, address):
            with machine.at(change.moment):
                text = self._places.instruction(change.pc)
            yield (
                f"{change_text(change)} by `{text}` at {self._places.name(change.pc)}{self._callers(change.callers)}"
                f" after {change.moment.instret:,} instructions"
            )
            is_mapped = change.maps
        if not is_mapped:
            yield "no instruction of this history has mapped it"

    def _writer(self, address: int, length: int) -> Iterator[str]:
        machine, place = self._machine, self._machine.locate(address)
        moment = machine.last_write(address, length)
        if moment is None:
            yield f"{place}: no instruction of this history has written there"
            return
        with machine.at(moment):
            pc, satp = machine.hart.pc, machine.hart.csr["satp"]
            text = self._places.instruction(pc)
            callers, privilege = Backtrace(machine).callers_here(), machine.hart.privilege.name
        space = f", satp {satp:#x}" if satp else ""
        yield (
            f"{place}: written by `{text}` at {self._places.name(pc)}{self._callers(callers)}"
            f" in {privilege} mode{space}, after {moment.instret:,} instructions"
        )

    def _callers(self, callers: tuple[VirtAddr, ...]) -> str:
        return "".join(f" < {self._places.name(caller)}" for caller in callers[:6])


def _said(moment: Moment) -> str:
    return f"{moment.instret:,} instructions and {moment.traps:,} traps since power-on"
