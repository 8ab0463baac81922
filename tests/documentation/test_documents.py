"""Every command that README and docs show is run here, and what they show of its output is compared.

A document is a story: its fenced blocks run in order in one folder.
- ```` ```asm hello.S ```` (any language, then a file name): the file is written.
- ```` ```console ````: each line after `$ ` is run by the shell and must succeed, or end with the status in a
  trailing `# exit N`. The lines below it are its output, where each number stands for any number, `...` for any text
  within a line, and a line `...` for any lines. A command without lines below it may print what it likes.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINUX = ROOT / "docs" / "linux.md"
"""Builds a kernel first: followed by tests/linux."""
DOCUMENTS = sorted({ROOT / "README.md", *(ROOT / "docs").rglob("*.md")} - {LINUX})
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
ORACLE_PROGRAMS = re.compile(r"(?:^|[\s|;&])((?:riscv64-[\w-]+|qemu-system-riscv64|gdb-multiarch))\b")

GENERAL = (
    (r"0x[0-9a-f]+", "0x[0-9a-f]+"),
    (r"\d[\d,]*(?:\.\d+)?", r"\d[\d,]*(?:\.\d+)?"),
    (r"\.\.\.", ".*?"),
    (r"  +", " +"),
)
"""What a piece of shown output stands for: addresses and counts change with every line of the kernel."""
TOKEN = re.compile("|".join(kind for kind, _ in GENERAL) + "|.")


@dataclass
class Command:
    """A shown command with the output that the document shows below it."""

    text: str
    status: int = 0
    output: list[str] = field(default_factory=list)


def commands(block: str) -> Iterator[Command]:
    current: Command | None = None
    for line in block.splitlines():
        if line.startswith("$ "):
            if current:
                yield current
            match = re.fullmatch(r"\$ (.*?)(?:\s+# exit (\d+))?", line)
            assert match
            current = Command(match[1], int(match[2] or 0))
        else:
            assert current, f"a console block begins with output: {line}"
            current.output.append(line)
    if current:
        yield current


def output_pattern(lines: list[str]) -> re.Pattern[str]:
    parts = []
    for line in lines:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
            continue
        parts += [
            next((general for kind, general in GENERAL if re.fullmatch(kind, token)), re.escape(token))
            for token in TOKEN.findall(line.rstrip())
        ]
        parts.append(r"[ \t]*\n")
    return re.compile("".join(parts))


def run(command: Command, folder: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}
    text = command.text.replace(" tests/", f" {ROOT}/tests/")
    if text.startswith("make "):
        # A test must not start all tests again, nor clean the tree that it runs in.
        dry = "--dry-run " if re.match(r"make (test|clean|bench|check)\b", text) else ""
        text = f"make -s --no-print-directory {dry}-C {ROOT} {text.removeprefix('make ')}"
    result = subprocess.run(
        ["bash", "-c", text], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    shown = result.stdout + result.stderr
    assert result.returncode == command.status, f"$ {command.text}\n{shown}"
    if command.output:
        assert output_pattern(command.output).fullmatch(shown + "\n" * (not shown.endswith("\n"))), (
            f"$ {command.text}\nprinted\n{shown}\nthe document shows\n" + "\n".join(command.output)
        )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_shows_is_what_happens(document: Path, tmp_path: Path, oracle: Callable[[str], str]) -> None:
    follow(document, tmp_path, oracle)


def follow(document: Path, folder: Path, oracle: Callable[[str], str]) -> None:
    """Write a document's files and run its commands."""
    text = document.read_text()
    for block in FENCE.finditer(text):
        language, _, name = block["info"].strip().partition(" ")
        if name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(block["body"])
        elif language == "console":
            for command in commands(block["body"]):
                for program in ORACLE_PROGRAMS.findall(command.text):
                    oracle(program)
                run(command, folder)
    shutil.rmtree(folder)
