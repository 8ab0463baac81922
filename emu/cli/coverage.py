"""`ekernel coverage`: which functions, lines and branches of a kernel were executed, and which never."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from emu.cli.shared.machines import new_machine
from emu.cli.shared.moments import run_to_moment
from emu.cli.shared.outputs import needs_file, whole_file
from emu.cli.shared.recordings import opened
from emu.cli.words.options import coverage_options
from emu.cli.words.reading import file, written
from emu.cli.words.requests import CoverageWords
from emu.counted import counted
from emu.engine.translated.features.calls import Calls
from emu.errors import ConfigError
from emu.firmware.names import Names
from emu.record.coverage import FileCoverage, coverage, merged_files
from emu.record.edges import Destinations, edges
from emu.record.hits import HitCounter, Hits
from emu.record.magic import is_recording
from emu.record.recording import Recording
from emu.report.coverage.lcov import is_tracefile, lcov, read_lcov
from emu.report.coverage.lines import coverage_lines
from emu.terminal.signals import Signals

options = coverage_options
FORMATS = ("lcov", "html", "drcov", "edges")
_OF_INSTRUCTIONS = ("drcov", "edges")
"""What tracefiles know nothing of, and what needs no symbols."""


class Measured(NamedTuple):
    """What was executed, with names, and where registers led."""

    names: Names
    hits: Hits
    destinations: Destinations


def main(words: Sequence[str], _signals: Signals) -> int:
    """Run or read, and print the report. Raises ConfigError for a kernel without symbols."""
    request = options().read(words, CoverageWords())
    if request.form not in FORMATS:
        raise ConfigError(f"-format {written(request.form)}: there are {', '.join(FORMATS)}")
    tracefiles = [path for path in request.merge if is_tracefile(path)]
    runs = [path for path in request.merge if path not in tracefiles]
    if request.elf is not None and is_tracefile(file(request.elf)):
        if runs or request.form in _OF_INSTRUCTIONS:
            raise ConfigError(
                f"{request.elf} is a tracefile: it has lines, and no instructions; give the kernel or its recording, "
                f"and --merge {request.elf}"
            )
        return _tell(request, None, merged_files(map(read_lcov, (file(request.elf), *tracefiles))))
    if request.form != "lcov" and request.output is None:
        raise needs_file(request.form)
    if tracefiles and request.form in _OF_INSTRUCTIONS:
        raise ConfigError(f"--merge {tracefiles[0]}: a tracefile has no instructions for -format {request.form}")
    needs = ("calls",) if request.form == "edges" else ()
    measured = _measured(request, needs)
    for path in runs:
        with opened(path, needs=needs) as recording:
            _read(measured, recording, needs)
    names, hits, _ = measured
    if not len(names.symbols) and request.form not in _OF_INSTRUCTIONS:
        raise ConfigError("the image has no symbols, so nothing can be named; give the ELF file with --symbols FILE")
    files = coverage(names, hits.by_address(), hits.branches())
    if tracefiles:
        files = merged_files((files, *map(read_lcov, tracefiles)))
    return _tell(request, measured, files)


def _tell(request: CoverageWords, measured: Measured | None, files: list[FileCoverage]) -> int:
    if request.output is not None:
        _write(request.output, request.form, measured, files)
    for line in coverage_lines(files, never=request.never) if files or measured is None else ():
        print(line)
    return 0


def _write(path: Path, form: str, measured: Measured | None, files: list[FileCoverage]) -> None:
    if form == "edges" and measured is not None:
        from emu.report.coverage.edges import edge_lines, edge_summary

        found = edges(measured.hits, measured.destinations)
        print(edge_summary(found))
        data = "".join(f"{line}\n" for line in edge_lines(measured.names, found)).encode()
    elif form == "drcov" and measured is not None:
        from emu.report.files.drcov import drcov

        made = drcov(measured.names, measured.hits.blocks())
        data = made.data
        if made.elsewhere:
            text = (
                f"{made.elsewhere:,} blocks lie in none of the files that are known: --symbols FILE names a program's"
            )
            print(f"ekernel: {path} has {counted(made.blocks, 'block')}; {text}", file=sys.stderr)
    elif form == "html":
        from emu.report.coverage.page import coverage_page

        data = coverage_page("What was executed, and what never", files, {}).encode()
    else:
        if not any(file.path for file in files):
            print("ekernel: the image has no debug information: there are no lines for lcov", file=sys.stderr)
        data = "".join(f"{line}\n" for line in lcov(files)).encode()
    with whole_file(path) as stream:
        stream.write(data)


def _measured(request: CoverageWords, needs: Sequence[str]) -> Measured:
    destinations = Destinations()
    if request.elf is not None and is_recording(request.elf):
        with opened(file(request.elf), request.symbols, needs=needs) as recording:
            measured = Measured(recording.names, Hits(), destinations)
            _read(measured, recording, needs)
        return measured
    machine = new_machine(request)
    with HitCounter(machine, [Calls(destinations.add)] if needs else []) as counter:
        outcome = run_to_moment(machine, request)
    print(f"-- {outcome}: {counted(machine.instret, 'instruction')}")
    return Measured(machine.platform.names, counter.hits, destinations)


def _read(measured: Measured, recording: Recording, needs: Sequence[str]) -> None:
    measured.hits.read(recording)
    if needs:
        measured.destinations.read(recording)
