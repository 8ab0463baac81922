"""`ekernel report`: run a kernel, and put all of the run on one page of HTML."""

import sys
from collections.abc import Sequence
from pathlib import Path

from emu.cli.shared.allocations import Allocations, allocation_request
from emu.cli.shared.machines import new_machine
from emu.cli.shared.moments import run_whatever_comes
from emu.cli.shared.outputs import whole_file
from emu.cli.words.options import heap_options
from emu.cli.words.reading import Group, Words
from emu.cli.words.requests import HeapWords
from emu.counted import counted
from emu.report.page.document import page
from emu.report.page.story import Story
from emu.terminal.signals import Signals


class ReportWords(HeapWords):
    """What `ekernel report` was asked for."""

    output: Path


def options() -> Words:
    """The words of `ekernel report`."""
    words = heap_options(
        "ekernel report",
        "Run a kernel, and write one page of HTML on which the whole run can be looked at: faults with their walks, "
        "frames, heap, console, at every moment.",
        leaks=False,
    )
    Group(words, "Output").value(
        "-o",
        "--output",
        to="output",
        form="FILE",
        kind=Path,
        default=Path("report.html"),
        text="The page.",
    )
    return words


def main(words: Sequence[str], _signals: Signals) -> int:
    """Run, write the page, and return the exit status. Raises ConfigError for a file that cannot be written."""
    request = options().read(words, ReportWords())
    machine = new_machine(request)
    allocations = Allocations(machine, allocation_request(request, asked=True), summed_up=False)
    story = Story(machine, allocations.chosen)
    status, ended = run_whatever_comes(machine, request)
    ending = f"{ended}: {counted(machine.instret, 'instruction')} ({machine.config.fidelity})"
    text = page(story.columns(Path(machine.image.name).name if machine.image else "kernel", ending)).encode()
    with whole_file(request.output) as stream:
        stream.write(text)
    sys.stdout.write(f"{request.output}: {len(text):,} bytes; {ending}\n")
    return status
