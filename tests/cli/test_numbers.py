"""Counts and moments on the command line as people may type them: what is none is told in a sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ekernel

SCRATCH = ("--heap-functions", "t,t")
WORDS = [
    ("run", "-q", "--max-instructions"), ("run", "-q", "-m"), ("run", "-q", "-smp"), ("heap", *SCRATCH, "--since"),
    ("run", "-q", "--record", "r", "--record-from"), ("profile", "--at"), ("profile", "-n"), ("profile", "-smp"),
    ("pagetable", "-at"),
]  # fmt: skip


@pytest.mark.parametrize("words", WORDS, ids=lambda words: f"{words[0]} {words[-1]}")
def test_what_is_no_number_or_a_very_long_one_is_told_in_a_sentence(
    ekernel: Ekernel, program: Callable[[str], Path], words: tuple[str, ...]
) -> None:
    elf = program("li a7, 8\n ecall\n .type t, @function\nt: ret")
    for number in ("\u00b2", "9" * 5000, "1_"):
        result = ekernel(words[0], elf, *words[1:], number)
        assert (result.returncode, result.stderr[:9], result.stderr.count("\n")) == (125, "ekernel: ", 1), number[:9]


def test_a_count_beyond_the_end_of_the_run_is_said_not_to_be_reached(
    ekernel: Ekernel, program: Callable[[str], Path]
) -> None:
    elf = program("li a7, 8\n ecall")
    shown = ekernel("profile", elf, "--at", "1,000").stdout
    assert shown.startswith("-- the guest powered off, 1,000 instructions were not reached: 2 instructions\n")
    assert "not reached" not in ekernel("profile", elf, "--at", "1").stdout
