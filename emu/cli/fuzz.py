"""`ekernel fuzz`: inputs for one function of a kernel, until one makes it crash."""

import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from emu.cli.shared.allocations import Allocations, allocation_request
from emu.cli.shared.machines import new_machine
from emu.cli.shared.sanitize import SanitizeRequest, Sanitizing
from emu.cli.words.groups import ELSEWHERE, add_allocations, add_boot, add_readonly_guest
from emu.cli.words.reading import Group, Words, count, seconds
from emu.cli.words.requests import HeapWords
from emu.counted import counted
from emu.errors import ConfigError
from emu.machine import Machine
from emu.terminal.signals import Signals
from emu.terminal.statuses import ExitStatus
from emu.testing.fuzzing.campaign import Campaign, Summary
from emu.testing.fuzzing.failures import report
from emu.testing.fuzzing.forkserver import serve
from emu.testing.fuzzing.keeping import Folders
from emu.testing.fuzzing.target import Inputs, Target
from emu.testing.machines import Place, advance

if TYPE_CHECKING:
    from emu.campaign.engine import Cluster
    from emu.observe.sanitizer.address import AddressSanitizer

_EVERY = 2.0
"""Seconds between two lines on a terminal."""
_NOT_REPLAYED = (
    "--corpus",
    "--crashes",
    "--executions",
    "--time",
    "--seed",
    "--replay",
    "--gdb",
    "--quiet",
    "--scheduler",
    "--jobs",
)


class FuzzWords(HeapWords):
    """What was asked for, as it was typed."""

    function: str | None
    input: str
    corpus: Path | None
    crashes: Path | None
    longest: int
    most: int
    executions: int | None
    duration: float | None
    seed: int
    jobs: int | None
    scheduler: str | None
    afl: bool
    replay: Path | None
    timeout = None


def options() -> Words:
    """The words of `ekernel fuzz`."""
    words = Words(
        "ekernel fuzz",
        "Call a function of a kernel with inputs that lead to where none before them has led, until there are crashes. "
        "The exit status is 0 when there was none, 1 when there was one, 125 for bad input.",
        operands=" KERNEL --function NAME",
        elsewhere=ELSEWHERE,
    )
    add_boot(words)
    group = Group(words, "What to fuzz")
    group.value("--function", to="function", form="NAME", text="The function.")
    group.value(
        "--input", to="input", form="a0=WORD,...", default="a0=buffer,a1=length",
        text="Its arguments: buffer (the input's address), length, or a number; a0=buffer,a1=length.",
    )  # fmt: skip
    group.value("--at", to="at", form="SYMBOL", text="Boot to there first; without it nothing is booted.")
    group.value("--from", to="origin", form="FILE", kind=Path, text="Begin at a moment saved by `ekernel run --save`.")
    group.value("--max-length", to="longest", form="N", kind=count, default=4096, text="Bytes of an input; 4096.")
    group.value(
        "--max-instructions", to="most", form="N", kind=count, default=1_000_000,
        text="Instructions of one execution, more are a hang; 1,000,000.",
    )  # fmt: skip
    group.value(
        "--sanitize", to="sanitize", form="address", default="",
        text="Report accesses to memory that nobody holds, and behind the input; slower.",
    )  # fmt: skip
    group.values("--stack", to="stacks", form="SYMBOL|A-B", text="Where --sanitize address finds a stack.")
    group = Group(words, "The campaign")
    group.value(
        "--corpus", to="corpus", form="DIR", kind=Path,
        text="Inputs to begin with; gets those that lead to something new.",
    )  # fmt: skip
    group.value("--crashes", to="crashes", form="DIR", kind=Path, text="Where crashes go; DIR/crashes of --corpus.")
    group.value("--executions", to="executions", form="N", kind=count, text="End after so many; else at Ctrl-C.")
    group.value("--time", to="duration", form="SECONDS", kind=seconds, text="End after so long.")
    group.value("--seed", to="seed", form="N", kind=count, default=1, text="The seed of its random choices; 1.")
    group.value(
        "--scheduler", to="scheduler", form="local|tcp://HOST:PORT",
        text="Execute in other processes: of this computer, or the workers of a scheduler of dask.distributed.",
    )  # fmt: skip
    group.value("-j", "--jobs", to="jobs", form="N", kind=count, text="So many at once; cores, or all workers.")
    group.flag("-q", "--quiet", to="quiet", text="Print the summary alone.")
    group.flag("--afl", to="afl", text="afl-fuzz has started this, and makes the inputs.")
    group = Group(words, "One input")
    group.value("--replay", to="replay", form="FILE", kind=Path, text="Execute this input once, and report.")
    group.value("--gdb", to="gdb", form="DEV", text="With --replay: wait for gdb (tcp::1234) where it begins.")
    add_allocations(words, leaks=False)
    add_readonly_guest(words)
    return words


