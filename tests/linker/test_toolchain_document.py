"""docs/toolchain.md: its files are written, its commands run, and their output is what it says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "toolchain.md"
_BLOCK = re.compile(r"(?:^`(?P<file>[\w.]+)`:\n)?^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Block:
    language: str
    needs: dict[str, str]
    file: str | None
    body: str


def blocks() -> Iterator[Block]:
    for match in _BLOCK.finditer(DOCUMENT.read_text(encoding="utf-8")):
        language, *options = match["info"].split()
        yield Block(language, dict(option.split("=") for option in options), match["file"], match["body"])


BLOCKS = list(blocks())
COMMANDS = [number for number, block in enumerate(BLOCKS) if block.language == "sh"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the document, with its files."""
    directory = tmp_path_factory.mktemp("toolchain")
    for block in BLOCKS:
        if block.file:
            (directory / block.file).write_text(block.body, encoding="utf-8")
    return directory


def run(block: Block, directory: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-e", "-c", block.body],
        cwd=directory,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("number", COMMANDS, ids=[BLOCKS[number].body.split("\n")[0][:40] for number in COMMANDS])
def test_a_block_of_commands_does_what_the_document_says(
    number: int, place: Path, oracle: Callable[[str], str]
) -> None:
    block = BLOCKS[number]
    target = block.needs.get("target")
    if target is not None and not rust_has(target):
        pytest.skip(f"rustc with a core library for {target} is not installed (rustup target add {target})")
    for program in filter(None, block.needs.get("needs", "").split(",")):
        oracle(program)
    if not (place / "boot.o").exists() and number != COMMANDS[0]:
        run(BLOCKS[COMMANDS[0]], place)  # chosen alone, or on another worker
    if "-lmain" in block.body and not (place / "main_c.o").exists():
        run(BLOCKS[number - 2], place)
    output = run(block, place)
    following = BLOCKS[number + 1] if number + 1 < len(BLOCKS) else None
    if following is not None and following.language == "text":
        assert output == following.body


def rust_has(target: str) -> bool:
    """Not in Debian: this one may be missing in CI too."""
    if shutil.which("rustc") is None:
        return False
    command = ["rustc", "--print", "target-libdir", "--target", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0 and any(Path(done.stdout.strip()).glob("libcore-*"))


def test_the_python_example_runs() -> None:
    (example,) = [block.body for block in BLOCKS if block.language == "python"]
    exec(compile(example, str(DOCUMENT), "exec"), {})  # noqa: S102


def test_the_document_names_no_option_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    from linker.commands.ld import main

    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for option in ("-T", "-o", "--Map", "--defsym", "--gc-sections", "-L", "-l", "-e"):
        assert option in shown
