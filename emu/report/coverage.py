"""Coverage for people and for lcov."""

from collections.abc import Iterable, Iterator
from itertools import takewhile

from emu.record.coverage import FileCoverage

_WIDTH = 110


def coverage_lines(files: Iterable[FileCoverage], *, never: bool) -> Iterator[str]:
    """A line for each file, those with the most lines that were never executed first; `never` lists those lines."""
    files = list(files)
    lines, lines_run = sum(len(file.lines) for file in files), sum(file.lines_executed for file in files)
    functions = [function for file in files for function in file.functions]
    run = sum(function.executed for function in functions)
    yield f"functions  {run:,} of {len(functions):,} executed{_percent(run, len(functions))}"
    if lines:
        yield f"lines      {lines_run:,} of {lines:,} executed{_percent(lines_run, lines)}"
    folder = _folder([file.path for file in files if file.path])
    if folder:
        yield f"below      {folder}"
    for file in sorted(files, key=lambda file: (file.lines_executed - len(file.lines), file.path)):
        missed = [function.name for function in file.functions if not function.executed]
        if never and not missed and file.lines_executed == len(file.lines):
            continue
        part = f"{file.lines_executed:,}/{len(file.lines):,}"
        percent = _percent(file.lines_executed, len(file.lines)).strip(" ()")
        yield f"{part:>12} {percent:>7}  {file.path.removeprefix(folder) or '(no source file)'}"
        if missed:
            yield from _wrapped("never called: ", missed)
        if never and file.never():
            yield from _wrapped("never executed: ", [f"{a}-{b}" if b > a else str(a) for a, b in file.never()])


def _folder(paths: list[str]) -> str:
    """The folder that all paths begin with; nothing for a single file."""
    parts = [path.split("/")[:-1] for path in paths]
    common = list(takewhile(lambda names: len(set(names)) == 1, zip(*parts, strict=False)))
    return "".join(f"{names[0]}/" for names in common) if len(paths) > 1 else ""


def _percent(part: int, whole: int) -> str:
    return f" ({100 * part / whole:.1f} %)" if whole else ""


def _wrapped(head: str, words: Iterable[str]) -> Iterator[str]:
    indent = " " * 22
    line = head
    for number, word in enumerate(words):
        if number:
            line += ","
            if len(line) + len(word) + len(indent) > _WIDTH:
                yield indent + line
                line = " " * len(head)
            else:
                line += " "
        line += word
    yield indent + line


def lcov(files: Iterable[FileCoverage], test: str = "") -> Iterator[str]:
    """Lines of a tracefile of lcov (geninfo(1), section FILES); what belongs to no source file is left out."""
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
        yield from (f"DA:{line},{file.lines[line]}" for line in sorted(file.lines))
        yield f"LF:{len(file.lines)}"
        yield f"LH:{file.lines_executed}"
        yield "end_of_record"
