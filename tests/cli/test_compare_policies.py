"""`ekernel compare -replacement`: table and picture, beside policies that were written anew from their definitions."""

import json
import re
from itertools import groupby
from pathlib import Path

import pytest

from tests.cli.conftest import Ekernel

FRAMES = (2, 3, 5, 8, 13, 21)


def belady(pages: list[int], frames: int) -> int:
    """At each fault the page goes that the rest of the workload names last, or never."""
    held, faults = set[int](), 0
    for place, page in enumerate(pages):
        if page in held:
            continue
        faults += 1
        if len(held) == frames:
            rest = pages[place + 1 :]
            held.remove(max(held, key=lambda one: rest.index(one) if one in rest else len(rest)))
        held.add(page)
    return faults


def least_recently_used(pages: list[int], frames: int) -> int:
    """A page is there if fewer than so many others were used since it was (Mattson's distance)."""
    faults = 0
    for place, page in enumerate(pages):
        earlier = pages[:place]
        last = next((n for n in reversed(range(place)) if earlier[n] == page), None)
        faults += last is None or len(set(earlier[last + 1 :])) >= frames
    return faults


def first_in_first_out(pages: list[int], frames: int) -> int:
    queue: list[int] = []
    faults = 0
    for page in pages:
        if page not in queue:
            faults += 1
            queue = [*queue, page][-frames:]
    return faults


def second_chance(pages: list[int], frames: int) -> int:
    """A queue: who is at its front and was used since goes to its end."""
    queue: list[list[int]] = []
    faults = 0
    for page in pages:
        found = next((each for each in queue if each[0] == page), None)
        if found is not None:
            found[1] = 1
            continue
        faults += 1
        if len(queue) == frames:
            while queue[0][1]:
                queue.append([queue.pop(0)[0], 0])
            queue.pop(0)
        queue.append([page, 1])
    return faults


def test_table_and_picture_have_the_faults_of_the_policies_definitions(ekernel: Ekernel, tmp_path: Path) -> None:
    options = ["--profile", "step-by-step", "-q", "--max-instructions", "30000"]
    assert ekernel("run", *options, "--record", "r").returncode == 124
    assert ekernel("trace", "r", "memory", "-format", "jsonl", "-o", "accesses").returncode == 0
    accesses = map(json.loads, (tmp_path / "accesses").read_text().splitlines())
    pages = [page for page, _ in groupby(int(access["address"], 16) >> 12 for access in accesses)]
    shown = ekernel("compare", "r", "-replacement", ",".join(map(str, FRAMES)), "-o", "policies.svg")
    rows = [line.split() for line in shown.stdout.replace(",", "").splitlines()]
    assert rows[0] == [str(len(pages)), "references", "to", str(len(set(pages))), "pages"]
    policies = {"fifo": first_in_first_out, "clock": second_chance, "lru": least_recently_used, "opt": belady}
    assert rows[1] == ["frames", *policies]
    expected = [[number, *(policy(pages, number) for policy in policies.values())] for number in FRAMES]
    assert [list(map(int, row)) for row in rows[2:]] == expected
    assert len({tuple(column) for column in zip(*expected, strict=True)}) == 1 + len(policies)

    svg = (tmp_path / "policies.svg").read_text()
    drawn = {colour: d for d, colour in re.findall(r'<path d="([^"]*)" fill="none" stroke="([^"]*)"', svg)}
    legend = re.findall(r'<rect [^>]*width="10" height="10" fill="([^"]*)" /><text [^>]*>(\w+)</text>', svg)
    assert [name for _, name in legend] == list(policies)
    (bottom, least), (top, most) = (
        re.search(rf'<text x="80" y="{y}"[^>]*>([\d,]+)</text><line [^>]*y1="(\d+)"', svg).groups()[::-1]
        for y in (242, 52)
    )
    assert (least, int(most.replace(",", ""))) == ("1", max(max(row[1:]) for row in expected))
    for (colour, _), faults in zip(legend, list(zip(*expected, strict=True))[1:], strict=True):
        points = [tuple(map(float, point.split())) for point in drawn[colour][1:].split("L")]
        height = [(int(bottom) - y) / (int(bottom) - int(top)) for _, y in points[: len(FRAMES)]]
        told = [int(most.replace(",", "")) ** part for part in height]  # the axis has powers
        assert told == pytest.approx(faults, rel=0.005)
        across = [(x - 86) / (740 - 86) for x, _ in points[: len(FRAMES)]]
        wanted = [(number - FRAMES[0]) / (FRAMES[-1] - FRAMES[0]) for number in FRAMES]
        assert across == pytest.approx(wanted, abs=0.001)
