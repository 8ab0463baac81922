"""Tests that fuzz: a mark for a test whose machine's function is to stand any input."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from emu.counted import counted

if TYPE_CHECKING:
    from emu.machine import Machine

F = TypeVar("F", bound=Callable[..., object])


def fuzz(
    function: str, input: str = "a0=buffer,a1=length", *, executions: int = 20_000, seed: int = 1,  # noqa: A002
    corpus: str | Path | None = None, max_length: int = 4096, max_instructions: int = 1_000_000,
) -> Callable[[F], F]:  # fmt: skip
    """Mark a test: when it has returned, the function is called on its `machine` with so many inputs.

    What the test itself does comes before, and once. It fails with the report of the first input that crashes the
    function or never returns. The same every time; with `corpus` it begins with that folder's inputs.
    """

    def decorate(test: F) -> F:
        mark = pytest.mark.fuzz(
            function, input, executions=executions, seed=seed, corpus=corpus, max_length=max_length,
            max_instructions=max_instructions,
        )  # fmt: skip
        marked: F = pytest.mark.usefixtures("machine")(mark(test))
        return marked

    return decorate


def judge(
    machine: "Machine", folder: Path, until: object, function: str, words: str, *, executions: int, seed: int,
    corpus: str | Path | None, max_length: int, max_instructions: int,
) -> None:  # fmt: skip
    """Fuzz from where the machine is. Raises AssertionError with the report of a failure."""
    from emu.observe.lastinstructions import LastInstructions
    from emu.testing.fuzzing.campaign import Campaign
    from emu.testing.fuzzing.keeping import Folders
    from emu.testing.fuzzing.target import Inputs, Target

    line = ["ekernel", "fuzz", machine.image.name if machine.image else "KERNEL", "--function", function]
    line += ["--input", words, "--fidelity", machine.config.fidelity, "--max-length", str(max_length)]
    line += ["--max-instructions", str(max_instructions), *(["--at", until] if isinstance(until, str) else [])]
    with (
        LastInstructions.paused(machine),
        Target(machine, function, Inputs.parse(words), longest=max_length, max_instructions=max_instructions) as target,
    ):
        folders = Folders(
            Path(corpus or folder / "corpus"), folder / "crashes",
            lambda path: shlex.join([*line, "--replay", str(path)]),
        )  # fmt: skip
        campaign = Campaign(target, folders.read(max_length), folders, seed=seed)
        summary = campaign.run(executions=executions, stop_at_failure=True)
    for found in summary.failures.values():
        raise AssertionError(f"after {counted(summary.executions, 'execution')}\n{found.report.rstrip()}")
