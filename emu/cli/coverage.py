"""`ekernel coverage`: which functions, lines and branches of a kernel were executed, and which never."""

import sys
from collections.abc import Sequence
from pathlib import Path

from emu.cli.shared.machines import new_machine
from emu.cli.shared.moments import run_to_moment
from emu.cli.shared.outputs import whole_file
from emu.cli.shared.recordings import opened
from emu.cli.words.options import coverage_options
from emu.cli.words.reading import file, written
from emu.cli.words.requests import CoverageWords
from emu.counted import counted
from emu.errors import ConfigError
from emu.firmware.names import Names
from emu.record.coverage import FileCoverage, coverage, merged_files
from emu.record.hits import HitCounter, Hits
from emu.record.magic import is_recording
from emu.report.coverage.lcov import is_tracefile, lcov, read_lcov
from emu.report.coverage.lines import coverage_lines
from emu.terminal.signals import Signals

options = coverage_options
FORMATS = ("lcov", "html", "drcov")


def main(words: Sequence[str], _signals: Signals) -> int:
    """Run or read, and print the report. Raises ConfigError for a kernel without symbols."""
    request = options().read(words, CoverageWords())
    if request.form not in FORMATS:
        raise ConfigError(f"-format {written(request.form)}: there are {', '.join(FORMATS)}")
    tracefiles = [path for path in request.merge if is_tracefile(path)]
    runs = [path for path in request.merge if path not in tracefiles]
    if request.elf is not None and is_tracefile(file(request.elf)):
        if runs or request.form == "drcov":
            raise ConfigError(
                f"{request.elf} is a tracefile: it has lines, and no instructions; give the kernel or its recording, "
                f"and --merge {request.elf}"
            )
        return _tell(request, None, merged_files(map(read_lcov, (file(request.elf), *tracefiles))))
    names, hits = _measured(request)
    for path in runs:
        with opened(path) as recording:
            hits.read(recording)
    if not len(names.symbols):
        raise ConfigError("the image has no symbols, so nothing can be named; give the ELF file with --symbols FILE")
    files = coverage(names, hits.by_address(), hits.branches())
    if tracefiles:
        files = merged_files((files, *map(read_lcov, tracefiles)))
    return _tell(request, (names, hits), files)


def _tell(request: CoverageWords, found: tuple[Names, Hits] | None, files: list[FileCoverage]) -> int:
    if request.output is not None:
        _write(request.output, request.form, found, files)
    for line in coverage_lines(files, never=request.never):
        print(line)
    return 0


def _write(path: Path, form: str, found: tuple[Names, Hits] | None, files: list[FileCoverage]) -> None:
    if form == "drcov" and found is not None:
        from emu.report.files.drcov import drcov

        names, hits = found
        made = drcov(names, hits.blocks())
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


def _measured(request: CoverageWords) -> tuple[Names, Hits]:
    if request.elf is not None and is_recording(request.elf):
        hits = Hits()
        with opened(file(request.elf), request.symbols) as recording:
            hits.read(recording)
        return recording.names, hits
    machine = new_machine(request)
    with HitCounter(machine) as counter:
        outcome = run_to_moment(machine, request)
    print(f"-- {outcome}: {machine.instret:,} instructions")
    return machine.platform.names, counter.hits
