"""Assembling 20,000 lines and linking the kernel, beside GNU's times in the same run.

The kernel is that of profile `full`, assembled here; GNU ld gets the same objects from files. Each time is the best of
several rounds. "first" is a link in a fresh interpreter: it loads the linker and the script language's parser too.
"-" stands for GNU's where it is not installed, or has no such thing.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from assembler import source
from figures.size import size

import linker
from kernel import build, linking
from linker.assembler import assemble
from linker.objects.model import ObjectFile
from linker.objects.writer import write_object

LINES = size(20_000, 100)
ROUNDS = size(5)
PROFILE = "full"


def best(action: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The shortest of several times, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def kernel_inputs(directory: Path) -> tuple[list[ObjectFile], dict[str, object]]:
    """The objects of the kernel and the options of its link, as `kernel.build` makes them."""
    seen: list[tuple[list[ObjectFile], dict[str, object]]] = []

    def keep(objects: list[ObjectFile], **options: object) -> linker.LinkResult:
        seen.append((objects, options))
        return linker.link(objects, **options)  # type: ignore[arg-type]

    with patch.object(linking, "link", keep):
        build.build(build.profile_named(PROFILE), directory / "kernel")
    return seen[-1]


def first_link(directory: Path) -> float:
    """One link in a fresh interpreter, in seconds: imports, script, link; without reading or assembling."""
    code = """
import pickle, sys, time
objects, script, options = pickle.load(open(sys.argv[1], "rb"))
start = time.perf_counter()
import linker
linker.link(objects, script=script, options=options)
print(time.perf_counter() - start)
"""
    arguments = [sys.executable, "-c", code, str(directory / "link.pickle")]
    return min(float(subprocess.run(arguments, check=True, stdout=subprocess.PIPE).stdout) for _ in range(size(3)))


def row(what: str, ours: float, gnu: float | None) -> None:
    """One line of the table."""
    beside = f"{gnu * 1000:9.0f} ms {ours / gnu:7.1f}x" if gnu is not None else f"{'-':>12}"
    print(f"{what:<42}{ours * 1000:9.0f} ms{beside}")


def main() -> None:
    """Measure and print."""
    import pickle

    print(f"{'':42}{'here':>12}{'GNU':>12}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        text = source(LINES)
        (directory / "long.s").write_text(text)
        gnu_as = shutil.which("riscv64-unknown-elf-as")
        gnu = None
        if gnu_as:
            command = [gnu_as, "-march=rv64gc", str(directory / "long.s"), "-o", str(directory / "long.o")]
            gnu = best(lambda: subprocess.run(command, check=True))
        ours = best(lambda: write_object(assemble(text, name="long.s")), 3)
        row(f"assemble {LINES:,} lines", ours, gnu)
        objects, options = kernel_inputs(directory)
        link_rows(directory, objects, options)
        with (directory / "link.pickle").open("wb") as stream:
            pickle.dump((objects, options["script"], options["options"]), stream)
        row("  the same, first in a process", first_link(directory), None)


def link_rows(directory: Path, objects: list[ObjectFile], options: dict[str, object]) -> None:
    """Link the kernel here and with GNU ld."""
    gnu_ld = shutil.which("riscv64-unknown-elf-ld")
    gnu = None
    if gnu_ld:
        files = []
        for number, obj in enumerate(objects):
            files.append(directory / f"{number}.o")
            files[-1].write_bytes(write_object(obj))
        script = directory / "kernel.ld"
        script.write_text(str(options["script"]))
        defines = [f"--defsym={symbol}={value}" for symbol, value in options["options"].defines]  # type: ignore[attr-defined]
        command = [
            gnu_ld,
            "--no-relax",
            *defines,
            "-T",
            str(script),
            "-o",
            str(directory / "gnu.elf"),
            *map(str, files),
        ]
        gnu = best(lambda: subprocess.run(command, check=True, capture_output=True))
    ours = best(lambda: linker.link(objects, **options))  # type: ignore[arg-type]
    relocations = sum(len(section.relocations) for obj in objects for section in obj.sections)
    row(f"link the kernel ({len(objects)} objects, {relocations:,} relocations)", ours, gnu)


if __name__ == "__main__":
    main()
