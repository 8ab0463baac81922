"""`ekernel run --record` and `ekernel trace` as a user types them."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.cli import trace
from emu.machine import Machine, MachineConfig
from emu.record.recorder import Recorder
from emu.terminal.signals import Signals
from tests.cli.conftest import Ekernel
from tests.cli.terminal import Terminal

Program = Callable[[str], Path]
SOURCE = """
    la sp, stack
    la t0, handler
    csrw stvec, t0
    li s0, 3
again:
    call outer
    addi s0, s0, -1
    bnez s0, again
    ld t0, (x0)
    li a7, 8
    ecall
outer:
    addi sp, sp, -16
    sd ra, 8(sp)
    call inner
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
inner:
    ret
    .balign 4
handler:
    csrr t0, sepc
    addi t0, t0, 4
    csrw sepc, t0
    sret
    .bss
    .balign 16
    .zero 64
stack:
"""


def lines(finished) -> list[str]:
    assert finished.returncode == 0, finished.stderr
    return [re.sub(r"\s+", " ", line).strip() for line in finished.stdout.splitlines()]


def test_a_recorded_run_is_shown_by_instructions_calls_accesses_and_registers(
    ekernel: Ekernel, program: Program
) -> None:
    elf = program(SOURCE)
    recorded = ekernel("run", elf, "--record", "run.ekrec", "--record-what", "calls,memory,registers", "-q")
    assert recorded.returncode == 0, recorded.stderr
    elf.unlink()
    shown = lines(ekernel("trace", "run.ekrec"))
    assert len(shown) == 48
    assert shown[0] == "0 S 0x0000000080200000 00001117 auipc sp, 1 _start (guest.s:4)"
    calls = lines(ekernel("trace", "run.ekrec", "functions"))
    assert [re.sub(r"^\d+ | \(.*", "", line) for line in calls] == [
        *["outer from again+0x4", "inner from outer+0x8"] * 3, "trap to handler at again+0xc",
    ]  # fmt: skip
    assert lines(ekernel("trace", "run.ekrec", "functions", "-function", "inner", "-range", "20-40")) == [
        line for line in calls if " inner " in line and 20 <= int(line.split()[0]) <= 40
    ]
    accesses = lines(ekernel("trace", "run.ekrec", "memory"))
    assert [line.split()[1] for line in accesses] == ["store", "load"] * 3
    call = next(line for line in shown if " again+0x4 " in line)
    returns_to = int(call.split()[2], 16) + 4
    assert int(accesses[0].split()[3], 16) == returns_to
    assert "s0 = 0x0000000000000003 _start" in " ".join(lines(ekernel("trace", "run.ekrec", "registers")))


@pytest.mark.slow
def test_what_a_recording_does_not_hold_is_seen_by_living_the_run_again(ekernel: Ekernel, program: Program) -> None:
    elf = program(SOURCE)
    ekernel("run", elf, "--record", "whole", "--record-what", "calls,memory,registers,csrs", "-q")
    for name, words in (("little", ["--record-what", ""]), ("late", ["--record-from", "outer"])):
        assert ekernel("run", elf, "--record", name, "-q", *words).returncode == 0
    elf.unlink()
    for what in ("memory", "registers", "commits", "execution", "functions"):
        for span in ([], ["-range", "9-30"]):
            shown = lines(ekernel("trace", "whole", what, *span))
            assert lines(ekernel("trace", "little", what, *span)) == shown
            assert lines(ekernel("trace", "late", what, *span))[-1] == shown[-1]
        assert len(lines(ekernel("trace", "late", what))) <= len(lines(ekernel("trace", "whole", what)))
    for words in (["profile"], ["profile", "-paths"], ["compare", "-replacement", "1,2"]):
        shown = lines(ekernel(*words, "whole"))
        assert lines(ekernel(*words, "little")) == shown
        assert len(shown) > 2
    for name in ("whole", "little"):
        ekernel("trace", name, "-format", "chrome", "-o", f"{name}.json", "-range", "9-30")
        assert ekernel("report", name, "-o", f"{name}.html").returncode == 0
    for form in ("json", "html"):
        assert (elf.parent / f"little.{form}").read_bytes() == (elf.parent / f"whole.{form}").read_bytes()


@pytest.mark.parametrize(("place", "first"), [("outer", 8), ("9", 9), ("_start", 0), ("0", 0)])
def test_recording_begins_where_it_is_asked_to(ekernel: Ekernel, program: Program, place: str, first: int) -> None:
    assert ekernel("run", program(SOURCE), "--record", "r", "--record-from", place, "-q").returncode == 0
    shown = lines(ekernel("trace", "r"))
    assert shown[0].startswith(f"{first} S ")
    assert len(shown) == 48 - first


def test_a_place_that_the_run_never_came_to_is_said_to_have_begun_nothing(ekernel: Ekernel, program: Program) -> None:
    elf = program(SOURCE.replace("call outer", "nop"))
    finished = ekernel("run", elf, "--record", "r", "--record-from", "outer", "-q")
    assert finished.stderr == "ekernel: --record-from outer was never reached: nothing was recorded\n"
    assert "--record-from" not in ekernel("run", elf, "--record", "r", "--record-from", "again", "-q").stderr


def test_a_recording_without_events_says_how_to_have_some(ekernel: Ekernel, program: Program) -> None:
    assert ekernel("run", program(SOURCE), "--record", "r", "-q").returncode == 0
    finished = ekernel("trace", "r", "events")
    assert (finished.returncode, finished.stdout) == (0, "")
    assert finished.stderr.startswith("ekernel: r has no events; those of `ekernel run --record FILE --trace KINDS`")


def test_events_of_a_traced_run_are_in_its_recording(ekernel: Ekernel, program: Program) -> None:
    finished = ekernel("run", program(SOURCE), "--record", "r", "--trace", "traps", "--trace-out", "out", "-q")
    assert finished.returncode == 0
    events = ekernel("trace", "r", "events")
    assert events.stdout == (Path(str(finished.args[2])).parent / "out").read_text()
    assert '"event": "TrapTaken"' in events.stdout


def test_events_of_a_kernel_that_is_run_for_them_are_those_of_its_recording(
    ekernel: Ekernel, program: Program, kernel_of, tmp_path: Path
) -> None:
    elf = kernel_of("full").elf
    assert ekernel("run", elf, "-q", "--record", "r", "--trace", "faults,frames,heap").returncode == 0
    for words in (["events"], ["events", "-range", "500000-600000"]):
        shown = ekernel("trace", elf, *words).stdout
        assert shown == ekernel("trace", "r", *words).stdout
        assert '"event": "FrameAllocated"' in shown
    for run, file in ((elf, "ran"), ("r", "recorded")):
        assert ekernel("trace", run, "-format", "chrome", "-o", file).returncode == 0
    assert (tmp_path / "ran").read_bytes() == (tmp_path / "recorded").read_bytes()
    none = program(SOURCE)
    finished = ekernel("trace", none, "events")
    assert (finished.returncode, finished.stdout) == (0, "")
    text = "has no events of faults,frames,heap; those of `ekernel run --record FILE --trace KINDS` are recorded"
    assert finished.stderr.endswith(f"ekernel: {none} {text}\n")


def test_a_run_that_is_cut_short_is_said_to_be_so(ekernel: Ekernel, program: Program) -> None:
    elf = program(SOURCE)
    ekernel("run", elf, "--record", "r", "-q")
    whole = (elf.parent / "r").read_bytes()
    (elf.parent / "r").write_bytes(whole[:-10])
    finished = ekernel("trace", "r")
    assert finished.returncode == 0
    assert len(finished.stdout.splitlines()) == 48
    assert re.fullmatch(r"ekernel: r is not complete: it ends in the middle of a chunk, at byte .*\n", finished.stderr)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["trace", "guest.s"], "guest.s is no recording: those are made by"),
        (["trace", "none"], "cannot read none: No such file"),
        (["trace", "r", "instruction"], "does not show 'instruction': did you mean 'instructions'?"),
        (["trace", "host", "memory"], "host has no memory: record them with"),
        (["trace", "host", "memory"], "it cannot be lived again to see them: this machine cannot go back in time: "),
        (["trace", "r", "-range", "9-3"], "-range 9-3: the first comes after the last"),
        (["trace", "r", "-range", "900-1,000"], "-range 900-1,000: r goes from 0 to 48 instructions"),
        (["trace", "r", "functions", "-range", "49-"], "-range 49-: r goes from 0 to 48 instructions"),
        (["trace", "r", "-function", "outr"], "no symbol 'outr' in the image; did you mean outer?"),
        (["run", "guest.elf", "--record-from", "outer"], "name a file with --record, --log-commits or --log-sail FILE"),
        (["run", "guest.elf", "--record", "r", "--record-what", "all"], "'all' cannot be recorded"),
        (["run", "guest.elf", "--record", "r", "--record-from", "outr"], "no symbol 'outr'"),
        (["run", "guest.elf", "--record", "/"], "cannot record to /: Is a directory"),
    ],
)
def test_mistakes_are_told_in_a_sentence(ekernel: Ekernel, program: Program, words: list[str], text: str) -> None:
    ekernel("run", program(SOURCE), "--record", "r", "-q")
    if "host" in words:
        ekernel("run", program(SOURCE), "--record", "host", "-q", "--clock", "host")
    finished = ekernel(*words)
    assert finished.returncode == 125
    assert text in finished.stderr
    assert "Traceback" not in finished.stderr


def test_lines_of_some_instructions_are_those_of_all_that_are_asked_for(
    program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine, path = Machine(MachineConfig(ram_size=16 << 20)), str(tmp_path / "run")
    machine.load(program(SOURCE))
    with Recorder(machine, path):
        machine.run()

    def shown(*words: str) -> list[str]:
        assert trace.main([path, *words], Signals()) == 0
        return [re.sub(r"\s+", " ", line).strip() for line in capsys.readouterr().out.splitlines()]

    everything = shown()
    for first, last in ((0, 0), (3, 17), (30, 1000)):
        wanted = [line for line in everything if first <= int(line.split()[0]) <= last]
        assert shown("-range", f"{first}-{last}") == wanted
        inside = [line for line in wanted if re.search(r" (inner|outer)(\+|$| )", line)]
        words = ("-range", f"{first}-{last}", "-function", "inner", "-function", "outer")
        assert shown(*words) == inside
        told = [json.loads(line) for line in shown("-format", "jsonl", *words)]
        assert [(line["instret"], line["pc"]) for line in told] == [
            (int(line.split()[0]), hex(int(line.split()[2], 16))) for line in inside
        ]


@pytest.mark.slow
def test_progress_is_shown_at_a_terminal_that_the_lines_do_not_go_to(
    ekernel: Ekernel, program: Program, tmp_path: Path
) -> None:
    assert ekernel("run", program(SOURCE), "--record", "run.ekrec", "-q").returncode == 0
    recording, output = tmp_path / "run.ekrec", tmp_path / "lines.txt"
    terminal = Terminal("trace", recording, "-o", output)
    terminal.expect("reading ")
    assert terminal.status() == 0
    assert len(output.read_text(encoding="utf-8").splitlines()) == 48
    terminal = Terminal("trace", recording)
    assert terminal.status() == 0
    assert "reading " not in terminal.seen
    assert ekernel("trace", "run.ekrec", "-o", "lines.txt").stderr == ""


def test_a_kernel_that_was_not_recorded_is_run_for_a_trace_and_for_a_comparison(
    ekernel: Ekernel, program: Program
) -> None:
    elf = program(SOURCE)
    ekernel("run", elf, "-q", "--record", "r", "--record-what", "calls,memory")
    for words in ([], ["functions"], ["memory", "-range", "2-9"], ["-function", "outer"]):
        ran = ekernel("trace", elf, *words)
        assert lines(ran) == lines(ekernel("trace", "r", *words)) != []
        assert re.fullmatch(r"ekernel: \S+guest\.elf: the guest .*: [\d,]+ instructions\n", ran.stderr)
    other = elf.rename(elf.with_name("other.elf"))
    elf = program(SOURCE.replace("li s0, 3", "li s0, 4"))
    parted = ekernel("compare", other, elf)
    assert parted.returncode == 1
    assert re.search(r"^- .* c\.li s0, 3 .*\n\+ .* c\.li s0, 4 ", parted.stdout, re.MULTILINE)
    assert "recorded no memory" not in parted.stderr
    same = ekernel("compare", "r", other)
    assert (same.returncode, same.stdout) == (0, "the same instructions\n")
    (elf.parent / "notes").write_text("no kernel")
    assert "notes is no recording" in ekernel("trace", "notes").stderr
