"""`ekernel run`: boot a kernel, show its console, tell what was traced, sum up."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from emu.cli.allocations import AllocationRequest, Allocations
from emu.cli.execution import Ending, Execution
from emu.cli.failures import ExitStatus
from emu.cli.kernels import built_profile, parse_size
from emu.cli.keyboard import TerminalInput, standard_input
from emu.cli.monitor import Monitor
from emu.cli.qemu import check_harts, read_machine, read_semihosting, read_virtio
from emu.cli.tracing import DEFAULT_TRACE, TraceRequest
from emu.errors import ConfigError
from emu.events import ConsoleOutput
from emu.machine import Machine, MachineConfig, StopReason
from emu.observe.faults import PageFaultObserver
from emu.observe.functions import FunctionObserver
from emu.observe.replacement import ReplacementObserver
from emu.report.places import Places
from emu.report.sentences import Sentences
from emu.report.summary import Summary
from emu.report.tracefile import TraceFile
from emu.report.transcript import Transcript
from linker.commands.files import write_whole

_DEFAULT_FIRMWARE = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What the user asked for, as it was typed."""

    elf: Path | None
    kernel: Path | None
    profile: str
    frames: str | None
    heap: str | None
    replacement: str | None
    store: str | None
    programs: tuple[Path, ...]
    bios: str
    append: str
    symbols: tuple[Path, ...]
    initrd: Path | None
    drives: tuple[str, ...]
    devices: tuple[str, ...]
    settings: tuple[str, ...]
    snapshot: bool
    dtb: Path | None
    dumpdtb: Path | None
    semihosting: bool
    semihosting_settings: tuple[str, ...]
    semihosting_files: Path | None
    smp: str
    machine: str
    no_reboot: bool
    trace: str
    trace_out: Path | None
    quiet: bool
    json: bool
    fidelity: str | None
    clock: str | None
    memory: str | None
    allocations: AllocationRequest
    max_instructions: int | None
    timeout: float | None


def run_guest(request: RunRequest) -> int:
    """Boot what was asked for and return the exit status."""
    _check(request)
    dumpdtb = read_machine(request.machine) or request.dumpdtb
    trace = TraceRequest.parse(request.trace or (DEFAULT_TRACE if request.trace_out else ""))
    machine = _machine(request)
    if dumpdtb:
        _write(Path(dumpdtb), machine.device_tree)
        return 0
    places = Places(machine)
    transcript = Transcript(
        sys.stdout.buffer,
        Sentences(places),
        colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ,
        flush_lines=sys.stdout.isatty(),
    )
    if not request.json:
        machine.on(ConsoleOutput, transcript.console)
    faults = PageFaultObserver(machine)
    allocations = _attach_observers(machine, request, trace)
    summed_up = request.json or not request.quiet
    summary = Summary(machine, faults, places, allocations.ledger) if summed_up else None
    trace_file = TraceFile(request.trace_out, places) if request.trace_out else None
    for kind in trace.events():
        if request.trace and not request.quiet and not request.json:
            machine.on(kind, transcript.event)
        if trace_file:
            machine.on(kind, trace_file.write)

    ending: Ending | None = None
    start = time.perf_counter()
    try:
        ending = _execute(machine, request, transcript)
    except BrokenPipeError:
        summary = None  # whoever read the output has gone, and wants no more of it
        raise
    finally:
        seconds = time.perf_counter() - start
        if trace_file:
            trace_file.close()
        if not request.quiet or sys.stdout.isatty():  # else a file has what the guest wrote, byte for byte
            transcript.end_line()
        transcript.flush()
        if summary and not request.json:
            outcome = ending.outcome if ending else None
            lines = summary.lines(
                outcome, seconds, machine.config.fidelity, since=allocations.since, followed=allocations.says()
            )
            print("\n".join(lines), file=sys.stderr)
        if summary and request.json:
            _print_json(machine, summary, ending, seconds, places)
    failed = allocations.failed(faults)
    for what in failed:
        print(f"ekernel: --fail-on: {what}", file=sys.stderr)
    return _exit_status(machine, ending, places, request) or int(bool(failed))


def _check(request: RunRequest) -> None:
    check_harts(request.smp)
    if request.elf is not None and request.kernel is not None:
        raise ConfigError(f"two kernels, {request.elf} and -kernel {request.kernel}: give one")
    if request.json and request.trace and not request.trace_out:
        raise ConfigError("--trace prints between the guest's lines, and --json replaces those; add --trace-out FILE")
    if request.timeout is not None and request.timeout <= 0:
        raise ConfigError(f"--timeout {request.timeout:g}: give more than 0 seconds")


