"""`ekernel fuzz`: planted bugs are found, explained, made small and replayed; the same seed finds the same."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from emu.cli import status_of
from emu.cli.fuzz import FuzzWords, options, target_of
from emu.cli.run import new_machine
from tests.cli.terminal import Terminal

MAGIC = """
    j .
    .globl parse
    .type parse, @function
parse:                      # (data, length): 4 bytes of a magic number, a kind, and a number of entries
    addi sp, sp, -16
    sd ra, 8(sp)
    li t0, 6
    bltu a1, t0, out
    lw t1, (a0)
    li t2, 0x4b524e4c
    bne t1, t2, out
    call entries
out:
    li a0, 0
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
    .size parse, .-parse
    .type entries, @function
entries:
    lbu t1, 4(a0)
    li t2, 0x7f
    bne t1, t2, 1f
    lbu t1, 5(a0)
    li t2, 3
    bne t1, t2, 1f
    sd zero, (zero)
1:  ret
    .size entries, .-entries
    .globl spins
spins:
    lbu t0, (a0)
    li t1, 'z'
2:  beq t0, t1, 2b
    ret
    .globl reads
reads:                      # one byte more than there is
    add a0, a0, a1
    lbu a0, (a0)
    ret
    .globl prints
prints:
    li t0, 0x10000000
    li t1, '!'
    sb t1, (t0)
    lbu t0, (a0)
    li t1, 'q'
    bne t0, t1, 3f
    ebreak
3:  ret
"""
CRASH = "store-access-fault-in-entries+0x16"


def fuzz(folder: Path, elf: Path, *words: object, name: str = "parse") -> int:
    return status_of(["fuzz", str(elf), "--function", name, "--corpus", str(folder), *map(str, words)])


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_a_bug_behind_a_magic_number_is_found_explained_made_small_and_replayed(program, tmp_path, capsys, fidelity):
    elf, corpus = program(MAGIC), tmp_path / "corpus"
    assert fuzz(corpus, elf, "--fidelity", fidelity, "--executions", 500) == 1
    told = capsys.readouterr().out
    assert re.search(r"500 executions.*, 1 failure", told)
    assert "parse crashed: store access fault at entries+0x16" in told
    assert "`sd zero, 0(zero)` stores 8 bytes to 0x0" in told
    assert "called by:\n  parse+0x1e" in told
    assert "last instructions:" in told
    assert (corpus / "crashes" / CRASH).read_bytes() == b"LNRK\x7f\x03"
    line = re.search(r"^replay: ekernel (.*)$", told, re.MULTILINE)
    assert line
    assert status_of(line[1].split()) == 1
    assert "parse crashed: store access fault at entries+0x16" in capsys.readouterr().out


def test_the_same_seed_finds_the_same(program, tmp_path, capsys):
    elf = program(MAGIC)
    found = []
    for number in range(2):
        corpus = tmp_path / str(number)
        fuzz(corpus, elf, "--executions", 500, "--seed", 5)
        found.append({name: data for name, data in files(corpus).items() if not name.endswith(".txt")})
    assert found[0] == found[1]
    assert "LNRK" in str(found[0])


def test_a_corpus_is_gone_on_with(program, tmp_path, capsys):
    elf, corpus = program(MAGIC), tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "mine").write_bytes(b"LNRK\x7f\x02 and more")
    assert fuzz(corpus, elf, "--executions", 400) == 1
    assert (corpus / "mine").read_bytes() == b"LNRK\x7f\x02 and more"


@pytest.mark.parametrize("probes", ["native", "python"])
def test_a_function_that_does_not_return_is_one_failure_and_the_campaign_goes_on(
    program, tmp_path, capsys, monkeypatch, probes
):
    monkeypatch.setenv("EKERNEL_PROBES", probes)
    elf, corpus = program(MAGIC), tmp_path / "corpus"
    assert fuzz(corpus, elf, "--executions", 600, "--max-instructions", 1000, name="spins") == 1
    assert "spins has not returned after 1,000 instructions" in capsys.readouterr().out
    assert (corpus / "crashes" / "hang").read_bytes() == b"z"


def test_a_function_that_prints_is_fuzzed_and_its_output_is_taken_back(program, tmp_path, capsys):
    elf, corpus = program(MAGIC), tmp_path / "corpus"
    assert fuzz(corpus, elf, "--executions", 300, name="prints") == 1
    assert (corpus / "crashes" / "breakpoint-in-prints+0x18").read_bytes() == b"q"


def test_the_sanitizer_sees_what_is_read_behind_the_input(program, tmp_path, capsys):
    elf, corpus = program(MAGIC), tmp_path / "corpus"
    assert fuzz(corpus, elf, "--executions", 20, name="reads") == 0
    capsys.readouterr()
    assert fuzz(corpus, elf, "--executions", 20, "--sanitize", "address", name="reads") == 1
    told = capsys.readouterr().out
    assert "BUG: ekernel: user-poisoned-access in reads+0x" in told
    assert "behind the input" in told
    line = re.search(r"^replay: ekernel (.*)$", told, re.MULTILINE)
    assert line
    assert status_of(line[1].split()) == 1
    assert "BUG: ekernel: user-poisoned-access" in capsys.readouterr().out


HEAP = """
    .globl uses
    .type uses, @function
