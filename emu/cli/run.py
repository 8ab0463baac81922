"""`ekernel run`: boot a kernel, show its console, tell what was traced, sum up."""

import os
import stat
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

from emu.cli.shared.allocations import INVARIANTS, Allocations, allocation_request, drawing
from emu.cli.shared.invariants import FREED, CheckedInvariants, read_invariants
from emu.cli.shared.logs import Outputs, first_moment, log_as_qemu, log_commits, recorder
from emu.cli.shared.machines import new_machine
from emu.cli.shared.sanitize import SanitizeRequest, Sanitizing
from emu.cli.shared.telling import Telling
from emu.cli.shared.tracing import DEFAULT_TRACE, TraceRequest
from emu.cli.words.options import run_options
from emu.cli.words.qemu import check_unchanging, read_log, read_machine
from emu.cli.words.requests import RunWords
from emu.counted import counted
from emu.errors import ConfigError, EmuError
from emu.events import Event
from emu.hints import TYPE_CHECKING, FilePath
from emu.machine import Machine
from emu.observe.faults import PageFaultObserver
from emu.patience import give_up
from emu.report.places import Places
from emu.report.transcript import Transcript
from emu.terminal.ending import Cause, Ending
from emu.terminal.execution import Execution
from emu.terminal.keyboard import TerminalInput, standard_input
from emu.terminal.signals import Signals
from emu.terminal.streams import give_up_lost_terminal, takes

_PATIENCE = 1.0
"""Seconds that whoever reads has to take the last of the output when the user wants to leave."""

if TYPE_CHECKING:
    from emu.debug.gdb import GdbServer
    from emu.record.recorder import Recorder
    from emu.report.sentences import Sentences
    from emu.report.tracefile import Sink
    from emu.terminal.moment import Moment
    from emu.terminal.monitor import Monitor

options = run_options


def main(words: Sequence[str], signals: Signals) -> int:
    """Boot what the words ask for; the exit status."""
    return run_guest(options().read(words, RunWords()), signals)


def run_guest(request: RunWords, signals: Signals) -> int:
    """Boot what was asked for and return the exit status."""
    _check(request)
    check_unchanging(request)
    dumpdtb = read_machine(request.machine) or request.dumpdtb
    trace = TraceRequest.parse(request.trace or (DEFAULT_TRACE if request.trace_out else ""))
    sanitize = SanitizeRequest.parse(request.sanitize, request.stacks, request.quarantine)
    logged = read_log(request.log)
    invariants = read_invariants(request.checked, "--invariant")
    machine = new_machine(request)
    if dumpdtb:
        _write_tree(machine, dumpdtb)
        return 0
    places = Places(machine)
    transcript = Transcript(
        sys.stdout.buffer,
        _sentences(places) if request.trace else None,
        colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ,
        flush_lines=sys.stdout.isatty(),
    )
    if not request.json:
        machine.platform.echo = transcript.console
    faults = PageFaultObserver(machine)
    allocations = _attach_observers(machine, request, trace)
    telling = Telling(machine, faults, allocations, places, transcript, quiet=request.quiet, json=request.json)
    sanitizing = Sanitizing(machine, sanitize, allocations, telling.aside)
    checked = CheckedInvariants(machine, invariants, lambda line: telling.aside(f"ekernel: {line}"))
    with Outputs(machine) as outputs:
        events = list(trace.events())
        told: list[Callable[[Event], None]] = (
            [transcript.event] if request.trace and not request.quiet and not request.json else []
        )
        if request.trace_out:
            told.append(_writer(outputs.file(request.trace_out), places))
        recording = _recorder(outputs, machine, request, sanitize.quarantine)
        if recording is not None:
            told.append(_writer(recording.events, places))
        for listener in told:
            for kind in events:
                machine.on(kind, listener)
        log_as_qemu(outputs, machine, logged, request.log_file)
        logs = log_commits(outputs, machine, request)
        moment = first_moment(machine, request, [*logs, *([recording] if recording is not None else ())])
        ending, error, seconds = _run(machine, request, transcript, signals, allocations, moment)
        if ending.is_wish:
            outputs.hurry(partial(signals.within, _PATIENCE))
        if request.save is not None:
            machine.snapshot().save(request.save)
    failed = [*allocations.failed(faults), *checked.failed(request.fail_on.split(","))]
    missed = request.until_console is not None and ending.is_regular
    status = ending.status or int(bool(failed) or missed or bool(sanitizing.bugs))
    telling.finish(ending, error, status, seconds, sanitizing.numbers() | checked.numbers())
    sanitizing.finish()
    if moment is not None and not moment.has_come:
        print(f"ekernel: --record-from {request.record_from} was never reached: nothing was recorded", file=sys.stderr)
    if error is None:
        _tell_end(request, machine, places, ending, failed, missed=missed)
    return status


