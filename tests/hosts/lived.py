"""Lives the same things on whatever host executes this, and writes what came of them: `lived.py FOLDER LAB PACKET`."""

import contextlib
import json
import os
import platform
import re
import sys
from pathlib import Path

from emu.cli import status_of
from emu.engine import native

GRADING = Path(__file__).parents[2] / "docs" / "labs" / "frame-lab" / "test_frames.py"
EVENTS = "faults,frames,heap,pages,traps,syscalls,satp,csrs,ptes,mmio,irq"


def main(folder: Path, lab: str, packet: str) -> None:
    """Boot with native probes and without, grade, fuzz."""
    os.chdir(folder)
    print(platform.machine(), "{}.{}".format(*sys.version_info), native.can_replace_functions())
    for fidelity, events in (("fast", EVENTS), ("exact", f"{EVENTS},tlb")):
        recorded = ("--record", f"{fidelity}.ekrec", "--record-what", "memory,registers,csrs")
        say(fidelity, "run", "--profile", "step-by-step", "--fidelity", fidelity, *recorded, *told(events, fidelity))
    os.environ["EKERNEL_PROBES"] = "python"
    say("slow", "run", "--profile", "step-by-step", "--fidelity", "fast", *told(EVENTS, "slow"))
    del os.environ["EKERNEL_PROBES"]
    say("grade", "grade", "-q", "-j", "1", "--max-instructions", "100000", "--json", "grade.json", str(GRADING), lab)
    grades = json.loads(Path("grade.json").read_text())
    for test in grades["grades"][0]["tests"]:
        del test["seconds"]
    Path("grade.json").write_text(json.dumps(grades, indent=1))
    say("fuzz", "fuzz", packet, "--function", "parse", "--corpus", "corpus", "--executions", "2000", "--quiet")


def told(events: str, name: str) -> tuple[str, ...]:
    """The words that have events written to a file."""
    return "--quiet", "--trace", events, "--trace-out", f"{name}.jsonl"


def say(name: str, *words: str) -> None:
    """A command; what it prints but for how fast it was, and its status."""
    with Path(f"{name}.txt").open("w+") as file, contextlib.redirect_stdout(file):
        status = status_of(words)
        file.seek(0)
        shown = re.sub(r", [\d,]+ a second", "", file.read())
        file.seek(0)
        file.truncate()
        print(shown, "status", status)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
