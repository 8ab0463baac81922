"""`ekernel profile` and `ekernel coverage` as a user types them, and as lcov reads what they write."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tests.cli.conftest import Ekernel
from tests.command import ROOT

Program = Callable[[str], Path]
SOURCE = """
    la sp, stack
    li s0, 5
again:
    call work
    addi s0, s0, -1
    bnez s0, again
    li a7, 8
    ecall
    .type work, @function
work:
    addi sp, sp, -16
    sd ra, 8(sp)
    call leaf
    bgtz s0, out
    li a0, 1
    li a0, 2
out:
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
    .size work, . - work
    .type leaf, @function
leaf:
    nop
    nop
    ret
    .size leaf, . - leaf
    .type unused, @function
unused:
    ret
    .size unused, . - unused
    .bss
    .balign 16
    .zero 64
stack:
"""


def test_the_profile_has_exact_numbers_and_is_the_same_of_a_recording(ekernel: Ekernel, program: Program) -> None:
    elf = program(SOURCE)
    live = ekernel("profile", elf)
    assert live.returncode == 0, live.stderr
    rows = [line.split() for line in live.stdout.splitlines()]
    by_name = {row[-1]: (row[0], row[3], row[-2]) for row in rows if len(row) == 8}
    assert by_name["leaf"] == ("15", "15", "5")  # 5 calls of 3 instructions
    assert by_name["work"] == ("40", "55", "5")
    assert ekernel("run", elf, "--record", "r", "-q").returncode == 0
    recorded = ekernel("profile", "r")
    assert recorded.stdout.splitlines() == live.stdout.splitlines()[1:]
    paths = ekernel("profile", "r", "-paths", "-o", "out.folded").stdout
    assert re.search(r" 15 +\d+.\d % +5  \S+ > work > leaf$", paths, re.MULTILINE)
    folded = (elf.parent / "out.folded").read_text().splitlines()
    assert "again;work;leaf 15" in folded
    total = sum(int(line.rpartition(" ")[2]) for line in folded)
    assert f": {total:,} instructions" in live.stdout
    lines = ekernel("profile", "r", "-lines", "-n", "3").stdout
    assert re.search(r"^ +10 .*guest.s:7$", lines, re.MULTILINE)  # `call` is two instructions


def test_coverage_lists_functions_and_lines_that_were_never_executed(ekernel: Ekernel, program: Program) -> None:
    shown = ekernel("coverage", program(SOURCE), "-never")
    assert shown.returncode == 0, shown.stderr
    assert "functions  2 of 3 executed (66.7 %)" in shown.stdout
    assert "branches   3 of 4 ways gone (75.0 %)" in shown.stdout
    end = r"never called: unused\n +never executed: 18-19, 33\n +branches: 17 always taken$"
    assert re.search(end, shown.stdout.rstrip())


def test_lcov_reads_what_coverage_writes(ekernel: Ekernel, program: Program, oracle: Callable[[str], str]) -> None:
    elf = program(SOURCE)
    finished = ekernel("coverage", elf, "-o", "cov.info")
    assert finished.returncode == 0, finished.stderr
    summary = subprocess.run(
        [oracle("lcov"), "--summary", "cov.info"], cwd=elf.parent, capture_output=True, text=True, check=True
    )
    lines = re.search(r"lines +(\d+) of ([\d]+) ", finished.stdout)
    assert lines
    assert f"({lines[1]} of {lines[2]} lines)" in summary.stdout + summary.stderr
    assert "(2 of 3 functions)" in summary.stdout + summary.stderr
    assert "(3 of 4 branches)" in subprocess.run(
        ["lcov", "--rc", "lcov_branch_coverage=1", "--summary", "cov.info"],
        cwd=elf.parent, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    subprocess.run([oracle("genhtml"), "-q", "-o", "html", "cov.info"], cwd=elf.parent, check=True)
    assert list((elf.parent / "html").rglob("guest.s.gcov.html"))


def test_runs_are_merged(ekernel: Ekernel, program: Program) -> None:
    elf = program(SOURCE)
    ekernel("run", elf, "--record", "short", "-q", "--max-instructions", "4")
    ekernel("run", elf, "--record", "long", "-q")
    whole = ekernel("coverage", "long").stdout
    assert ekernel("coverage", "short", "--merge", "long").stdout == whole
    assert ekernel("coverage", "short").stdout != whole


def test_edges_are_listed_also_of_indirect_calls_and_runs_are_merged(ekernel: Ekernel, program: Program) -> None:
    source = """
        li s0, 3
    again:
        la t0, even
        andi t1, s0, 1
        slli t1, t1, 2
        add t0, t0, t1
        jalr t0
        addi s0, s0, -1
        bnez s0, again
        li a7, 8
        ecall
        .option norvc
    even:
        j end
    odd:
        j end
    end:
        ret
    """
    elf = program(source)
    shown = ekernel("coverage", elf, "-format", "edges", "-o", "live.jsonl")
    assert shown.returncode == 0, shown.stderr
    counted = "edges      7 gone: 1 branch taken, 1 branch not taken, 2 jump, 2 call by register, 1 return"
    assert counted in shown.stdout

    published = json.loads((ROOT / "docs" / "trace.schema.json").read_text())
    schema = jsonschema.Draft202012Validator({**published, "anyOf": [{"$ref": "#/$defs/edges"}]})

    def ends(path: str) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        for line in (elf.parent / path).read_text().splitlines():
            edge = json.loads(line)
            schema.validate(edge)
            found[edge["kind"], edge["to"].split()[0]] += edge["times"]
        return found

    assert ends("live.jsonl") == {
        ("branch taken", "again"): 2, ("branch not taken", "again+0x16"): 1, ("return", "again+0x12"): 3,
        ("call by register", "even"): 1, ("call by register", "odd"): 2, ("jump", "end"): 3,
    }  # fmt: skip
    ekernel("run", elf, "--record", "whole", "-q")
    ekernel("run", elf, "--record", "part", "-q", "--record-what", "instructions", "--max-instructions", "10")
    ekernel("coverage", "part", "--merge", "whole", "-format", "edges", "-o", "both.jsonl")
    first = {("call by register", "odd"): 1, ("jump", "end"): 1, ("return", "again+0x12"): 1}
    assert ends("both.jsonl") - ends("live.jsonl") == first


def test_edges_and_blocks_are_written_of_code_without_symbols(ekernel: Ekernel, tmp_path: Path) -> None:
    (tmp_path / "raw.bin").write_bytes(bytes.fromhex("09a0a14873000000"))  # jumps over nothing, and powers off
    shown = ekernel("coverage", "raw.bin", "-format", "edges", "-o", "edges.jsonl")
    assert shown.returncode == 0, shown.stderr
    assert "edges      1 gone: 1 jump" in shown.stdout
    assert "functions" not in shown.stdout
    [edge] = map(json.loads, (tmp_path / "edges.jsonl").read_text().splitlines())
    assert int(edge["target"], 16) == int(edge["pc"], 16) + 2
    assert edge["to"] == edge["target"]
    shown = ekernel("coverage", "raw.bin", "-format", "drcov", "-o", "blocks.drcov")
    assert shown.returncode == 0, shown.stderr
    assert b"raw.bin" in (tmp_path / "blocks.drcov").read_bytes()


@pytest.mark.parametrize("command", ["run", "profile", "coverage", "report"])
def test_a_run_of_one_instruction_is_in_the_singular(ekernel: Ekernel, program: Program, command: str) -> None:
    shown = ekernel(command, program("li a7, 8\n ecall"), "--max-instructions", "1")
    said = shown.stdout + shown.stderr
    assert "1 instruction" in said
    assert "1 instructions" not in said


def records(path: Path) -> list[str]:
    """What a tracefile says, without the order that nothing depends on."""
    return sorted(line for line in path.read_text().splitlines() if not line.startswith("TN:"))


def test_tracefiles_are_merged_as_lcov_merges_them(ekernel: Ekernel, program: Program, oracle) -> None:
    elf = program(SOURCE)
    folder = elf.parent
    assert ekernel("coverage", elf, "-o", "whole.info").returncode == 0
    assert ekernel("coverage", elf, "--max-instructions", "20", "-o", "part.info").returncode == 0
    merging = [oracle("lcov"), "--rc", "lcov_branch_coverage=1", "-q", "-a", "whole.info", "-a", "part.info"]
    subprocess.run([*merging, "-o", "lcov.info"], cwd=folder, check=True)
    ekernel("run", elf, "--record", "part", "-q", "--max-instructions", "20")
    for words in (
        ["whole.info", "--merge", "part.info"],
        [elf, "--merge", "part.info"],
        ["part", "--merge", "whole.info"],
    ):
        finished = ekernel("coverage", *words, "-o", "ours.info")
        assert finished.returncode == 0, finished.stderr
        assert records(folder / "ours.info") == records(folder / "lcov.info")
    page = ekernel("coverage", "lcov.info", "-format", "html", "-o", "page.html")
    assert "branches   3 of 4 ways gone" in page.stdout
    assert '<div class="part"><i>17 6 1/2</i>' in (folder / "page.html").read_text()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["coverage", "broken.info"], "broken.info, line 2: 'DA:x,1' is nothing that lcov writes"),
        (["coverage", "guest.elf", "--merge", "half.info"], "half.info ends in the middle of a.c"),
        (["coverage", "half.info", "-format", "drcov"], "half.info is a tracefile: it has lines, and no instructions"),
        (["coverage", "raw.bin"], "the image has no symbols, so nothing can be named"),
        (["coverage", "guest.elf", "-o", "/"], "/ cannot be written: Is a directory"),
        (["coverage", "guest.elf", "-format", "edges"], "-format edges writes a file: name it with -o FILE"),
        (["coverage", "guest.elf", "-format", "edges", "-o", "e", "--merge", "half.info"], "a tracefile has no"),
        (["profile", "guest.elf", "-o", "/"], "/ cannot be written: Is a directory"),
        (["profile", "none"], "none"),
        (["profile", "r"], "r has no calls: record them with `ekernel run --record FILE --record-what calls`"),
    ],
)
def test_mistakes_are_told_in_a_sentence(ekernel: Ekernel, program: Program, words: list[str], text: str) -> None:
    elf = program("li a7, 8\n ecall")
    (elf.parent / "raw.bin").write_bytes(bytes.fromhex("9308800073000000"))
    (elf.parent / "broken.info").write_text("SF:a.c\nDA:x,1\nend_of_record\n")
    (elf.parent / "half.info").write_text("TN:\nSF:a.c\nDA:1,1\n")
    ekernel("run", elf, "--record", "r", "--record-what", "instructions", "-q", "--clock", "host")
    finished = ekernel(*words)
    assert finished.returncode == 125
    assert text in finished.stderr
    assert "Traceback" not in finished.stderr
