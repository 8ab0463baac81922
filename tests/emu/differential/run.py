"""Compares as many random programs as you like with QEMU: `python -m tests.emu.differential.run --count 1000000`.

Each batch is executed once by QEMU and by both fidelities; every eighth has page tables that only `exact` is to treat
as QEMU does, every eighth is executed by QEMU in blocks of one instruction. A program that goes another way is reduced
to the units that are needed for it, and told as text for an assembler; the run goes on.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.emu.differential.batch import EndlessError, on_machine, on_qemu
from tests.emu.differential.compare import differences
from tests.emu.differential.layout import MOST_PROGRAMS
from tests.emu.differential.programs import LENGTH, Programs, generate

QEMU = "qemu-system-riscv64"
_ODD_WALKS, _ANYWHERE, _CYCLE = 0, 1, 8


class Outcome(NamedTuple):
    """What a batch came to."""

    texts: list[str]
    """What differs, for a person; one text for each program and fidelity."""
    fidelities: tuple[str, ...]
    instructions: int
    """Retired by this machine in all fidelities, with the harness's."""


def batch(seed: int, size: int = MOST_PROGRAMS) -> Programs:
    """The batch with this number."""
    turn = seed % _CYCLE
    return generate(seed, size, native_walks=turn != _ODD_WALKS, interrupts_anywhere=turn == _ANYWHERE)


def fidelities(programs: Programs) -> tuple[str, ...]:
    """Those that are to do what QEMU does."""
    return ("exact", "fast") if programs.traits.native_walks else ("exact",)


def compare(programs: Programs, qemu: str, folder: Path, seconds: float = 60) -> Outcome:
    """Execute a batch everywhere. A program that ends nowhere is the same everywhere, and left out."""
    texts, instructions, chosen = [], 0, fidelities(programs)
    while True:
        try:
            reference = on_qemu(qemu, programs, folder, seconds)
            seen = {fidelity: on_machine(programs, fidelity) for fidelity in chosen}
            break
        except EndlessError as error:
            for fidelity in chosen:
                text = _difference(programs.without(error.program, []), error.program, fidelity, qemu, folder)
                texts += [f"batch {programs.seed}, program {error.program}, {fidelity}: {text}"] if text else []
            programs = programs.emptied(error.program)
    for fidelity, executed in seen.items():
        instructions += executed.instructions
        for number, _ in differences(reference, executed.areas, programs, fidelity):
            text = reduced(programs, number, fidelity, qemu, folder)
            texts.append(f"batch {programs.seed}, program {number}, {fidelity}, {text}")
    return Outcome(texts, chosen, instructions)


def reduced(programs: Programs, number: int, fidelity: str, qemu: str, folder: Path) -> str:
    """The difference of a program alone, without the units that it does not take."""
    gone: list[int] = []
    text = _difference(programs.without(number, gone), number, fidelity, qemu, folder)
    if text is None:
        return "which alone is the same: it takes those before it"
    for unit in range(LENGTH):
        shorter = _difference(programs.without(number, [*gone, unit]), number, fidelity, qemu, folder)
        if shorter is not None:
            gone, text = [*gone, unit], shorter
    return text


def _difference(programs: Programs, number: int, fidelity: str, qemu: str, folder: Path) -> str | None:
    endless, reference, seen = [], None, None
    try:
        reference = on_qemu(qemu, programs, folder, 10)
    except EndlessError as error:
        endless.append(f"on QEMU {error}")
    try:
        seen = on_machine(programs, fidelity).areas
    except EndlessError as error:
        endless.append(f"here {error}")
    if reference is None or seen is None:
        return endless[0] if len(endless) == 1 else None
    return next((text for _, text in differences(reference, seen, programs, fidelity)), None)


def batches(seed: int) -> Iterator[Programs]:
    """From this number on, without end."""
    while True:
        yield batch(seed)
        seed += 1


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="execute random programs here and on QEMU, and tell what differs")
    parser.add_argument("--count", type=int, default=1_000_000, help="programs; each is executed in both fidelities")
    parser.add_argument("--seed", type=int, default=1000, help=f"number of the first batch of {MOST_PROGRAMS}")
    options = parser.parse_args()
    qemu = shutil.which(QEMU)
    if qemu is None:
        print(f"{QEMU} is not installed", file=sys.stderr)
        return 2
    state = {"programs": 0, "executions": 0, "instructions": 0, "differ": 0, "next seed": options.seed}
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="differential-") as folder:
        for programs in batches(options.seed):
            outcome = compare(programs, qemu, Path(folder))
            for text in outcome.texts:
                print(text, flush=True)
            state["programs"] += programs.size
            state["executions"] += programs.size * len(outcome.fidelities)
            state["instructions"] += outcome.instructions
            state["differ"] += len(outcome.texts)
            state["next seed"] = programs.seed + 1
            if state["programs"] >= options.count:
                break
            if programs.seed % _CYCLE == _CYCLE - 1:
                print(json.dumps(state | {"seconds": round(time.monotonic() - begun)}), flush=True)
    print(json.dumps(state | {"seconds": round(time.monotonic() - begun)}))
    return 1 if state["differ"] else 0


if __name__ == "__main__":
    sys.exit(main())
