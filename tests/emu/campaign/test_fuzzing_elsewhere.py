"""A campaign in batches finds the same wherever they are executed, and when a worker is lost in the middle of one."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from emu.campaign import engine
from emu.campaign.fuzzing import Fleet, Guest, execute
from emu.cli import status_of
from emu.machine import Machine
from emu.testing.fuzzing.campaign import Found, Summary
from emu.testing.fuzzing.keeping import FIRST, Folders
from linker import link
from linker.assembler import assemble

sys.path.append(str(Path(__file__).parent))  # as the workers have it
import dying

PARSER = """
    .globl parse
    .type parse, @function
parse:                      # (data, length): a magic number, then a way for each of four kinds
    li t0, 6
    bltu a1, t0, out
    lw t1, (a0)
    li t2, 0x4b524e4c
    bne t1, t2, out
    lbu t1, 4(a0)
    li t2, 7
    bgtu t1, t2, out
    beqz t1, out
1:  addi t1, t1, -1
    bnez t1, 1b
    lbu t1, 5(a0)
    li t2, 0x5d
    bne t1, t2, out
    ebreak
out:
    li a0, 0
    ret
    .size parse, .-parse
"""
SCRIPT = "ENTRY(parse) SECTIONS { . = 0x80200000; .text : { *(.text) } }"
EXECUTIONS = 6000


def campaign(
    at: engine.Engine, folder: Path, elf: Path, marker: Path | None = None
) -> tuple[Summary, dict[str, bytes]]:
    """What has come together, and the files."""
    folder.mkdir()
    machine = Machine()
    machine.load(elf)
    machine.snapshot().save(folder / "saved")
    guest = Guest((folder / "saved").read_bytes(), dying.opened, marker)
    target = dying.opened(folder / "saved", None)
    keeper = Folders(folder / "corpus", folder / "crashes", lambda path: path.name)
    fleet = Fleet(at, "here", guest, target, FIRST, keeper, places=2, seed=3)
    (folder / "corpus").mkdir()
    summary = fleet.run(executions=EXECUTIONS)
    files = {path.name: path.read_bytes() for part in ("corpus", "crashes") for path in (folder / part).iterdir()}
    kinds = {key: Found("", found.report, found.number) for key, found in summary.failures.items()}
    return replace(summary, seconds=0.0, failures=kinds), files


@pytest.fixture
def elf(tmp_path: Path) -> Path:
    path = tmp_path / "parser.elf"
    path.write_bytes(link([assemble(PARSER, name="parser.s")], script=SCRIPT).elf)
    return path


def test_a_batch_finds_the_same_whatever_its_process_has_executed_before(tmp_path, elf):
    with Machine() as machine:
        machine.load(elf)
        machine.snapshot().save(tmp_path / "saved")
    guest = Guest((tmp_path / "saved").read_bytes(), dying.opened, None)
    batches = [execute(guest, tuple(FIRST), [], frozenset(), seed, 1500) for seed in (1, 2, 3, 1, 2, 3)]
    assert batches[:3] == batches[3:]
    assert batches[0] != batches[1]


@pytest.mark.slow
def test_a_campaign_finds_the_same_though_a_worker_is_killed_in_it(cluster, tmp_path, elf):
    with engine.threads(1) as here:
        expected = campaign(here, tmp_path / "here", elf)
    assert expected[0].executions == EXECUTIONS
    assert b"LNRK" in b"".join(expected[1].values())
    assert len(expected[0].failures) == 1
    marker = tmp_path / "killed"
    with engine.cluster(cluster(2), 2) as there:
        assert there.places == 2
        assert campaign(there, tmp_path / "there", elf, marker) == expected
        assert marker.exists()
        assert there.places == 1


@pytest.mark.slow
def test_processes_of_this_machine_are_begun_and_ended(tmp_path, elf, capsys):
    words = ["fuzz", str(elf), "--function", "parse", "--corpus", str(tmp_path / "corpus"), "--executions", "1500"]
    assert status_of([*words, "--scheduler", "local", "-j", "1"]) == 1
    told = capsys.readouterr()
    assert re.match(r"1,500 executions.*, 1 failure\n", told.out)
    assert told.err == ""
    line = re.search(r"^replay: ekernel (.*)$", told.out, re.MULTILINE)
    assert line
    assert status_of(line[1].split()) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--corpus", "c", "-j", "2"], "-j: at once where? Add --scheduler local"),
        (["--afl", "--scheduler", "local"], "--scheduler: it executes campaigns"),
        (["--corpus", "c", "--scheduler", "here"], "--scheduler here: give an address as tcp://HOST:8786, or local"),
    ],
)
def test_words_that_do_not_go_together_are_refused(words, told, elf, capsys):
    assert status_of(["fuzz", str(elf), "--function", "parse", *words]) == 125
    assert told in capsys.readouterr().err
