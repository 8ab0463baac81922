"""A few lines after a run: how it ended, what it cost, which traps it took, and who holds memory still."""

from collections.abc import Callable, Sequence
from functools import cached_property

from emu.counted import counted
from emu.errors import EmuError
from emu.hints import TYPE_CHECKING
from emu.isa.causes import ExceptionCause, cause_label
from emu.machine import Machine
from emu.observe.faults import PageFaultObserver
from emu.observe.traps import SeenTrap, TrapHistory, TrapLoop
from emu.report.places import Places
from emu.report.reasons.pages import refusal

if TYPE_CHECKING:
    from emu.observe.allocations.ledger import AllocationLedger
    from emu.report.ending import EndingReasons

_ASKS = "the guest asks the host by semihosting, which is off; -semihosting turns it on"


class Summary:
    """Counts while the machine runs; `cause` and then `lines` say it afterwards.

    `on_loop` is told, while the guest runs, of a trap that it takes for ever.
    """

    def __init__(
        self,
        machine: Machine,
        faults: PageFaultObserver,
        places: Places,
        ledger: "AllocationLedger | None",
        on_loop: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._machine = machine
        self._faults = faults
        self._places = places
        self._ledger = ledger
        self._history = TrapHistory(machine, lambda loop: on_loop(self._loop(loop)))
        self._traps = self._history.counts
        self._told: SeenTrap | None = None
        """What `cause` has told of."""
        self._is_orderly = True

    @cached_property
    def _reasons(self) -> "EndingReasons":
        from emu.report.ending import EndingReasons

        return EndingReasons(self._places)

    def cause(self, failure: EmuError | None, *, orderly: bool) -> str | None:
        """What kept the guest from going on, beginning with the first cause; None when nothing is known to.

        `orderly` says that it ended by its own will.
        """
        history = self._history
        if failure is not None:
            self._is_orderly = False
            self._told = history.first_mistake
            return self._reasons.failure(failure, history.interrupt)
        if history.loop is not None:
            return self._loop(history.loop)
        if orderly:
            return None
        self._is_orderly = False
        self._told = history.last
        from emu.report.reasons.loops import endless_return  # only a run that does not end by itself asks

        return self._reasons.last(history.last, self._machine.instret) or endless_return(self._places)

    def _loop(self, loop: TrapLoop) -> str:
        return self._reasons.loop(loop, self._history.first_mistake)

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

        Of what is held, that is told which was not yet at the count of instructions `since` (None: nothing);
        `followed` says by whose descriptions allocations were seen.
        """
        lines = [f"-- {ending}: {counted(self._machine.instret, 'instruction')} in {seconds:.2f} s ({fidelity})"]
        lines.append(f"   {'traps':<8}{self._trap_counts()}")
        mistake = self._history.first_mistake
        if mistake is not None and mistake is not self._told:
            lines.append(f"   {'first':<8}{self._reasons.seen(mistake)}")
        machine = self._machine
        unanswered = self._traps[False, ExceptionCause.BREAKPOINT] and machine.platform.semihosting is None
        if unanswered:
            from emu.machine.semihosting import asks

            if asks(machine.image):
                lines.append(
                    "   hint    the guest asks the host by semihosting, which is off; -semihosting turns it on"
                )
        if self._ledger is not None:
            from emu.report.memory.accounts import AccountReport

            accounts = AccountReport(self._places)
            lines += accounts.lines("frames", self._ledger.frames, since)
            lines += accounts.lines("heap", self._ledger.blocks, since)
            lines += [f"   {'allocs':<8}{line}" for line in followed]
        lines += [
            f"   open    page fault at {self._places.name(fault.pc)} on {fault.address}: {refusal(fault.walk)}"
            for fault in self._faults.unhandled
        ]
        if not self._is_orderly:
            from emu.report.backtrace import named_addresses

            lines += [f"   {'names':<8}{line}" for line in named_addresses(machine, self._places)]
        return lines

    def numbers(self) -> dict[str, object]:
        """The same for programs: traps by cause, and the accounts of frames and heap blocks."""
        traps = {cause_label(cause, interrupt=interrupt): count for (interrupt, cause), count in self._traps.items()}
        return {
            "traps": traps,
            **({} if self._ledger is None else _accounts(self._ledger, self._places)),
            "unhandled_page_faults": len(self._faults.unhandled),
        }

    def _trap_counts(self) -> str:
        counts = (
            f"{count:,} {cause_label(cause, interrupt=interrupt)}"
            for (interrupt, cause), count in self._traps.most_common()
        )
        return ", ".join(counts) or "none"


def _accounts(ledger: "AllocationLedger", places: Places) -> dict[str, object]:
    from emu.report.memory.accounts import AccountReport, account_numbers

    report = AccountReport(places)
    return {
        "frames": {**account_numbers(ledger.frames), "holders": report.holders(ledger.frames)},
        "heap": {**account_numbers(ledger.blocks), "holders": report.holders(ledger.blocks)},
    }
