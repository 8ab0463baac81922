"""`ekernel heap`: run a kernel to a moment, and show who holds its memory then, drawn and in figures."""

from collections.abc import Iterator, Sequence

from emu.cli.shared.allocations import NONE_KNOWN, Allocations, allocation_request
from emu.cli.shared.machines import new_machine
from emu.cli.shared.moments import run_whatever_comes
from emu.cli.words.options import heap_options
from emu.cli.words.requests import HeapWords
from emu.counted import counted
from emu.errors import ConfigError
from emu.machine import Machine
from emu.observe.allocations.costs import AllocatorCosts
from emu.observe.allocations.history import AllocationHistory
from emu.observe.allocations.holders import Holders
from emu.observe.allocations.reach import unreachable
from emu.observe.allocations.space import HeapSpace
from emu.report.memory.heap import HeapReport
from emu.report.memory.space import cost_lines, holder_lines, space_lines
from emu.report.places import Places
from emu.terminal.signals import Signals

options = heap_options


def main(words: Sequence[str], _signals: Signals) -> int:
    """Run, print the report, and return the exit status. Raises ConfigError when the image has no known allocator."""
    request = options().read(words, HeapWords())
    machine = new_machine(request)
    allocations = Allocations(machine, allocation_request(request, asked=True), summed_up=True)
    if not (allocations.frames.functions or allocations.heap.functions):
        raise ConfigError(NONE_KNOWN)
    history, space = AllocationHistory(machine), HeapSpace(machine, allocations.chosen)
    costs, holders = AllocatorCosts(machine), Holders(machine)
    status, outcome = run_whatever_comes(machine, request)
    more = (
        ("heap: what is free over the run", space_lines(space)),
        ("calls of the allocators", cost_lines(costs)),
        ("held for whom", holder_lines(holders)),
    )
    for line in _lines(machine, allocations, history, outcome, more):
        print(line)
    return status


def _lines(
    machine: Machine,
    allocations: Allocations,
    history: AllocationHistory,
    ending: str,
    more: Sequence[tuple[str, Iterator[str]]],
) -> Iterator[str]:
    assert allocations.ledger is not None
    places = Places(machine)
    report = HeapReport(machine, places, allocations.ledger, allocations.chosen)
    yield f"-- {ending}: {counted(machine.instret, 'instruction')}"
    yield from allocations.says()
    yield from report.drawing()
    yield from report.history(history, allocations.since)
    for title, lines in more:
        for number, line in enumerate(lines):
            yield f"   {line}" if number else f"{title}\n   {line}"
    yield from report.mistakes()
    yield from report.leaks(unreachable(machine, allocations.ledger, allocations.chosen), allocations.since or 0)