uses:                       # a block is allocated and freed; it is read behind that by q, and by r before that
    addi sp, sp, -16
    sd ra, 8(sp)
    lbu s0, (a0)
    li t1, 'r'
    bne s0, t1, 1f
    la t0, memory
    ld zero, (t0)
1:  li a0, 16
    call my_alloc
    mv s1, a0
    sd zero, (s1)
    call my_free
    li t1, 'q'
    bne s0, t1, 1f
    ld zero, (s1)
1:  ld ra, 8(sp)
    addi sp, sp, 16
    ret
    .size uses, .-uses
    .globl my_alloc
    .type my_alloc, @function
my_alloc:
    la t0, next
    ld t1, (t0)
    bnez t1, 2f
    la t1, memory
2:  add t2, t1, a0
    sd t2, (t0)
    mv a0, t1
    ret
    .size my_alloc, .-my_alloc
    .globl my_free
    .type my_free, @function
my_free:
    ret
    .size my_free, .-my_free
    .bss
    .balign 16
next: .space 16
memory: .space 4096
"""


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_each_execution_begins_with_the_same_heap(program, fidelity):
    words = ["--heap-functions", "my_alloc,my_free", "--sanitize", "address", "--fidelity", fidelity]
    request = options().read([str(program("j .\n" + HEAP)), "--function", "uses", *words], FuzzWords())
    with new_machine(request) as machine, target_of(machine, request) as target:
        told = [target.run(data) for data in (b"a", b"q", b"r", b"q", b"r")]
    names = [failure and failure.name for failure in told]
    assert names == [None, "slab-use-after-free-in-uses+0x3c", None, "slab-use-after-free-in-uses+0x3c", None]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fuzz", "{elf}", "--corpus", "c"], "--function: which function?"),
        (["fuzz", "{elf}", "--function", "parse"], "--corpus: where do inputs go?"),
        (["fuzz", "{elf}", "--function", "pars", "--corpus", "c"], "parse"),
        (["fuzz", "{elf}", "--function", "parse", "--corpus", "{elf}"], "--corpus {elf}: File exists"),
        (["fuzz", "{elf}", "--function", "parse", "--corpus", "c", "--input", "a0=bufer"], "did you mean 'buffer'?"),
        (["fuzz", "{elf}", "--function", "parse", "--corpus", "c", "--input", "a1=buffer"], "a0 is missing"),
        (["fuzz", "{elf}", "--function", "parse", "--corpus", "c", "--input", "a0=length"], "which argument is the in"),
        (["fuzz", "{elf}", "--function", "parse", "--corpus", "c", "--max-length", "0"], "give 1 to 1,048,576"),
        (["fuzz", "{elf}", "--function", "parse", "--replay", "nothing"], "--replay nothing: No such file"),
        (["fuzz", "{elf}", "--function", "parse", "--corpus", "c", "--gdb", "tcp::1"], "Add --replay FILE"),
        (["fuzz", "{elf}", "--function", "parse", "--corpus", "c", "--at", "entries"], "did not come to where"),
        (["fuzz", "{elf}", "--function", "parse", "--corpus", "c", "--sanitize", "leak"], "fuzzing takes address"),
    ],
)
def test_mistakes_are_answered_by_sentences(program, tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    elf = program("nop\nli a7, 8\necall\n" + MAGIC)
    assert status_of([word.format(elf=elf) for word in words]) == 125
    assert told.format(elf=elf) in capsys.readouterr().err


def test_ctrl_c_ends_a_campaign_with_its_summary_and_every_file_whole(program, tmp_path):
    corpus = tmp_path / "corpus"
    terminal = Terminal("fuzz", program(MAGIC), "--function", "parse", "--corpus", corpus, "--executions", "300000000")
    terminal.expect("1 failure")
    terminal.type("\x03")
    assert terminal.status() == 128 + signal.SIGINT, terminal.seen
    assert re.search(r"edges, .*1 failure\s", terminal.seen)
    assert (corpus / "crashes" / CRASH).read_bytes() == b"LNRK\x7f\x03"
    assert all(data and not name.startswith(".") for name, data in files(corpus).items())


def test_an_input_is_looked_at_in_gdb_where_its_execution_begins(program, tmp_path):
    from tests.emu.debug.gdb.conftest import Client

    (tmp_path / "input").write_bytes(b"LNRK\x7f\x03")
    command = [sys.executable, "-m", "ekernel", "fuzz", program(MAGIC), "--function", "parse",
               "--replay", tmp_path / "input", "--gdb", "tcp:127.0.0.1:0"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        port = int(process.stderr.readline().rsplit(":", 1)[1])
        client = Client(port)
        length = client.ask("pb")
        pc = client.ask("p20")
        assert (int.from_bytes(bytes.fromhex(length), "little"), pc) == (6, "0200208000000000")
        client.send("k")
        process.wait(timeout=60)
    finally:
        process.kill()
