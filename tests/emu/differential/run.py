"""Compares as many random programs as you like with QEMU: `python -m tests.emu.differential.run --count 1000000`.

Each batch is executed once by QEMU and by both fidelities; every fourth has page tables that only `exact` is to treat
as QEMU does. A program that goes another way is told with its instructions, and the run goes on.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.emu.differential import batch
from tests.emu.differential.compare import differences
from tests.emu.differential.layout import MOST_STREAMS
from tests.emu.differential.streams import MODES, Exclusions, Stream, generate

QEMU = "qemu-system-riscv64"
LENGTH = 24
"""Units of a stream: instructions, or a few of them that belong together."""
EXCLUSIONS = {"exact": Exclusions(), "fast": Exclusions(native_walks=True)}


class Batch(NamedTuple):
    """Streams that are executed one after the other."""

    seed: int
    mode: str
    fidelities: tuple[str, ...]

    def streams(self) -> list[Stream]:
        """They are the same at each call."""
        exclusions = EXCLUSIONS[self.fidelities[-1]]
        return [
            generate(self.seed * MOST_STREAMS + number, number, self.mode, LENGTH, exclusions)
            for number in range(MOST_STREAMS)
        ]


def batches(seed: int) -> Iterator[Batch]:
    """All modes in turn, without end."""
    while True:
        for mode in MODES:
            yield Batch(seed, mode, ("exact",) if seed % 4 == 0 else ("exact", "fast"))
        seed += 1


def compare(chosen: Batch, qemu: str, folder: Path) -> Iterator[str]:
    """What differs, for a person; one text for each stream."""
    streams = chosen.streams()
    try:
        reference = batch.on_qemu(qemu, streams, folder, 600)
    except AssertionError as error:
        yield f"seed {chosen.seed}, {chosen.mode}: {error}"
        return
    for fidelity in chosen.fidelities:
        for number, text in _against(reference, streams, fidelity):
            yield f"seed {chosen.seed}, {chosen.mode}, {fidelity}, stream {number}:\n{text}"


def _against(reference: bytes, streams: Sequence[Stream], fidelity: str) -> Iterator[tuple[object, str]]:
    try:
        yield from differences(reference, batch.on_machine(streams, fidelity), streams)
    except AssertionError as error:
        yield "?", str(error)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="execute random programs here and on QEMU, and tell what differs")
    parser.add_argument("--count", type=int, default=1_000_000, help="programs, each fidelity counted")
    parser.add_argument("--seed", type=int, default=1000)
    options = parser.parse_args()
    qemu = shutil.which(QEMU)
    if qemu is None:
        print(f"{QEMU} is not installed", file=sys.stderr)
        return 2
    done, wrong, begun = 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="differential-") as folder:
        for chosen in batches(options.seed):
            for text in compare(chosen, qemu, Path(folder)):
                wrong += 1
                print(text, flush=True)
            done += MOST_STREAMS * len(chosen.fidelities)
            if done >= options.count:
                break
            if chosen.mode == MODES[-1]:
                state = {"programs": done, "differ": wrong, "next seed": chosen.seed + 1}
                print(json.dumps(state | {"seconds": round(time.monotonic() - begun)}), flush=True)
    print(f"{done:,} programs, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