def _execute(machine: Machine, request: RunRequest, transcript: Transcript) -> Ending:
    with ExitStack() as stack:
        keyboard = standard_input()
        monitor = None
        if isinstance(keyboard, TerminalInput):
            keyboard.end = partial(_end_run, machine)
            stack.enter_context(keyboard)
            monitor = Monitor(machine)

        def talk() -> bool:
            assert isinstance(keyboard, TerminalInput)
            assert monitor is not None
            transcript.end_line()
            transcript.flush()
            with keyboard.cooked():
                return monitor.talk(input, print)

        execution = Execution(machine, keyboard, max_instructions=request.max_instructions, timeout=request.timeout)
        stack.enter_context(_interruptible(machine))
        return execution.run(talk, transcript.flush)


def _end_run(machine: Machine, error: BaseException) -> None:
    if not machine.core.engine.running:
        raise error
    machine.core.engine.fail(error)


@contextmanager
def _interruptible(machine: Machine) -> Iterator[None]:
    """Let Ctrl-C end the run, wherever it comes: an exception is lost between a callback's entry and its `try`."""
    before = signal.signal(signal.SIGINT, lambda _number, _frame: _end_run(machine, KeyboardInterrupt()))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _machine(request: RunRequest) -> Machine:
    kernel: Path | None = request.kernel or request.elf
    firmware = "sbi" if request.bios == _DEFAULT_FIRMWARE else request.bios
    fidelity, ram_size = "fast", MachineConfig().ram_size
    if kernel is None and firmware == "sbi":
        built = built_profile(
            request.profile,
            frames=request.frames,
            heap=request.heap,
            replacement=request.replacement,
            store=request.store,
            programs=request.programs,
        )
        kernel, fidelity, ram_size = built.elf, "exact", built.profile.ram_size
    virtio = read_virtio(request.drives, request.devices, request.settings, snapshot=request.snapshot)
    config = MachineConfig(
        fidelity=request.fidelity or fidelity,
        clock=request.clock or MachineConfig().clock,
        ram_size=ram_size if request.memory is None else parse_size(request.memory),
        firmware=firmware,
        bootargs=request.append,
        reboot=not request.no_reboot,
        device_tree=request.dtb,
        semihosting=read_semihosting(
            request.semihosting_settings, wanted=request.semihosting, files=request.semihosting_files
        ),
        drives=virtio.drives,
        entropy=virtio.entropy,
        virtio_console=virtio.console,
        virtio_version=virtio.version,
    )
    machine = Machine(config)
    machine.load(kernel, initrd=request.initrd)
    for path in request.symbols:
        machine.add_symbols(path)
    return machine


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def _attach_observers(machine: Machine, request: RunRequest, trace: TraceRequest) -> Allocations:
    allocations = Allocations(machine, request.allocations, summed_up=request.json or not request.quiet)
    if trace.functions:
        FunctionObserver(machine, trace.functions)
    pages = ReplacementObserver(machine)
    if request.trace and "pages" in trace.kinds and not pages.functions:
        raise ConfigError("--trace pages: the image has no function page_out or page_in, as the teaching kernel has")
    for kind, observer in (("frames", allocations.frames), ("heap", allocations.heap)):
        if request.trace and kind in trace.kinds and not observer.functions:
            raise ConfigError(
                f"--trace {kind}: the image has none of the allocator functions that are known by name; "
                f"name its own with --{kind.removesuffix('s')}-functions"
            )
    return allocations


def _print_json(machine: Machine, summary: Summary, ending: Ending | None, seconds: float, places: Places) -> None:
    fields: dict[str, object] = {
        "ended": "error" if ending is None else _word(ending),
        "exit_status": ending.outcome.exit_code if ending else None,
        "instructions": machine.instret,
        "seconds": round(seconds, 6),
        "fidelity": machine.config.fidelity,
        "pc": places.name(machine.hart.pc),
        **summary.numbers(),
        "console": machine.console.decode(errors="replace"),
    }
    print(json.dumps(fields))


def _word(ending: Ending) -> str:
    if ending.timed_out:
        return "timeout"
    return "left" if ending.left else ending.outcome.reason.name.lower()


def _exit_status(machine: Machine, ending: Ending, places: Places, request: RunRequest) -> int:
    outcome = ending.outcome
    if outcome.reason is StopReason.POWERED_OFF:
        return outcome.exit_code & 0xFF
    if ending.left or outcome.reason is StopReason.RESET:
        return 0
    where = places.name(machine.hart.pc)
    if ending.timed_out:
        print(f"ekernel: stopped after {request.timeout:g} s (--timeout) at {where}", file=sys.stderr)
        return ExitStatus.LIMIT
    if outcome.reason is StopReason.INSTRUCTION_LIMIT:
        print(
            f"ekernel: stopped after {outcome.instructions:,} instructions (--max-instructions) at {where}",
            file=sys.stderr,
        )
        return ExitStatus.LIMIT
    print(f"ekernel: {outcome.description} at {where}", file=sys.stderr)
    return ExitStatus.FAILED
