"""`ekernel act`: programs that test an architecture, all in one process."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from emu.cli.words.reading import Group, Words, add_help, count, one_of
from emu.counted import counted
from emu.terminal.signals import Signals
from emu.testing.conformance import Verdict, programs, run


class ActWords:
    """What was asked for, as it was typed."""

    places: list[Path]
    fidelity: str
    most: int
    signatures: Path | None
    verbose: bool


def options() -> Words:
    """The words of `ekernel act`."""
    words = Words(
        "ekernel act",
        "Run self-checking programs (riscv-arch-test, riscv-tests, any that end by tohost or the finisher), each on "
        "a machine as new. The exit status is 0 when all have passed, 1 when not, 125 for bad input.",
        operands=" DIR|ELF...",
    )
    words.operand("places", form="DIR|ELF", kind=Path, many="+", text="Programs, or folders with programs.")
    group = Group(words, "How")
    group.value(
        "--fidelity", to="fidelity", form="exact|fast", kind=one_of("exact", "fast"), default="exact",
        text="exact: the privileged architecture is a model in Python; fast: it is Unicorn's.",
    )  # fmt: skip
    group.value(
        "--max-instructions", to="most", form="N", kind=count, default=10_000_000,
        text="Instructions of each program; 10,000,000.",
    )  # fmt: skip
    group.value(
        "--signatures", to="signatures", form="DIR", kind=Path,
        text="Write each program's signature there, as NAME.signature.",
    )  # fmt: skip
    group.flag("-v", "--verbose", to="verbose", text="Name those that have passed, too.")
    add_help(words)
    return words


def main(words: Sequence[str], _signals: Signals) -> int:
    """Run them, and sum up. Raises ConfigError for what is not there."""
    request = options().read(words, ActWords())
    counts: Counter[Verdict] = Counter()
    instructions = 0
    for result in run(
        programs(request.places), fidelity=request.fidelity, most=request.most, signatures=request.signatures
    ):
        counts[result.verdict] += 1
        instructions += result.instructions
        if result.why or request.verbose:
            print(f"{result.verdict.value.upper()} {result.path}{f': {result.why}' if result.why else ''}", flush=True)
    parts = [f"{counts[verdict]:,} {verdict.value}" for verdict in Verdict if counts[verdict]]
    total = counts.total()
    print(f"{counted(total, 'test')}: {', '.join(parts)} ({counted(instructions, 'instruction')})")
    return int(counts[Verdict.PASSED] != total)