def main(words: Sequence[str], signals: Signals) -> int:
    """Fuzz, or execute one input again. Raises ConfigError for what cannot be done."""
    request = options().read(words, FuzzWords())
    if request.function is None:
        raise ConfigError("--function: which function? For example --function parse --input a0=buffer,a1=length")
    if request.replay is None and request.corpus is None and not request.afl:
        raise ConfigError("--corpus: where do inputs go? For example --corpus corpus")
    if request.scheduler is not None and (request.afl or request.replay is not None):
        raise ConfigError("--scheduler: it executes campaigns; leave it out for --afl and --replay")
    if request.gdb is not None and request.replay is None:
        raise ConfigError("--gdb: for which input? Add --replay FILE")
    Inputs.parse(request.input)  # before the work, not after it
    with ExitStack() as stack:
        engine = _engine(stack, request)
        machine = stack.enter_context(new_machine(request))
        folders = _folders(request, words)
        if engine is not None:
            return _run_elsewhere(engine, machine, folders, request, signals)
        target = target_of(machine, request)
        if request.replay is not None:
            return _replay(target, request, request.replay)
        if request.afl:
            serve(target, os.environ)
            return 0
        campaign = Campaign(target, folders.read(target.longest), folders, seed=request.seed)
        return _run(campaign.run, request, signals)


def _folders(request: FuzzWords, words: Sequence[str]) -> Folders:
    corpus, line = request.corpus or Path(), _replay_line(words)
    return Folders(
        corpus, request.crashes or corpus / "crashes", lambda path: f"{line} --replay {shlex.quote(str(path))}"
    )


def target_of(machine: Machine, request: FuzzWords) -> Target:
    """The function on a machine that has not been booted, or was saved."""
    sanitizer = _sanitizer(machine, request)
    if request.at is not None:
        advance(machine, Place(request.at), str(request.elf or request.kernel or request.profile))
    return Target(
        machine, str(request.function), Inputs.parse(request.input), longest=request.longest,
        max_instructions=request.most, sanitizer=sanitizer,
    )  # fmt: skip


def _engine(stack: ExitStack, request: FuzzWords) -> "Cluster | None":
    """What executes elsewhere; None for here and now, in this process: which starts at once, and needs no package."""
    if request.scheduler is None:
        if request.jobs is not None:
            raise ConfigError("-j: at once where? Add --scheduler local, or tcp://HOST:PORT")
        return None
    if request.corpus is None:
        raise ConfigError("--scheduler: it executes campaigns, which have a --corpus")
    from emu.campaign.engine import cluster

    workers = request.jobs or os.cpu_count() or 1
    return stack.enter_context(
        cluster(request.scheduler, workers, lambda text: print(f"ekernel: {text}", file=sys.stderr))
    )


def open_target(path: Path, request: FuzzWords) -> Target:
    """The target on a worker, from the machine that was saved there."""
    return target_of(Machine.open(path), request)


