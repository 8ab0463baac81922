"""Faults of replacement policies, beside those of a textbook and of a search through all choices."""

import re
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.cli import compare
from emu.observe.policies import POLICIES, opt
from emu.record.recorder import Recorder
from emu.terminal.signals import Signals
from tests.emu.record import recorded_guest as guest

TEXTBOOK = [7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1]
"""Silberschatz, Operating System Concepts, chapter on virtual memory: 15, 12 and 9 faults with three frames."""


def test_the_textbooks_example_has_the_textbooks_faults() -> None:
    assert [POLICIES[name](TEXTBOOK, 3) for name in ("fifo", "lru", "opt")] == [15, 12, 9]


@given(st.lists(st.integers(0, 4), max_size=11), st.integers(1, 3))
def test_opt_is_the_best_of_all_choices_and_no_policy_is_better(pages: list[int], frames: int) -> None:
    @cache
    def fewest(place: int, held: frozenset[int]) -> int:
        if place == len(pages):
            return 0
        page = pages[place]
        if page in held:
            return fewest(place + 1, held)
        if len(held) < frames:
            return 1 + fewest(place + 1, held | {page})
        return 1 + min(fewest(place + 1, held - {gone} | {page}) for gone in held)

    best = fewest(0, frozenset())
    assert opt(pages, frames) == best
    assert all(policy(pages, frames) >= best for policy in POLICIES.values())
    assert {policy(pages, 5) for policy in POLICIES.values()} == {len(set(pages))}


def test_compare_shows_each_policy_by_frames(build, tmp_path, capsys) -> None:
    source = "li s0, 4\n1: lui t0, 0x80300\nli s1, 3\n2: lw t1, (t0)\nlui t2, 1\nadd t0, t0, t2\naddi s1, s1, -1\n"
    source += "bnez s1, 2b\naddi s0, s0, -1\nbnez s0, 1b\nli a7, 8\necall"
    machine = guest.machine(build, "fast", source=source.replace("lui t0, 0x80300", "li t0, 0x80300000"))
    with Recorder(machine, tmp_path / "r", ["memory"]):
        machine.run(10_000)
    picture = tmp_path / "policies.svg"
    assert compare.main([str(tmp_path / "r"), "-replacement", "1,2,3", "-o", str(picture)], Signals()) == 0
    assert picture.read_text(encoding="utf-8").count("<path") == 4
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["12", "references", "to", "3", "pages"]
    assert rows[1:] == [
        ["frames", "fifo", "clock", "lru", "opt"], ["1", "12", "12", "12", "12"],
        ["2", "12", "12", "12", "7"], ["3", "3", "3", "3", "3"],
    ]  # fmt: skip
    assert compare.main([str(tmp_path / "r"), "-replacement", "200000000", "-o", str(picture)], Signals()) == 0
    assert capsys.readouterr().out.split()[-5:] == ["200,000,000", "3", "3", "3", "3"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["r"], "compare with what? Name a second recording"),
        (["r", "r", "-replacement", "3"], "-replacement looks at one recording"),
        (["r", "-replacement", "0,3"], "-replacement 0,3: give numbers of frames"),
        (["r", "-replacement", "1" + 400 * "0"], "of at most 15 digits"),
        (["r", "r", "-o", "x.svg"], "-o draws what -replacement or -allocators compare"),
        (["r", "-replacement", "3", "-allocators", "heap"], "two comparisons"),
    ],
)
def test_what_cannot_be_compared_is_told(words: list[str], text: str) -> None:
    with pytest.raises(Exception, match=re.escape(text)):
        compare.main(words, Signals())
