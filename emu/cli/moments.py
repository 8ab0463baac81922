"""What the commands share that look at one moment of a run."""

import sys
from pathlib import Path

from emu.cli.requests import HeapWords
from emu.machine import Machine, Outcome, StopReason
from emu.observe.traps import TrapHistory, TrapLoop
from emu.record.container import MAGIC
from emu.report.ending import EndingReasons
from emu.report.places import Places


def is_recording(path: Path | None) -> bool:
    """Whether a file that was named is a recording, and no kernel."""
    if path is None:
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False  # told by whoever reads it as a kernel


def run_to_moment(machine: Machine, request: HeapWords) -> str:
    """Run to the moment that was asked for, or to the end; what came."""
    at, limit = request.at, request.max_instructions
    if at is None:
        return run_on(machine, request, limit).description
    if at.replace(",", "").isdigit():
        return run_on(machine, request, int(at.replace(",", ""))).description
    address = machine.address_of(at)
    outcome = run_on(machine, request, limit, address)
    return f"{at} is reached" if machine.hart.pc == address else f"{outcome.description}, {at} was not reached"


def run_on(machine: Machine, request: HeapWords, limit: int | None, until: int | str | None = None) -> Outcome:
    """Run until there, or until the time is up or the guest takes a trap for ever: standard error then says so."""

    def stop(loop: TrapLoop) -> None:
        cause = EndingReasons(Places(machine)).loop(loop, history.first_mistake).replace("\n", "; ")
        print(f"ekernel: {cause}", file=sys.stderr)
        machine.interrupt()

    history = TrapHistory(machine, stop)
    try:
        outcome = machine.run(limit, until, timeout=request.timeout)
    finally:
        history.close()
    if outcome.reason is StopReason.TIMED_OUT:
        print(f"ekernel: stopped after {request.timeout:g} s; --timeout gives more", file=sys.stderr)
    return outcome
