"""Coverage for people."""

from collections.abc import Iterable, Iterator
from itertools import takewhile

from emu.record.coverage import FileCoverage

_WIDTH = 110


def coverage_lines(files: Iterable[FileCoverage], *, never: bool) -> Iterator[str]:
    """A line for each file, those with the most lines that were never executed first.

    `never` lists those lines, and the branches that have gone one way only.
    """
    files = list(files)
    lines, lines_run = sum(len(file.lines) for file in files), sum(file.lines_executed for file in files)
    functions = [function for file in files for function in file.functions]
    run = sum(function.executed for function in functions)
    yield f"functions  {run:,} of {len(functions):,} executed{_percent(run, len(functions))}"
    if lines:
        yield f"lines      {lines_run:,} of {lines:,} executed{_percent(lines_run, lines)}"
    gone, ways = map(sum, zip(*(file.ways for file in files), strict=True)) if files else (0, 0)
    if ways:
        yield f"branches   {gone:,} of {ways:,} ways gone{_percent(gone, ways)}"
    folder = _folder([file.path for file in files if file.path])
    if folder:
        yield f"below      {folder}"
    for file in sorted(files, key=lambda file: (file.lines_executed - len(file.lines), file.path)):
        missed = [function.name for function in file.functions if not function.executed]
        one_way = file.one_way()
        if never and not missed and not one_way and file.lines_executed == len(file.lines):
            continue
        part = f"{file.lines_executed:,}/{len(file.lines):,}"
        percent = _percent(file.lines_executed, len(file.lines)).strip(" ()")
        yield f"{part:>12} {percent:>7}  {file.path.removeprefix(folder) or '(no source file)'}"
        if missed:
            yield from _wrapped("never called: ", missed)
        if never and file.never():
            yield from _wrapped("never executed: ", [f"{a}-{b}" if b > a else str(a) for a, b in file.never()])
        if never and one_way and file.path:
            yield from _wrapped("branches: ", [f"{line} {what}" for line, what in one_way])


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
