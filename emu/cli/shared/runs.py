"""Runs that commands look at: recordings, and kernels that are run and recorded for that."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from emu.cli.shared.recordings import EVERYTHING, opened
from emu.counted import counted
from emu.hints import TYPE_CHECKING
from emu.record.recording import Recording

if TYPE_CHECKING:
    from emu.cli.words.requests import HeapWords
    from emu.machine import Machine
    from emu.report.tracefile import Sink

_LINUX_AT, _LINUX = 0x38, b"RSC\x05"
"""Linux, Documentation/riscv/boot-image-header.rst."""


def is_kernel(path: Path) -> bool:
    """Whether it is an ELF file or an `Image` of Linux."""
    try:
        with path.open("rb") as stream:
            start = stream.read(_LINUX_AT + len(_LINUX))
    except OSError:
        return False  # told by whoever reads it as a recording
    return start.startswith(b"\x7fELF") or start[_LINUX_AT:] == _LINUX


@contextmanager
def opened_run(
    path: Path, symbols: Iterable[Path] = (), *, needs: Sequence[str] = (), span: tuple[int, int] = EVERYTHING,
    events: bool = False,
) -> Iterator[Recording]:  # fmt: skip
    """As `opened`; a kernel is run first, as `ekernel run` does without further words, to the end of the range.

    With `events` those are recorded that `--trace-out` would write.
    """
    if not is_kernel(path):
        with opened(path, symbols, needs=needs, span=span) as recording:
            yield recording
        return
    import tempfile  # who reads a recording only needs no machine

    from emu.cli.shared.machines import new_machine
    from emu.cli.shared.moments import run_whatever_comes
    from emu.cli.words.options import heap_options
    from emu.cli.words.requests import HeapWords
    from emu.record.recorder import Recorder

    request = heap_options().read([str(path)], HeapWords())
    request.symbols = list(symbols)
    request.max_instructions = None if span[1] == EVERYTHING[1] else span[1] + 1
    with tempfile.TemporaryDirectory() as folder, new_machine(request) as machine:
        file = Path(folder, "run.ekrec")
        follow = _events_followed(machine, request) if events else None
        with Recorder(machine, file, needs) as recorder:
            if follow is not None:
                follow(recorder.events)
            _, ended = run_whatever_comes(machine, request)
        print(f"ekernel: {path}: {ended}: {counted(machine.instret, 'instruction')}", file=sys.stderr)
        with Recording(file) as recording:
            recording.path = path
            yield recording


def _events_followed(machine: "Machine", request: "HeapWords") -> "Callable[[Sink], None]":
    """Observe what `--trace-out` writes when nothing else was asked for; what writes it somewhere."""
    from emu.cli.shared.allocations import Allocations, allocation_request
    from emu.cli.shared.tracing import DEFAULT_TRACE, TraceRequest
    from emu.observe.faults import PageFaultObserver
    from emu.report.places import Places
    from emu.report.tracefile import TraceFile

    PageFaultObserver(machine)
    Allocations(machine, allocation_request(request, asked=True), summed_up=False)

    def follow(stream: "Sink") -> None:
        write = TraceFile(stream, Places(machine)).write
        for kind in TraceRequest.parse(DEFAULT_TRACE).events():
            machine.on(kind, write)

    return follow
