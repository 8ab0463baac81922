"""Tracefiles of lcov, written and read (geninfo(1), section FILES)."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from emu.errors import RecordingError
from emu.firmware.image import read_file
from emu.record.coverage import BranchCoverage, FileCoverage, FunctionCoverage

_BEGINNINGS = (b"TN:", b"SF:")


def lcov(files: Iterable[FileCoverage], test: str = "") -> Iterator[str]:
    """Lines of a tracefile; what belongs to no source file is left out."""
    for file in files:
        if not file.path:
            continue
        yield f"TN:{test}"
        yield f"SF:{file.path}"
        functions = sorted(file.functions, key=lambda function: (function.line, function.name))
        yield from (f"FN:{function.line},{function.name}" for function in functions)
        calls = {function.name: max(function.calls, int(function.executed)) for function in functions}
        yield from (f"FNDA:{number},{name}" for name, number in calls.items())
        yield f"FNF:{len(calls)}"
        yield f"FNH:{sum(1 for number in calls.values() if number)}"
        for line, branches in sorted(file.branches.items()):
            for block, branch in enumerate(branches):
                for way, times in enumerate(branch):
                    yield f"BRDA:{line},{block},{way},{times if branch.ways else '-'}"
        gone, ways = file.ways
        if ways:
            yield f"BRF:{ways}"
            yield f"BRH:{gone}"
        yield from (f"DA:{line},{file.lines[line]}" for line in sorted(file.lines))
        yield f"LF:{len(file.lines)}"
        yield f"LH:{file.lines_executed}"
        yield "end_of_record"


def is_tracefile(path: Path) -> bool:
    """Whether a file begins as a tracefile does."""
    try:
        with path.open("rb") as stream:
            return stream.read(3) in _BEGINNINGS
    except OSError:
        return False


def read_lcov(path: Path) -> list[FileCoverage]:
    """What a tracefile has, of whatever tests, by file. Raises RecordingError for what is no tracefile.

    Records that say nothing which `lcov` writes are passed over: checksums, versions, sums.
    """
    files: dict[str, FileCoverage] = {}
    for record in _records(path):
        if record.path in files:
            files[record.path].add(record)
        else:
            files[record.path] = record
    return [files[name] for name in sorted(files)]


def _records(path: Path) -> Iterator[FileCoverage]:
    file, begins, calls = FileCoverage(""), dict[str, int](), dict[str, int]()
    branches: dict[int, dict[tuple[str, int], int]] = {}
    for number, row in enumerate(read_file(path, "tracefile").decode("utf-8", "replace").splitlines(), start=1):
        word, _, rest = row.partition(":")
        values = rest.split(",")
        try:
            if word == "SF":
                file, begins, calls, branches = FileCoverage(rest), {}, {}, {}
            elif word == "FN":
                begins[values[-1]] = int(values[0])
            elif word == "FNDA":
                calls[rest.partition(",")[2]] = int(values[0])
            elif word == "DA":
                file.lines[int(values[0])] = int(values[1])
            elif word == "BRDA":
                place, block, way, times = values
                branches.setdefault(int(place), {})[block, int(way)] = 0 if times == "-" else int(times)
            elif row == "end_of_record":
                file.functions = [
                    FunctionCoverage(name, 0, begins.get(name, 0), count, bool(count)) for name, count in calls.items()
                ]
                for line, ways in branches.items():
                    blocks = dict.fromkeys(block for block, _ in ways)
                    file.branches[line] = [BranchCoverage(ways.get((b, 0), 0), ways.get((b, 1), 0)) for b in blocks]
                yield file
                file = FileCoverage("")
        except (ValueError, IndexError) as error:
            raise RecordingError(f"{path}, line {number}: '{row[:60]}' is nothing that lcov writes") from error
    if file.path:
        raise RecordingError(f"{path} ends in the middle of {file.path}: there is no end_of_record")
