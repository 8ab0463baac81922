"""`ekernel coverage`: which functions and lines of a kernel were executed, and which never."""

import sys
from collections.abc import Sequence
from pathlib import Path

from emu.cli.moments import run_to_moment
from emu.cli.options import coverage_options
from emu.cli.outputs import whole_file
from emu.cli.requests import CoverageWords
from emu.cli.run import new_machine
from emu.cli.trace import tell_missing
from emu.errors import ConfigError
from emu.firmware.names import Names, SymbolFile
from emu.record.coverage import FileCoverage, coverage
from emu.record.hits import HitCounter, Hits
from emu.record.magic import is_recording
from emu.record.recording import Recording
from emu.report.coverage import coverage_lines, lcov
from emu.terminal.signals import Signals

options = coverage_options
FORMATS = ("lcov", "drcov")


def main(words: Sequence[str], _signals: Signals) -> int:
    """Run or read, and print the report. Raises ConfigError for a kernel without symbols."""
    request = options().read(words, CoverageWords())
    if request.form not in FORMATS:
        raise ConfigError(f"-format {request.form}: there are {', '.join(FORMATS)}")
    names, hits = _measured(request)
    for path in request.merge:
        with Recording(path) as recording:
            hits.read(recording)
            tell_missing(recording)
    if not len(names.symbols):
        raise ConfigError("the image has no symbols, so nothing can be named; give the ELF file with --symbols FILE")
    files = coverage(names, hits.by_address())
    if request.output is not None:
        _write(request.output, request.form, names, hits, files)
    for line in coverage_lines(files, never=request.never):
        print(line)
    return 0


def _write(path: Path, form: str, names: Names, hits: Hits, files: list[FileCoverage]) -> None:
    if form == "drcov":
        from emu.report.files.drcov import drcov

        made = drcov(names, hits.blocks())
        data = made.data
        if made.elsewhere:
            text = (
                f"{made.elsewhere:,} blocks lie in none of the files that are known: --symbols FILE names a program's"
            )
            print(f"ekernel: {path} has {made.blocks:,} blocks; {text}", file=sys.stderr)
    else:
        if not any(file.path for file in files):
            print("ekernel: the image has no debug information: there are no lines for lcov", file=sys.stderr)
        data = "".join(f"{line}\n" for line in lcov(files)).encode()
    with whole_file(path) as stream:
        stream.write(data)


def _measured(request: CoverageWords) -> tuple[Names, Hits]:
    if request.elf is not None and is_recording(request.elf):
        hits = Hits()
        with Recording(request.elf) as recording:
            for path in request.symbols:
                recording.names.add(SymbolFile.open(path))
            hits.read(recording)
            tell_missing(recording)
            return recording.names, hits
    machine = new_machine(request)
    with HitCounter(machine) as counter:
        outcome = run_to_moment(machine, request)
    print(f"-- {outcome}: {machine.instret:,} instructions")
    return machine.platform.names, counter.hits
