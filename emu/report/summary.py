"""A few lines after a run: how it ended, what it cost, which traps it took, and who holds memory still."""

from collections import Counter
from collections.abc import Sequence

from emu.events import TrapTaken
from emu.isa.causes import ExceptionCause, cause_label
from emu.machine import Machine
from emu.machine.semihosting import asks
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.faults import PageFaultObserver
from emu.report.accounts import AccountReport, account_numbers
from emu.report.places import Places
from emu.report.sentences import refusal


class Summary:
    """Counts while the machine runs; `lines` says it afterwards."""

    def __init__(
        self, machine: Machine, faults: PageFaultObserver, places: Places, ledger: AllocationLedger | None
    ) -> None:
        self._machine = machine
        self._faults = faults
        self._places = places
        self._ledger = ledger
        self._accounts = AccountReport(places)
        self._traps: Counter[tuple[bool, int]] = Counter()
        machine.on(TrapTaken, self._count_trap)

    def _count_trap(self, trap: TrapTaken) -> None:
        self._traps[trap.interrupt, trap.cause] += 1

    def lines(
        self,
        ending: str,
        seconds: float,
        fidelity: str,
        *,
        since: int | None = 0,
        followed: Sequence[str] = (),
    ) -> list[str]:
        """The summary of a run that ended as `ending` says.

        Of what is held, that is told which was allocated at the count of instructions `since` or later (None: nothing);
        `followed` says by whose descriptions allocations were seen.
        """
        lines = [f"-- {ending}: {self._machine.instret:,} instructions in {seconds:.2f} s ({fidelity})"]
        lines.append(f"   {'traps':<8}{self._trap_counts()}")
        machine = self._machine
        unanswered = self._traps[False, ExceptionCause.BREAKPOINT] and machine.platform.semihosting is None
        if unanswered and asks(machine.image):
            lines.append("   hint    the guest asks the host by semihosting, which is off; -semihosting turns it on")
        if self._ledger is not None:
            lines += self._accounts.lines("frames", self._ledger.frames, since)
            lines += self._accounts.lines("heap", self._ledger.blocks, since)
            lines += [f"   {'allocs':<8}{line}" for line in followed]
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
            **({} if self._ledger is None else _accounts(self._ledger)),
            "unhandled_page_faults": len(self._faults.unhandled),
        }

    def _trap_counts(self) -> str:
        counts = (
            f"{count:,} {cause_label(cause, interrupt=interrupt)}"
            for (interrupt, cause), count in self._traps.most_common()
        )
        return ", ".join(counts) or "none"


def _accounts(ledger: AllocationLedger) -> dict[str, object]:
    return {"frames": account_numbers(ledger.frames), "heap": account_numbers(ledger.blocks)}