def _write_tree(machine: Machine, name: FilePath) -> None:
    from pathlib import Path

    from emu.cli.shared.outputs import whole_file

    with whole_file(Path(name)) as stream:
        stream.write(machine.device_tree)


def _tell_end(
    request: RunWords, machine: Machine, places: Places, ending: Ending, failed: Sequence[str], *, missed: bool
) -> None:
    """Say behind everything else why the status is what it is."""
    for what in failed:
        print(f"ekernel: --fail-on: {what}", file=sys.stderr)
    if missed:
        print(f"ekernel: {ending.description} before the console had shown '{request.until_console}'", file=sys.stderr)
    if not ending.is_regular:
        from emu.report.backtrace import standing

        print(f"ekernel: {_last_line(ending, request, machine)} {standing(machine, places)}", file=sys.stderr)


def _sentences(places: Places) -> "Sentences":
    """What says events."""
    from emu.report.sentences import Sentences

    return Sentences(places)


def _writer(stream: "Sink", places: Places) -> Callable[[Event], None]:
    """What writes events to a stream."""
    from emu.report.tracefile import TraceFile  # few runs write them, and it loads json

    return TraceFile(stream, places).write


def _recorder(outputs: Outputs, machine: Machine, request: RunWords, quarantine: int) -> "Recorder | None":
    """What records the run, if that was asked for, and by what it can be lived again."""
    recording = recorder(machine, request)
    if recording is None:
        return None
    from emu.cli.shared.quarantined import quarantine_said
    from emu.record.replay import ReplaySections

    outputs.recording(recording)
    said = quarantine_said(allocation_request(request, asked=True), quarantine)
    outputs.callback(ReplaySections(machine, recording, said).close)
    return recording


def _run(
    machine: Machine, request: RunWords, transcript: Transcript, signals: Signals, allocations: Allocations,
    moment: "Moment | None",
) -> tuple[Ending, EmuError | None, float]:  # fmt: skip
    """Run to the end, which may be an error, and hand on the output; how it ended and after how many seconds."""
    start = time.perf_counter()
    error: EmuError | None = None
    try:
        ending = _execute(machine, request, transcript, signals, allocations, moment)
    except EmuError as raised:
        ending, error = Ending(Cause.ERROR), raised
    seconds = time.perf_counter() - start
    give_up_lost_terminal()

    def finish() -> None:
        if not request.quiet or sys.stdout.isatty():  # else a file has what the guest wrote, byte for byte
            transcript.end_line()
        transcript.flush()

    if not ending.is_wish:
        finish()
        return ending, error, seconds
    if not signals.within(_PATIENCE, finish):
        give_up(1)
    if not takes(2, _PATIENCE):
        give_up(2)
    return ending, error, seconds


def _last_line(ending: Ending, request: RunWords, machine: Machine) -> str:
    if ending.cause is Cause.TIMEOUT:
        return f"stopped after {request.timeout:g} s (--timeout)"
    if ending.cause is Cause.SHOWN:
        return f"stopped when the console had shown '{request.until_console}' (--until-console)"
    if ending.cause is Cause.LIMIT:
        return f"stopped after {counted(machine.instret, 'instruction')} (--max-instructions)"
    return ending.description


def _check(request: RunWords) -> None:
    if request.until_console == "":
        raise ConfigError("--until-console: which text?")
    if request.elf is not None and request.kernel is not None:
        raise ConfigError(f"two kernels, {request.elf} and -kernel {request.kernel}: give one")
    if request.halted and request.gdb is None:
        raise ConfigError("-S: nothing would ever let the guest run; add -s, and continue it from gdb")
    if INVARIANTS in map(str.strip, request.fail_on.split(",")) and not request.checked:
        raise ConfigError("--fail-on invariants: of which? Name them with --invariant, wx for example")
    if request.execution and request.commits is None:
        raise ConfigError("-l adds to the log of --log-commits: name its file, or write --log-commits -")
    if request.json and "-" in (request.commits, request.sail):
        raise ConfigError("--json replaces what a run prints: give --log-commits or --log-sail a FILE")
    if request.json and request.trace and not request.trace_out:
        raise ConfigError("--trace prints between the guest's lines, and --json replaces those; add --trace-out FILE")


