"""What `ekernel run` says beside the guest's console: the cause first, then the summary, or all of it as JSON."""

import sys
from collections.abc import Mapping

from emu.cli.shared.allocations import Allocations
from emu.errors import EmuError
from emu.hints import TYPE_CHECKING
from emu.machine import Machine
from emu.observe.faults import PageFaultObserver
from emu.report.places import Places
from emu.report.transcript import Transcript
from emu.terminal.ending import Ending

if TYPE_CHECKING:
    from emu.report.summary import Summary

_INDENT = "\n" + " " * len("ekernel: ")


class Telling:
    """Watches a run, and tells on standard error why it does not go on and what it was like."""

    def __init__(
        self,
        machine: Machine,
        faults: PageFaultObserver,
        allocations: Allocations,
        places: Places,
        transcript: Transcript,
        *,
        quiet: bool,
        json: bool,
    ) -> None:
        self._machine, self._places, self._transcript = machine, places, transcript
        self._allocations = allocations
        self._json = json
        self._told: set[str] = set()
        self._summary = self._summed_up(faults) if json or not quiet else None

    def _summed_up(self, faults: PageFaultObserver) -> "Summary":
        from emu.report.summary import Summary

        ledger = self._allocations.ledger if self._json or self._allocations.followed else None
        on_loop = (lambda _cause: None) if self._json else self._tell
        return Summary(self._machine, faults, self._places, ledger, on_loop)

    def aside(self, text: str) -> None:
        """Say something between the guest's lines; nothing where one JSON object says all."""
        if not self._json:
            self._transcript.end_line()
            self._transcript.flush()
            print(text, file=sys.stderr)

    def finish(
        self, ending: Ending, failure: EmuError | None, status: int, seconds: float, more: Mapping[str, object]
    ) -> None:
        """The run has ended, by itself or by an error of the guest, and the process will with `status`.

        `more` is for the JSON object.
        """
        summary = self._summary
        if summary is not None:
            cause = summary.cause(failure, orderly=ending.is_regular and not ending.status)
        elif failure is not None:
            from emu.report.ending import EndingReasons

            cause = EndingReasons(self._places).failure(failure)
        else:
            cause = None
        if cause is not None and (failure or not self._json):
            self._tell(cause)
        if summary is None:
            return
        if self._json:
            self._print_json(summary, ending, status, seconds, cause, more)
            return
        allocations, fidelity = self._allocations, self._machine.config.fidelity
        since, followed = allocations.since, allocations.says()
        lines = summary.lines(ending.description, seconds, fidelity, since=since, followed=followed)
        print("\n".join(lines), file=sys.stderr)

    def _tell(self, cause: str) -> None:
        if cause in self._told:
            return
        self._told.add(cause)
        self._transcript.end_line()
        self._transcript.flush()
        print("ekernel: " + cause.replace("\n", _INDENT), file=sys.stderr)

    def _print_json(
        self, summary: "Summary", ending: Ending, status: int, seconds: float, cause: str | None,
        more: Mapping[str, object],
    ) -> None:  # fmt: skip
        machine = self._machine
        fields: dict[str, object] = {
            "ended": ending.word,
            "exit_status": status,
            "instructions": machine.instret,
            "seconds": round(seconds, 6),
            "fidelity": machine.config.fidelity,
            "pc": self._places.name(machine.hart.pc),
            "cause": cause and cause.replace("\n", "; "),
            **summary.numbers(),
            "allocators": self._allocations.says(),
            **more,
            "console": machine.console.decode(errors="replace"),
        }
        from json import dumps  # most runs are told to people

        print(dumps(fields))
