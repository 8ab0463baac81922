"""`ekernel replay`: live a recorded run again, and look at it in gdb."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from emu.address import VirtAddr
from emu.cli.shared.recordings import lived_again
from emu.cli.words.reading import Group, Words, add_help
from emu.errors import EmuError
from emu.events import ConsoleOutput
from emu.machine import Machine
from emu.machine.history.moment import Moment
from emu.record.parting import first_parting
from emu.record.recorder import Recorder
from emu.record.recording import Recording
from emu.report.places import Places
from emu.terminal.signals import Signals


class ReplayWords:
    """What `ekernel replay` was asked for."""

    file: Path
    gdb: str | None
    quiet: bool


def options() -> Words:
    """The words of `ekernel replay`."""
    words = Words("ekernel replay", "Live a recorded run (ekernel run --record FILE) again.", operands=" FILE")
    words.operand("file", form="FILE", kind=Path, text="The recording.")
    group = Group(words, "How")
    group.value(
        "--gdb", to="gdb", form="DEV", text="At its end, wait for gdb there (tcp::1234): it can go back from there."
    )
    group.flag("-q", "--quiet", to="quiet", text="Do not show the console again.")
    add_help(words)
    return words


def main(words: Sequence[str], _signals: Signals) -> int:
    """Live the run again; 1 when it was another run. Raises RecordingError for a file that cannot be replayed."""
    request = options().read(words, ReplayWords())
    machine, end = lived_again(request.file)
    with machine:
        if not request.quiet:
            machine.on(ConsoleOutput, _show)
        differs = _live_again(machine, request.file, end)
        print(f"ekernel: {differs or f'the same run: {machine.instret:,} instructions'}", file=sys.stderr)
        if request.gdb is not None:
            from emu.terminal.serving import serve_gdb

            serve_gdb(machine, request.gdb)
    return 1 if differs else 0


def _live_again(machine: Machine, path: Path, end: Moment) -> str | None:
    """Run to the end of the recording; how the run differs from it, if it does."""
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder, "again.ekrec")
        ended: str | None = None
        with Recorder(machine, again, ()):
            try:
                machine.history.arrive(end)
            except EmuError as error:  # it may be what the recorded run has died of
                ended = str(error)
        with Recording(path) as recorded, Recording(again) as now:
            parting = first_parting(recorded, now)
    places = Places(machine)
    if parting is not None and parting.one is not None and parting.other is not None:
        return (
            f"this is another run: after {parting.instret:,} instructions it was at "
            f"{places.name(VirtAddr(parting.one))}, and is at {places.name(VirtAddr(parting.other))} now"
        )
    if machine.instret < end.instret:
        return f"this is another run: it ended after {machine.instret:,} of {end.instret:,} instructions: {ended}"
    return None


def _show(event: ConsoleOutput) -> None:
    sys.stdout.buffer.write(event.data)
    sys.stdout.buffer.flush()
