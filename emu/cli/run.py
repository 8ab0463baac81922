"""`ekernel run`: boot a kernel, show its console, tell what was traced, sum up."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from emu.cli.failures import ExitStatus
from emu.cli.kernels import built_profile, parse_size
from emu.cli.tracing import DEFAULT_TRACE, TraceRequest, frame_functions, heap_functions
from emu.errors import ConfigError
from emu.events import ConsoleOutput
from emu.machine import Machine, MachineConfig, Outcome, StopReason
from emu.observe.allocators import FrameObserver, HeapObserver
from emu.observe.faults import PageFaultObserver
from emu.observe.functions import FunctionObserver
from emu.report.places import Places
from emu.report.sentences import Sentences
from emu.report.summary import Summary
from emu.report.tracefile import TraceFile
from emu.report.transcript import Transcript


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the user asked for, as it was typed."""

    elf: Path | None
    profile: str
    frames: str | None
    heap: str | None
    trace: str
    trace_out: Path | None
    quiet: bool
    fidelity: str | None
    memory: str | None
    frame_functions: str | None
    heap_functions: str | None
    max_instructions: int | None


def run_guest(request: RunRequest) -> int:
    """Boot what was asked for and return the exit status."""
    trace = TraceRequest.parse(request.trace or (DEFAULT_TRACE if request.trace_out else ""))
    machine, fidelity = _machine(request)
    places = Places(machine)
    transcript = Transcript(
        sys.stdout.buffer,
        Sentences(places),
        colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ,
        flush_lines=sys.stdout.isatty(),
    )
    machine.on(ConsoleOutput, transcript.console)
    faults = _attach_observers(machine, request, trace)
    summary = None if request.quiet else Summary(machine, faults, places)
    trace_file = TraceFile(request.trace_out, places) if request.trace_out else None
    for kind in trace.events():
        if request.trace and not request.quiet:
            machine.on(kind, transcript.event)
        if trace_file:
            machine.on(kind, trace_file.write)

    outcome: Outcome | None = None
    start = time.perf_counter()
    try:
        outcome = machine.run(max_instructions=request.max_instructions)
    finally:
        seconds = time.perf_counter() - start
        transcript.end_line()
        transcript.flush()
        if trace_file:
            trace_file.close()
        if summary:
            print("\n".join(summary.lines(outcome, seconds, fidelity)), file=sys.stderr)
    return _exit_status(machine, outcome, places)


def _machine(request: RunRequest) -> tuple[Machine, str]:
    if request.elf is None:
        kernel = built_profile(request.profile, request.frames, request.heap)
        image, fidelity, ram_size = kernel.elf, "exact", kernel.profile.ram_size
    else:
        image, fidelity, ram_size = request.elf, "fast", MachineConfig().ram_size
    config = MachineConfig(
        fidelity=request.fidelity or fidelity,
        ram_size=ram_size if request.memory is None else parse_size(request.memory),
    )
    machine = Machine(config)
    machine.load(image)
    return machine, config.fidelity


def _attach_observers(machine: Machine, request: RunRequest, trace: TraceRequest) -> PageFaultObserver:
    frames = FrameObserver(machine, frame_functions(request.frame_functions))
    heap = HeapObserver(machine, heap_functions(request.heap_functions))
    if trace.functions:
        FunctionObserver(machine, trace.functions)
    for kind, observer in (("frames", frames), ("heap", heap)):
        if request.trace and kind in trace.kinds and not observer.functions:
            raise ConfigError(
                f"--trace {kind}: the image has none of the allocator functions that are known by name; "
                f"name its own with --{kind.removesuffix('s')}-functions"
            )
    return PageFaultObserver(machine)


def _exit_status(machine: Machine, outcome: Outcome, places: Places) -> int:
    if outcome.reason is StopReason.POWERED_OFF:
        return outcome.exit_code & 0xFF
    where = places.name(machine.hart.pc)
    if outcome.reason is StopReason.INSTRUCTION_LIMIT:
        print(
            f"ekernel: stopped after {outcome.instructions:,} instructions (--max-instructions) at {where}",
            file=sys.stderr,
        )
        return ExitStatus.LIMIT
    print(f"ekernel: {outcome.description} at {where}", file=sys.stderr)
    return ExitStatus.FAILED
