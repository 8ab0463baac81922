"""A few lines after a run: how it ended, what it cost, which traps it took, and who holds memory still."""

from collections import Counter
from typing import TypeVar

from emu.events import Event, TrapTaken
from emu.isa.causes import ExceptionCause, cause_label
from emu.machine import Machine, Outcome
from emu.machine.semihosting import asks
from emu.observe.faults import PageFaultObserver
from emu.observe.ledger import Account, AllocationLedger
from emu.report.places import Places
from emu.report.sentences import Sentences, refusal

_SHOWN_HOLDERS = 5
_SHOWN_MISTAKES = 5
A = TypeVar("A", bound=Event)
F = TypeVar("F", bound=Event)


class Summary:
    """Counts while the machine runs; `lines` says it afterwards."""

    def __init__(self, machine: Machine, faults: PageFaultObserver, places: Places) -> None:
        self._machine = machine
        self._faults = faults
        self._places = places
        self._sentences = Sentences(places)
        self._ledger = AllocationLedger(machine)
        self._traps: Counter[tuple[bool, int]] = Counter()
        machine.on(TrapTaken, self._count_trap)

    def _count_trap(self, trap: TrapTaken) -> None:
        self._traps[trap.interrupt, trap.cause] += 1

    def lines(self, outcome: Outcome | None, seconds: float, fidelity: str) -> list[str]:
        """The summary; `outcome` is None when the run ended in an error that is told elsewhere."""
        ending = "stopped by an error" if outcome is None else outcome.description
        if outcome is not None and outcome.exit_code:
            ending += f" with exit status {outcome.exit_code & 0xFF}"
        lines = [f"-- {ending}: {self._machine.instret:,} instructions in {seconds:.2f} s ({fidelity})"]
        lines.append(f"   {'traps':<8}{self._trap_counts()}")
        machine = self._machine
        unanswered = self._traps[False, ExceptionCause.BREAKPOINT] and machine.platform.semihosting is None
        if unanswered and asks(machine.image):
            lines.append("   hint    the guest asks the host by semihosting, which is off; -semihosting turns it on")
        lines += self._account("frames", self._ledger.frames)
        lines += self._account("heap", self._ledger.blocks)
        lines += [
            f"   open    page fault at {self._places.name(fault.pc)} on {fault.address}: {refusal(fault.walk)}"
            for fault in self._faults.unhandled
        ]
        return lines

    def numbers(self) -> dict[str, object]:
        """The same for programs: traps by cause, and the accounts of frames and heap blocks."""
        traps = {cause_label(cause, interrupt=interrupt): count for (interrupt, cause), count in self._traps.items()}
        return {
            "traps": traps,
            "frames": _account_numbers(self._ledger.frames),
            "heap": _account_numbers(self._ledger.blocks),
            "unhandled_page_faults": len(self._faults.unhandled),
        }

    def _trap_counts(self) -> str:
        counts = (
            f"{count:,} {cause_label(cause, interrupt=interrupt)}"
            for (interrupt, cause), count in self._traps.most_common()
        )
        return ", ".join(counts) or "none"

    def _account(self, name: str, account: Account[A, F]) -> list[str]:
        if not (account.allocated or account.foreign_frees):
            return []
        held = f"{len(account.held):,} still held (most at once {account.peak:,})"
        lines = [f"   {name:<8}{account.allocated:,} allocated, {account.freed:,} freed, {held}"]
        sites = Counter(self._places.name(event.pc) for event in account.held.values())
        lines += [f"           {count:,} held since {site}" for site, count in sites.most_common(_SHOWN_HOLDERS)]
        if len(sites) > _SHOWN_HOLDERS:
            lines.append(f"           and {len(sites) - _SHOWN_HOLDERS} more places")
        wrong = [
            *(("freed but not held", event) for event in account.foreign_frees),
            *(("handed out while held", event) for _, event in account.overlaps),
        ]
        lines += [f"           {what}: {self._sentences.say(event)[1]}" for what, event in wrong[:_SHOWN_MISTAKES]]
        if len(wrong) > _SHOWN_MISTAKES:
            lines.append(f"           and {len(wrong) - _SHOWN_MISTAKES:,} more such calls")
        return lines


def _account_numbers(account: Account[A, F]) -> dict[str, int]:
    return {
        "allocated": account.allocated,
        "freed": account.freed,
        "held": len(account.held),
        "peak": account.peak,
        "freed_but_not_held": len(account.foreign_frees),
        "handed_out_while_held": len(account.overlaps),
    }
