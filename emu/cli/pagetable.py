"""`ekernel pagetable`: run a kernel to a moment, and show what its page tables map there."""

import re
from collections.abc import Iterable, Sequence

from emu.cli.shared.allocations import Allocations, allocation_request
from emu.cli.shared.invariants import FREED, CheckedInvariants, read_invariants
from emu.cli.shared.machines import new_machine
from emu.cli.shared.moments import not_reached, run_on
from emu.cli.words.options import pagetable_options
from emu.cli.words.reading import written
from emu.cli.words.requests import PageTableWords
from emu.counted import number_in
from emu.errors import ConfigError
from emu.machine import Machine, StopReason
from emu.mmu.space import FILTERS, AddressSpace, selects
from emu.observe.faults import PageFaultObserver
from emu.observe.pagetables.faults import FaultGroups
from emu.observe.writers import LastWrites
from emu.report import pagetables
from emu.report.faultgroups import fault_groups
from emu.report.places import Places
from emu.report.reasons.pages import pte_text
from emu.terminal.signals import Signals

_RANGE = re.compile(r"([^-.]+)(?:-|\.\.)([^-.]+)")


options = pagetable_options


def main(words: Sequence[str], _signals: Signals) -> int:
    """Print what was asked for, and return the exit status. Raises ConfigError for what cannot be shown."""
    request = options().read(words, PageTableWords())
    _check(request)
    machine = new_machine(request)
    if request.invariants:
        return _check_invariants(machine, request)
    if request.faults:
        groups = FaultGroups(machine, PageFaultObserver(machine))
        _run_to(machine, request, request.at)
        _print(fault_groups(groups, Places(machine)))
        return 0
    writes = LastWrites(machine) if request.writers else None
    satp = _number(request.satp, "-satp") if request.satp else None
    _run_to(machine, request, request.at)
    space = machine.address_space(satp)
    if request.diff:
        _run_to(machine, request, request.diff)
        later = machine.address_space(space.satp if space.levels else satp)
        _print(list(pagetables.changes(space.diff(later))) or ["nothing has changed"])
        return 0
    print(f"{request.at or 'at the end'}: satp {space.satp:#x}, pc {Places(machine).name(machine.hart.pc)}")
    _print(_answer(space, request))
    if writes is not None:
        _print(_writers(space, writes, Places(machine), request))
    return 0


def _check(request: PageTableWords) -> None:
    if request.form not in pagetables.FORMATS:
        raise ConfigError(f"-format {written(request.form)}: there are {', '.join(pagetables.FORMATS)}")
    unknown = [letter for letter in request.letters if letter not in FILTERS]
    if unknown:
        raise ConfigError(f"-filter {request.letters}: '{unknown[0]}' is none of the letters {' '.join(FILTERS)}")
    if request.form in ("ptdump", "vmprint") and (request.letters or request.span):
        raise ConfigError(f"-format {request.form} shows everything; -filter and -range go with tree and flat")


def _check_invariants(machine: Machine, request: PageTableWords) -> int:
    """Run to the moment with the invariants checked at each write; the status is 1 when one did not hold."""
    names = read_invariants(request.invariants, "-check")
    if FREED in names:
        Allocations(machine, allocation_request(request, asked=True), summed_up=False)
    found = CheckedInvariants(machine, names, lambda _line: None)
    _run_to(machine, request, request.at)
    for each in found.broken:
        print(found.line(each))
    for still in found.still_mapped:
        print(found.freed_line(still))
    number = len(found.broken)
    noun = "write of a page-table entry breaks" if number == 1 else "writes of page-table entries break"
    print(f"{number:,} {noun} {request.invariants}")
    return int(bool(found.broken or found.still_mapped))


def _answer(space: AddressSpace, request: PageTableWords) -> Iterable[str]:
    if request.walk:
        return pagetables.walked(space, _number(request.walk, "-walk"))
    if request.find:
        physical = _number(request.find, "-find")
        found = [f"{physical:#x} is mapped at {place} by {_leaf(space, place)}" for place in space.find(physical)]
        return found or (f"{physical:#x} is not mapped",)
    first, last = _span(request.span)
    if request.form == "tree":
        return (*pagetables.tree(space, request.letters, first, last), *pagetables.oddities(space))
    if request.form == "flat":
        return (*pagetables.flat(space, request.letters, first, last), *pagetables.oddities(space))
    return pagetables.FORMATS[request.form](space)


def _leaf(space: AddressSpace, address: int) -> str:
    entry = space.at(address)
    return "nothing" if entry is None else pte_text(entry.level, entry.address, entry.pte)


def _writers(space: AddressSpace, writes: LastWrites, places: Places, request: PageTableWords) -> Iterable[str]:
    first, last = _span(request.span)
    for entry in space.leaves:
        if entry.last < first or entry.first > last or not selects(entry, request.letters):
            continue
        write = writes.at_physical(int(entry.address))
        if write is None:
            yield f"{entry.first}: PTE at {entry.address} was written by no store of the guest"
        else:
            instruction = places.instruction(write.pc)
            by = f"by `{instruction}` at" if instruction else "at"
            when = f"{places.name(write.pc)} after {write.instret:,} instructions"
            yield f"{entry.first}: PTE at {entry.address} written {by} {when}"


def _run_to(machine: Machine, request: PageTableWords, place: str | None) -> None:
    """Run to a moment; without one to the end."""
    if place is None:
        run_on(machine, request, request.max_instructions)
        return
    number = number_in(place)
    if number is not None:
        outcome = run_on(machine, request, max(0, number - machine.instret))
        reached = outcome.reason is StopReason.INSTRUCTION_LIMIT
    else:
        until = _number(place, "-at") if place.startswith("0x") else place
        outcome = run_on(machine, request, request.max_instructions, until)
        reached = outcome.reason is StopReason.REACHED
    if not reached:
        raise not_reached(place, machine, outcome)


def _span(text: str) -> tuple[int, int]:
    if not text:
        return 0, (1 << 64) - 1
    match = _RANGE.fullmatch(text)
    if match is None:
        raise ConfigError(f"-range {text}: give two addresses, as in 0x1000-0x2fff")
    return _number(match[1], "-range"), _number(match[2], "-range")


def _number(text: str, option: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise ConfigError(f"{option} {text}: give a number, as in 0x80200000") from None


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)
