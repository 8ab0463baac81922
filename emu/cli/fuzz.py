"""`ekernel fuzz`: inputs for one function of a kernel, until one makes it crash."""

import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emu.cli.allocations import Allocations
from emu.cli.groups import ELSEWHERE, add_allocations, add_boot, add_readonly_guest
from emu.cli.requests import HeapWords
from emu.cli.run import allocation_request, new_machine
from emu.cli.sanitize import SanitizeRequest, Sanitizing
from emu.cli.words import Group, Words, count, seconds
from emu.errors import ConfigError
from emu.machine import Machine
from emu.terminal.signals import Signals
from emu.terminal.statuses import ExitStatus
from emu.testing.fuzzing.campaign import Campaign, Summary
from emu.testing.fuzzing.failures import report
from emu.testing.fuzzing.forkserver import serve
from emu.testing.fuzzing.target import Inputs, Target
from emu.testing.machines import Place, advance

if TYPE_CHECKING:
    from emu.observe.sanitizer.address import AddressSanitizer

_EVERY = 2.0
"""Seconds between two lines on a terminal."""
_NOT_REPLAYED = ("--corpus", "--crashes", "--executions", "--time", "--seed", "--replay", "--gdb", "--quiet")


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
    afl: bool
    replay: Path | None
    since = None
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
    group.value("--seed", to="seed", form="N", kind=count, default=1, text="Chance begins here; 1.")
    group.flag("-q", "--quiet", to="quiet", text="Print the summary alone.")
    group.flag("--afl", to="afl", text="afl-fuzz has started this, and makes the inputs.")
    group = Group(words, "One input")
    group.value("--replay", to="replay", form="FILE", kind=Path, text="Execute this input once, and report.")
    group.value("--gdb", to="gdb", form="DEV", text="With --replay: wait for gdb (tcp::1234) where it begins.")
    add_allocations(words)
    add_readonly_guest(words)
    return words


def main(words: Sequence[str], signals: Signals) -> int:
    """Fuzz, or execute one input again. Raises ConfigError for what cannot be done."""
    request = options().read(words, FuzzWords())
    if request.function is None:
        raise ConfigError("--function: which function? For example --function parse --input a0=buffer,a1=length")
    if request.replay is None and request.corpus is None and not request.afl:
        raise ConfigError("--corpus: where do inputs go? For example --corpus corpus")
    if request.gdb is not None and request.replay is None:
        raise ConfigError("--gdb: for which input? Add --replay FILE")
    inputs = Inputs.parse(request.input)
    with new_machine(request) as machine:
        sanitizer = _sanitizer(machine, request)
        if request.at is not None:
            name = str(request.elf or request.kernel or request.profile)
            advance(machine, Place(request.at), name)
        target = Target(
            machine, request.function, inputs, longest=request.longest, max_instructions=request.most,
            sanitizer=sanitizer,
        )  # fmt: skip
        if request.replay is not None:
            return _replay(target, request, request.replay)
        if request.afl:
            serve(target, os.environ)
            return 0
        assert request.corpus is not None
        crashes = request.crashes or request.corpus / "crashes"
        line = _replay_line(words)
        campaign = Campaign(
            target, request.corpus, crashes, lambda path: f"{line} --replay {shlex.quote(str(path))}", seed=request.seed
        )
        return _run(campaign, request, signals)


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
        elif name in _NOT_REPLAYED or word == "-q":
            skips = not is_pair and name not in ("--quiet", "-q")
        else:
            kept.append(word)
    return shlex.join(["ekernel", "fuzz", *kept])


def _replay(target: Target, request: FuzzWords, path: Path) -> int:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--replay {path}: {error.strerror}") from None
    if len(data) > target.longest:
        raise ConfigError(f"--replay {path}: {len(data):,} bytes; --max-length is {target.longest:,}")
    if request.gdb is not None:
        return _debug(target, data, request.gdb)
    failure = target.run(data)
    if failure is None:
        print(f"{target.function} returned")
        return 0
    print(report(target, data, failure, f"{path}"), end="")
    return 1


def _debug(target: Target, data: bytes, address: str) -> int:
    from emu.debug.gdb import GdbServer
    from emu.terminal.monitor import Monitor

    machine = target.machine
    target.enter(data)
    with GdbServer(machine, address, halted=True, monitor=Monitor(machine).answer) as server:
        print(f"ekernel: waiting for gdb at {server.address}", file=sys.stderr, flush=True)
        server.serve()
    return 0


def _run(campaign: Campaign, request: FuzzWords, signals: Signals) -> int:
    tell = _progress() if sys.stderr.isatty() and not request.quiet else lambda _summary: None
    signals.noted = True  # the first one ends the campaign, a second one everything
    summary = campaign.run(
        executions=request.executions, seconds=request.duration, ends=lambda: signals.came is not None, tell=tell
    )
    rate = f", {summary.executions / summary.seconds:,.0f} a second" if summary.seconds > 1 else ""
    noun = "failure" if len(summary.failures) == 1 else "failures"
    print(
        f"{summary.executions:,} executions{rate}, {summary.ways:,} ways, {summary.inputs:,} inputs, "
        f"{len(summary.failures):,} {noun}"
    )
    for found in summary.failures.values():
        print()
        print(f"{found.path} ({found.number:,} times)")
        if not request.quiet:
            print(found.report, end="")
    if summary.left_out:
        print(f"\n{summary.left_out:,} failures of further kinds were left out")
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
                f"ekernel: {summary.executions:,} executions, {rate:,.0f} a second, {summary.inputs:,} inputs, "
                f"{len(summary.failures):,} failures",
                file=sys.stderr,
            )

    return tell
