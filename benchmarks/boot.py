"""Where `make run` spends its time: import, assemble, link, boot; and what tracing adds to the boot.

Each part is the best of several rounds in fresh interpreters, so that nothing is warm that would be cold for a user.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from figures.size import size

ROUNDS = size(5)

PARTS = """
import sys, time
from unittest.mock import patch
start = time.perf_counter()
from emu.cli import run
from emu.cli.shared import commands, tracing
from kernel import build, linking, profiles, sources
from linker import LinkOptions, assembler, link
imported = time.perf_counter()
spent = 0.0
def timed(*arguments, **options):
    global spent
    start = time.perf_counter()
    try:
        return link(*arguments, **options)
    finally:
        spent += time.perf_counter() - start
profile = build.profile_named(sys.argv[1])
with patch.object(linking, "link", timed):
    build.build(profile, build.Path(sys.argv[2]))
built = time.perf_counter()
build.build(profile, build.Path(sys.argv[2]))
checked = time.perf_counter()
print(imported - start, built - imported, checked - built, spent)
"""

BOOT = """
import sys, time
from emu.events import FrameAllocated, FrameFreed, HeapAllocated, HeapFreed, PageFault
from emu.machine import Machine, MachineConfig
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.faults import PageFaultHandled, PageFaultObserver
from emu.report.places import Places
from emu.report.sentences import Sentences
machine = Machine(MachineConfig(fidelity=sys.argv[2]))
machine.load(sys.argv[1])
if sys.argv[3] == "traced":
    FrameObserver(machine), HeapObserver(machine), PageFaultObserver(machine)
    sentences = Sentences(Places(machine))
    for kind in (FrameAllocated, FrameFreed, HeapAllocated, HeapFreed, PageFault, PageFaultHandled):
        machine.on(kind, sentences.say)
start = time.perf_counter()
machine.run()
print(time.perf_counter() - start)
"""


def best(script: str, *arguments: object) -> list[float]:
    """The smallest value of each number that a script prints, over several rounds."""
    rounds = [
        [float(number) for number in run([sys.executable, "-c", script, *map(str, arguments)]).split()]
        for _ in range(ROUNDS)
    ]
    return [min(values) for values in zip(*rounds, strict=True)]


def run(command: list[str]) -> str:
    """Standard output of a command that must succeed."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def whole_command(folder: Path, *options: str, cold: bool = False) -> float:
    """Seconds of `ekernel run` as a user waits for it, the kernel built from scratch or found built."""
    command = [str(Path(sys.executable).with_name("ekernel")), "run", *options]

    def once() -> float:
        if cold:
            for file in (folder / "build").rglob("*"):
                if file.is_file():
                    file.unlink()
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        return time.perf_counter() - start

    return best_of(once)


def best_of(measure: Callable[[], float]) -> float:
    """The smallest of several measurements."""
    return min(measure() for _ in range(ROUNDS))


def main() -> None:
    """Print the table."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        parts = [run([sys.executable, "-c", PARTS, "full", f"{name}/{index}"]).split() for index in range(ROUNDS)]
        built = [[float(number) for number in each] for each in parts]
        imported, build, checked, link = (min(values) for values in zip(*built, strict=True))
        kernel = folder / "0" / "kernel.elf"
        boots = {fidelity: best(BOOT, kernel, fidelity, "plain")[0] for fidelity in ("exact", "fast")}
        traced = {fidelity: best(BOOT, kernel, fidelity, "traced")[0] for fidelity in ("exact", "fast")}
        print(f"import              {imported:6.3f} s")
        print(f"assemble            {build - link:6.3f} s")
        print(f"link                {link:6.3f} s")
        print(f"find it up to date  {checked:6.3f} s")
        for fidelity, seconds in boots.items():
            ratio = traced[fidelity] / seconds
            print(f"boot, {fidelity:5}         {seconds:6.3f} s, traced {traced[fidelity]:6.3f} s: {ratio:.2f} times")
        print(f"ekernel run, kernel built from scratch  {whole_command(folder, cold=True):6.3f} s")
        plain, trace = whole_command(folder, "--quiet"), whole_command(folder, "--trace", "faults,frames,heap")
        print(f"ekernel run --quiet, kernel up to date  {plain:6.3f} s")
        print(f"the same with --trace and a summary     {trace:6.3f} s: {trace / plain:.2f} times")


if __name__ == "__main__":
    main()
