"""Documents as stories: the files and commands that they show, and what they show of the commands' output.

The fenced blocks of a document run in order in one folder.
- ```` ```asm hello.S ```` (any language, then a file name): the file is written.
- ```` ```console ````: each line after `$ ` is run by the shell and must succeed, or end with the status in a
  trailing `# exit N`. The lines below it are its output, where `...` stands for any text within a line, a line `...`
  for any lines, and a duration for any duration. A command without lines below it may print what it likes.

Two runs of one kernel are identical, so every other number is what is printed, to the digit. `make docs` writes the
numbers anew after a change that moves them.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINUX = ROOT / "docs" / "linux.md"
"""Builds a kernel first: followed by tests/linux."""
CHANGING = ROOT / "docs" / "changing-the-kernel.md"
"""Changes the sources: followed in a copy of them."""
DOCUMENTS = sorted({*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")} - {LINUX})
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
ORACLE_PROGRAMS = re.compile(r"(?:^|[\s|;&])((?:riscv64-[\w-]+|qemu-system-riscv64|gdb-multiarch|lcov|uftrace))\b")

_DURATION = r"\d+(?:\.\d+)? ?s\b"
_NUMBERS = (r"0x[0-9a-f]+", r"\d[\d,]*(?:\.\d+)?")
_ELISION, _SPACES = r"\.\.\.", r"  +"
_TOKEN = re.compile("|".join((_DURATION, *_NUMBERS, _ELISION, _SPACES, ".")))


@dataclass
class Command:
    """A shown command with the output that the document shows below it."""

    text: str
    status: int = 0
    output: list[str] = field(default_factory=list)
    line: int = 0
    """Where its output begins: a line of the document, from 0."""


def commands(block: str, first_line: int = 0) -> Iterator[Command]:
    """The commands of a console block that begins at a line of the document."""
    current: Command | None = None
    for number, line in enumerate(block.splitlines(), first_line):
        if line.startswith("$ "):
            if current:
                yield current
            match = re.fullmatch(r"\$ (.*?)(?:\s+# exit (\d+))?", line)
            assert match
            current = Command(match[1], int(match[2] or 0), line=number + 1)
        else:
            assert current, f"a console block begins with output: {line}"
            current.output.append(line)
    if current:
        yield current


def output_pattern(lines: list[str], *, any_numbers: bool = False) -> re.Pattern[str]:
    """What the shown lines stand for; with `any_numbers` each number is a group that matches any other."""
    parts = []
    for line in lines:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
            continue
        parts += [_general(token, any_numbers) for token in _TOKEN.findall(line.rstrip())]
        parts.append(r"[ \t]*\n")
    return re.compile("".join(parts))


def _general(token: str, any_numbers: bool) -> str:
    if re.fullmatch(_DURATION, token):
        return _DURATION
    if re.fullmatch(_ELISION, token):
        return ".*?"
    if re.fullmatch(_SPACES, token):
        return " +"
    number = next((kind for kind in _NUMBERS if re.fullmatch(kind, token)), None)
    return f"({number})" if number and any_numbers else re.escape(token)


def with_numbers_of(lines: list[str], shown: str) -> list[str] | None:
    """The same lines with the numbers that were printed; None when more than numbers differs."""
    match = output_pattern(lines, any_numbers=True).fullmatch(shown)
    if match is None:
        return None
    printed = iter(match.groups())
    return [
        line if line.strip() == "..." else _TOKEN.sub(lambda token: _renewed(token[0], printed), line) for line in lines
    ]


def _renewed(token: str, printed: Iterator[str]) -> str:
    if re.fullmatch(_DURATION, token) or not any(re.fullmatch(kind, token) for kind in _NUMBERS):
        return token
    return next(printed)


def run(command: Command, folder: Path) -> str:
    """Run a command and return what it printed; it must end with the status that the document shows."""
    path = f"{folder}/.venv/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "NO_COLOR": "1"}
    text = re.sub(r" (tests|docs)/", rf" {ROOT}/\1/", command.text)
    if text.startswith("make "):
        # A test must not start all tests again, nor clean the tree that it runs in.
        dry = "--dry-run " if re.match(r"make (test|clean|bench|check|docs|probes)\b", text) else ""
        text = f"make -s --no-print-directory {dry}-C {ROOT} {text.removeprefix('make ')}"
    result = subprocess.run(
        ["bash", "-c", text], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    shown = result.stdout + result.stderr
    assert result.returncode == command.status, f"$ {command.text}\n{shown}"
    return shown + "\n" * (not shown.endswith("\n"))


def compare(command: Command, shown: str) -> None:
    """Raise AssertionError when a command has printed something else than the document shows."""
    if command.output and not output_pattern(command.output).fullmatch(shown):
        expected = "\n".join(command.output)
        raise AssertionError(
            f"$ {command.text}\nprinted\n{shown}\nthe document shows\n{expected}\n"
            "(where only numbers differ, `make docs` writes them anew)"
        )


def follow(
    document: Path, folder: Path, oracle: Callable[[str], str], judge: Callable[[Command, str], None] = compare
) -> None:
    """Write a document's files and run its commands; `judge` gets each with what it has printed."""
    if document == CHANGING:
        _copy_sources(folder)
    text = document.read_text(encoding="utf-8")
    for block in FENCE.finditer(text):
        language, _, name = block["info"].strip().partition(" ")
        if name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(block["body"], encoding="utf-8")
        elif language == "console":
            for command in commands(block["body"], text.count("\n", 0, block.start("body"))):
                for program in ORACLE_PROGRAMS.findall(command.text):
                    oracle(program)
                judge(command, run(command, folder))
    shutil.rmtree(folder)


def _copy_sources(folder: Path) -> None:
    """A checkout that can be changed, with a command `ekernel` that runs it."""
    for package in ("ekernel", "emu", "kernel", "linker"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    command = folder / ".venv" / "bin" / "ekernel"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" exec "{sys.executable}" -m ekernel "$@"\n', encoding="utf-8")
    command.chmod(0o755)
