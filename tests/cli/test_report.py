"""`ekernel report`: one page on which a run can be looked at, in a real browser."""

import base64
import gzip
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.guests import BUSY

Ekernel = Callable[..., subprocess.CompletedProcess[str]]
Program = Callable[[str], Path]

TRAPS = """
    la t0, handler
    csrw mtvec, t0
    la t0, handler
    .4byte 0xffffffff
    li t1, 0x1000
    .option norvc
    lw t1, (t1)
    .option rvc
    li a7, 5
    ecall
    li t1, 8
    csrw mie, t1
    csrsi mstatus, 8
    li t1, 1
    li t2, 0x2000000
    sw t1, (t2)
    nop
    li t2, 0x100000
    li t1, 0x5555
    sw t1, (t2)
    .balign 4
handler:
    csrw mie, zero
    csrr t0, mcause
    bltz t0, 1f
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
1:  mret
"""
"""Is firmware that takes traps of its own: three exceptions and an interrupt, in M mode."""


def data_of(page: str) -> dict[str, Any]:
    """What a page is made of."""
    found = re.search(r'<script id="data"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(found[1])))
    return data


def test_the_page_tells_each_event_and_asks_for_no_other_file(
    ekernel: Ekernel, program: Program, tmp_path: Path
) -> None:
    result = ekernel("report", program(BUSY.format(rounds=3)), "-o", "page.html")
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="', page)
    addresses = set(re.findall(r"https?://[^\s\"')]*", page))
    assert addresses == {"http://www.w3.org/2000/svg", "https://github.com/leeoniya/uPlot"}, "names, nothing to fetch"
    assert "Permission is hereby granted, free of charge" in page, "the licence of the library inside"
    data = data_of(page)
    kinds = [data["kinds"][kind] for kind in data["kind"]]
    assert kinds == [*["frame +", "frame -"] * 3, "frame +"]
    assert data["a"] == [0x80400] * 7
    assert {place["function"] for place in data["places"]} == {"_start"}
    assert any("call frame_alloc" in text for text in data["sources"][data["places"][0]["path"]].values())
    assert sum(data["moments"]) < data["instructions"]


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_the_page_tells_traps_of_m_mode_too(ekernel: Ekernel, program: Program, tmp_path: Path, fidelity: str) -> None:
    result = ekernel("report", "-bios", "none", "--fidelity", fidelity, program(TRAPS), "-o", "page.html")
    assert result.returncode == 0, result.stderr
    data = data_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert [data["kinds"][kind] for kind in data["kind"]] == ["trap", "trap", "ecall", "interrupt"]
    for text, words in zip(
        data["texts"], ["not an instruction", "from 0x1000: ", "a7 = 0x5", "machine software"], strict=True
    ):
        assert words in text
    assert not data["faults"]


def test_a_guest_that_cannot_go_on_has_a_page_of_what_led_there(
    ekernel: Ekernel, program: Program, tmp_path: Path
) -> None:
    result = ekernel("report", program(BUSY.format(rounds=3).replace("li a7, 8", "jr zero")), "-o", "page.html")
    assert result.returncode == 1
    assert "double fault" in result.stderr
    data = data_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert [data["kinds"][kind] for kind in data["kind"][-3:]] == ["frame +", "trap", "trap"]
    assert len(data["kind"]) == 9
    assert data["ending"].startswith("stopped by an error: ")


def test_a_recorded_run_makes_the_page_of_that_run_and_is_no_kernel_to_run(
    ekernel: Ekernel, program: Program, tmp_path: Path
) -> None:
    kernel = program(BUSY.format(rounds=3))
    assert ekernel("run", kernel, "-q", "--max-instructions", "40", "--record", "run.ekrec").returncode == 124
    for output, words in (("live", [kernel, "--max-instructions", "40"]), ("again", ["run.ekrec"])):
        result = ekernel("report", *words, "-o", output)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "live").read_bytes() == (tmp_path / "again").read_bytes()
    refused = ekernel("run", "run.ekrec")
    assert refused.returncode == 125
    assert refused.stderr == (
        "ekernel: run.ekrec is a recorded run, not a kernel: `ekernel replay run.ekrec` lives it again\n"
    )


def test_later_events_of_very_many_are_in_the_curves_and_maps(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ekernel import FrameObserver, Machine, frame_allocator
    from emu.report.page.document import page
    from emu.report.page.story import Story

    monkeypatch.setattr("emu.report.page.story._MOST_RUNS", 40)
    machine = Machine()
    machine.load(program(BUSY.format(rounds=2000)))
    FrameObserver(machine, [frame_allocator("frame_alloc,frame_dealloc")])
    story = Story(machine, most_events=100)
    machine.run()
    data = story.columns("busy", "it ended")
    assert data["events"] == 4001
    assert len(data["kind"]) == 100
    assert 10 < len(data["maps"]) <= 128
    assert 3 < sum(len(runs) for _, runs in data["maps"]) <= 40
    assert sum(data["curves"][1]) == 1
    assert sum(data["curves"][0]) <= machine.instret
    assert data["maps"][-1][0] > sum(data["moments"])
    assert data_of(page(data)) == json.loads(json.dumps(data))


@pytest.mark.parametrize("output", ["/dev/full", "nowhere/page.html"])
def test_a_page_that_cannot_be_written_is_an_error_that_names_it(
    ekernel: Ekernel, program: Program, output: str
) -> None:
    result = ekernel("report", program(BUSY.format(rounds=1)), "-o", output)
    assert result.returncode == 125
    assert result.stderr.startswith(f"ekernel: {output} cannot be written: ")