def _execute(
    machine: Machine, request: RunWords, transcript: Transcript, signals: Signals, allocations: Allocations,
    moment: "Moment | None",
) -> Ending:  # fmt: skip
    keyboard = standard_input()
    with ExitStack() as stack:
        monitor = None
        if isinstance(keyboard, TerminalInput):
            stack.enter_context(keyboard)
        if isinstance(keyboard, TerminalInput) or request.gdb is not None:
            from emu.terminal.monitor import Monitor

            monitor = Monitor(
                machine, heap=partial(drawing, machine, allocations), mark=allocations.mark,
                **_last_writes(stack, machine, request),
            )  # fmt: skip

        def talk() -> bool:
            assert isinstance(keyboard, TerminalInput)
            assert monitor is not None
            transcript.end_line()
            transcript.flush()
            with keyboard.cooked():
                return monitor.talk(input, print)

        execution = Execution(
            machine, keyboard, signals,
            monitor=talk, flush=transcript.flush, max_instructions=request.max_instructions,
            until_console=request.until_console, debugger=_debugger(stack, machine, monitor, request),
            moment=moment,
        )  # fmt: skip
        has_output = (lambda: transcript.waits) if _is_read_elsewhere() else None
        return execution.run(timeout=request.timeout, has_output=has_output)


def _last_writes(stack: ExitStack, machine: Machine, request: RunWords) -> dict[str, Callable[[int], str]]:
    """What answers the monitor's `last-write`, when that was asked for."""
    if not request.last_writes:
        return {}
    from emu.observe.writers import LastWrites
    from emu.report.writers import last_write_sentence

    writes = stack.enter_context(LastWrites(machine))
    return {"last_write": partial(last_write_sentence, Places(machine), writes)}


def _debugger(stack: ExitStack, machine: Machine, monitor: "Monitor | None", request: RunWords) -> "GdbServer | None":
    """What serves gdb, when that was asked for; it says where it waits."""
    if request.gdb is None or monitor is None:
        return None
    from emu.debug.gdb import GdbServer
    from emu.terminal.serving import say_where

    server = stack.enter_context(GdbServer(machine, request.gdb, halted=request.halted, monitor=monitor.answer))
    if not request.quiet or request.halted:
        say_where(server)
    return server


def _is_read_elsewhere() -> bool:
    """Whether somebody may be waiting at the other end of a pipe for what the guest writes."""
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except OSError:  # not a file of the host
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _attach_observers(machine: Machine, request: RunWords, trace: TraceRequest) -> Allocations:
    traced = {"frames", "heap"} & set(request.trace.split(","))
    follows = bool(traced or request.sanitize) or FREED in read_invariants(request.checked, "--invariant")
    asked = allocation_request(request, asked=follows)
    allocations = Allocations(machine, asked, summed_up=bool(request.json or not request.quiet or request.sanitize))
    if trace.functions:
        from emu.observe.calls.functions import FunctionObserver

        FunctionObserver(machine, trace.functions)
    if trace.memory:
        from emu.observe.memory import MemoryObserver, WatchedRange

        ranges = [
            WatchedRange.parse(machine, each.place, reads=each.reads, writes=each.writes) for each in trace.memory
        ]
        MemoryObserver(machine, tuple(ranges))
    for kind in {"tlb", "stale"} & set(trace.kinds):
        if machine.config.fidelity != "exact":
            raise ConfigError(f"--trace {kind}: only fidelity exact has the TLB in sight; add --fidelity exact")
    pages = [name for name in ("page_out", "page_in") if name in machine.symbols]
    if pages:
        from emu.observe.replacement import ReplacementObserver

        ReplacementObserver(machine)
    elif request.trace and "pages" in trace.kinds:
        raise ConfigError("--trace pages: the image has no function page_out or page_in, as the teaching kernel has")
    for kind in {"frames", "heap"} & set(trace.kinds):
        observer = allocations.frames if kind == "frames" else allocations.heap
        if request.trace and not observer.functions:
            raise ConfigError(
                f"--trace {kind}: the image has none of the allocator functions that are known by name; "
                f"name its own with --{kind.removesuffix('s')}-functions"
            )
    return allocations
