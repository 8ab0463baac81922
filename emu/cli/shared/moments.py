"""What the commands share that look at one moment of a run."""

import sys
import time

from emu.cli.words.requests import HeapWords
from emu.counted import counted, number_in
from emu.errors import ConfigError, MachineError
from emu.machine import Machine, Outcome, StopReason
from emu.observe.traps import TrapHistory, TrapLoop
from emu.report.ending import EndingReasons
from emu.report.places import Places
from emu.terminal.moment import Moment
from emu.terminal.progress import progress

_PARTS = 100
_LONG = 20_000_000
"""Instructions that take long enough for a bar."""


def run_to_moment(machine: Machine, request: HeapWords) -> str:
    """Run to the moment that was asked for, or to the end; what came."""
    at, limit = request.at, request.max_instructions
    if at is None:
        return run_on(machine, request, limit).description
    number = number_in(at)
    if number is not None:
        outcome = run_on(machine, request, number)
        is_there = machine.instret >= number
        return outcome.description if is_there else f"{outcome.description}, {at} instructions were not reached"
    address = machine.address_of(at)
    outcome = run_on(machine, request, limit, address)
    return f"{at} is reached" if machine.hart.pc == address else f"{outcome.description}, {at} was not reached"


def run_whatever_comes(machine: Machine, request: HeapWords) -> tuple[int, str]:
    """The same; of a guest that cannot go on, too, of which all is then of the more interest: status and what came."""
    traps = TrapHistory(machine, lambda _loop: None)
    try:
        return 0, run_to_moment(machine, request)
    except MachineError as error:
        cause = EndingReasons(Places(machine)).failure(error, traps.interrupt).replace("\n", "\n         ")
        print(f"ekernel: {cause}", file=sys.stderr)
        return 1, "stopped by an error"
    finally:
        traps.close()


def limited(machine: Machine, limit: int | None) -> int | None:
    """No more instructions than a recorded run has left, where a machine lives one again."""
    left = machine.history.end.instret - machine.instret
    return limit if left <= 0 else left if limit is None else min(limit, left)


def run_to(machine: Machine, at: str | None, limit: int | None) -> None:
    """Run to a moment, or to the end. Raises ConfigError for a moment that is not reached."""
    limit = limited(machine, limit)
    if at is None:
        machine.run(limit)
        return
    outcome = Moment(machine, at, lambda: None).run(limit)
    if outcome is not None:
        raise not_reached(at, machine, outcome)


def not_reached(place: str, machine: Machine, outcome: Outcome) -> ConfigError:
    """What is said of a moment before which the run ended."""
    count = counted(machine.instret, "instruction")
    return ConfigError(f"{place} was not reached: {outcome.description} after {count}")


def run_on(machine: Machine, request: HeapWords, limit: int | None, until: int | str | None = None) -> Outcome:
    """Run until there, or until the time is up or the guest takes a trap for ever: standard error then says so."""

    def stop(loop: TrapLoop) -> None:
        cause = EndingReasons(Places(machine)).loop(loop, history.first_mistake).replace("\n", "; ")
        print(f"ekernel: {cause}", file=sys.stderr)
        machine.interrupt()

    limit = limited(machine, limit)
    history = TrapHistory(machine, stop)
    try:
        outcome = _run(machine, limit, until, request.timeout)
    finally:
        history.close()
    if outcome.reason is StopReason.TIMED_OUT:
        print(f"ekernel: stopped after {request.timeout:g} s; --timeout gives more", file=sys.stderr)
    return outcome


def _run(machine: Machine, limit: int | None, until: int | str | None, timeout: float | None) -> Outcome:
    """Run in as many parts as a bar of progress has, where the end is known and somebody sees it."""
    if limit is None or limit < _LONG or not sys.stderr.isatty():
        return machine.run(limit, until, timeout=timeout)
    first, deadline = machine.instret, None if timeout is None else time.monotonic() + timeout
    last = first + limit
    with progress("running", first, lambda: last, to_file=True) as reached:
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            outcome = machine.run(min(limit // _PARTS, last - machine.instret), until, timeout=left)
            if outcome.reason is not StopReason.INSTRUCTION_LIMIT or machine.instret >= last:
                return outcome
            reached(machine.instret)