def _run_elsewhere(engine: "Cluster", machine: Machine, folders: Folders, request: FuzzWords, signals: Signals) -> int:
    from emu.campaign.fuzzing import Fleet, Guest

    with TemporaryDirectory(prefix="ekernel-fuzz-") as folder:
        path = Path(folder, "saved")
        machine.snapshot().save(path)  # before the boot, as a sanitizer follows that
        guest = Guest(path.read_bytes(), open_target, request)
    target = target_of(machine, request)
    fleet = Fleet(
        engine, engine.name, guest, target, folders.read(target.longest), folders,
        places=request.jobs or engine.places, seed=request.seed,
    )  # fmt: skip
    return _run(fleet.run, request, signals)


def _sanitizer(machine: Machine, request: FuzzWords) -> "AddressSanitizer | None":
    asked = SanitizeRequest.parse(request.sanitize, request.stacks)
    if not asked.kinds:
        return None
    if asked.kinds != ("address",):
        raise ConfigError("--sanitize: fuzzing takes address")
    allocations = Allocations(machine, allocation_request(request, asked=True), summed_up=False)
    return Sanitizing(machine, asked, allocations, lambda _text: None, needs_allocators=False).address


def _replay_line(words: Sequence[str]) -> str:
    """The command that executes an input again, but for the input."""
    kept, skips = [], False
    for word in words:
        name, is_pair, _ = word.partition("=")
        if skips:
            skips = False
        elif name in _NOT_REPLAYED or word[:2] in ("-q", "-j"):
            skips = not is_pair and ((name in _NOT_REPLAYED and name != "--quiet") or word == "-j")
        else:
            kept.append(word)
    return shlex.join(["ekernel", "fuzz", *kept])


def _replay(target: Target, request: FuzzWords, path: Path) -> int:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--replay {path}: {error.strerror}") from None
    if len(data) > target.longest:
        raise ConfigError(f"--replay {path}: {counted(len(data), 'byte')}; --max-length is {target.longest:,}")
    if request.gdb is not None:
        return _debug(target, data, request.gdb)
    failure = target.run(data)
    if failure is None:
        print(f"{target.function} returned")
        return 0
    print(f"{report(target, data, failure)}replay: {path}")
    return 1


def _debug(target: Target, data: bytes, address: str) -> int:
    from emu.terminal.serving import serve_gdb

    target.enter(data)
    serve_gdb(target.machine, address)
    return 0


def _run(run: Callable[..., Summary], request: FuzzWords, signals: Signals) -> int:
    tell = _progress() if sys.stderr.isatty() and not request.quiet else lambda _summary: None
    signals.noted = True  # the first one ends the campaign, a second one everything
    summary = run(
        executions=request.executions, seconds=request.duration, ends=lambda: signals.came is not None, tell=tell
    )
    rate = f", {summary.executions / summary.seconds:,.0f} a second" if summary.seconds > 1 else ""
    print(
        f"{counted(summary.executions, 'execution')}{rate}, {counted(summary.edges, 'edge')}, "
        f"{counted(summary.inputs, 'input')}, {counted(len(summary.failures), 'failure')}"
    )
    for found in summary.failures.values():
        print()
        print(f"{found.path} ({counted(found.number, 'time')})")
        if not request.quiet:
            print(found.report, end="")
    if summary.left_out:
        print(f"\nleft out of further kinds: {counted(summary.left_out, 'failure')}")
    if signals.came is not None:
        return ExitStatus.SIGNAL + signals.came
    return 1 if summary.failures else 0


def _progress() -> Callable[[Summary], None]:
    last = time.monotonic()

    def tell(summary: Summary) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY:
            last = now
            rate = summary.executions / max(summary.seconds, 0.001)
            print(
                f"ekernel: {counted(summary.executions, 'execution')}, {rate:,.0f} a second, "
                f"{counted(summary.inputs, 'input')}, {counted(len(summary.failures), 'failure')}",
                file=sys.stderr,
            )

    return tell
