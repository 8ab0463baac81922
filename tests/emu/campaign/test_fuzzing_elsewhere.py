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
COUNTER = """
    .globl parse, entries
    .type parse, @function
    .type entries, @function
entries:
    mv a7, a0
    lbu a5, 5(a0)
    beqz a5, 4f
    mv a4, a1
    add a1, a1, a5
    li a0, 0
    lla a6, seen
2:  lbu a5, 0(a4)
    andi a5, a5, 15
    add a5, a5, a6
    lbu a3, 0(a5)
    addi a2, a3, 1
    sb a2, 0(a5)
    add a0, a0, a3
    addi a4, a4, 1
    bne a4, a1, 2b
3:  lbu a4, 4(a7)
    li a5, 7
    beq a4, a5, 5f
    ret
4:  li a0, 0
    j 3b
5:  sw a0, 0(zero)
    ret
parse:
    li a5, 7
    bleu a1, a5, 6f
    lw a4, 0(a0)
    li a5, 0x4b524e4c
    bne a4, a5, 6f
    addi sp, sp, -16
    sd ra, 8(sp)
    addi a1, a0, 8
    call entries
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
6:  li a0, -1
    ret
    .bss
seen: .zero 16
"""
SCRIPT = "ENTRY(parse) SECTIONS { . = 0x80200000; .text : { *(.text) } .bss : { *(.bss) } }"
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


def test_a_batch_finds_the_same_whatever_its_process_has_executed_before(tmp_path):
    elf = tmp_path / "counter.elf"
    elf.write_bytes(link([assemble(COUNTER, name="counter.s")], script=SCRIPT).elf)
    with Machine() as machine:
        machine.load(elf)
        machine.snapshot().save(tmp_path / "saved")
    guest = Guest((tmp_path / "saved").read_bytes(), dying.opened, None)
    first, other, again = (execute(guest, tuple(FIRST), [], frozenset(), seed, 1500) for seed in (1, 2, 1))
    assert again == first
    assert other != first


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
