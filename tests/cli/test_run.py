"""`ekernel run` as a user meets it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.cli import status_of
from emu.engine import library
from kernel.choices import KERNEL_DIRECTORY
from linker.commands import objcopy

Ekernel = Callable[..., subprocess.CompletedProcess[str]]
Program = Callable[[str], Path]

HELLO = """
    la s0, text
1:  lbu a0, 0(s0)
    beqz a0, 2f
    li a7, 1
    ecall
    addi s0, s0, 1
    j 1b
2:  li t0, 0x100000
    li t1, 0x{status:x}3333
    sw t1, 0(t0)
    j .
    .section .rodata
text: .asciz "hello\\n"
"""
LOAD_BEYOND_THE_TABLES = """
    la t0, handler
    csrw stvec, t0
    la t0, table
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
refused_load:
    ld a0, 0(zero)
    .balign 4
handler:
    csrw satp, zero
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
    j .
    .balign 4096
table:
    .zero 16
    .quad 0x200000cf
    .zero 4096 - 24
"""
TRACED = re.compile(r"^┃ +[\d,]+ (fault|handled|frame [+-]|heap [+-]) ", re.MULTILINE)


def test_quiet_prints_the_console_alone_and_the_status_is_the_guests(ekernel: Ekernel, program: Program) -> None:
    result = ekernel("run", "--quiet", program(HELLO.format(status=7)))
    assert (result.stdout, result.stderr, result.returncode) == ("hello\n", "", 7)


def test_quiet_adds_nothing_to_what_the_guest_wrote(ekernel: Ekernel, program: Program) -> None:
    result = ekernel("run", "--quiet", program(HELLO.format(status=0).replace("hello\\n", "no newline")))
    assert result.stdout == "no newline"


def test_the_summary_names_a_failing_exit_status(ekernel: Ekernel, program: Program) -> None:
    result = ekernel("run", program(HELLO.format(status=7)))
    assert result.stderr.startswith("-- the guest powered off with exit status 7: ")


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_step_by_step_prints_what_its_document_says(ekernel: Ekernel, fidelity: str) -> None:
    result = ekernel("run", "--profile", "step-by-step", "--quiet", "--fidelity", fidelity)
    assert result.stdout == (
        "++++init frame allocator succeed!++++\n"
        "test frame_allocator : 0x80fff000\n"
        "test frame_allocator : 0x80ffe000\n"
        "test frame_allocator : 0x80fff000\n"
    )
    assert result.returncode == 0


def test_the_summary_stands_on_stderr(ekernel: Ekernel) -> None:
    result = ekernel("run")
    assert "all self-tests passed" in result.stdout
    assert "instructions" not in result.stdout
    assert re.search(r"-- the guest powered off: [\d,]+ instructions in [\d.]+ s \(exact\)", result.stderr)
    assert re.search(r"traps +.*\d+ load page fault", result.stderr)
    assert re.search(r"frames +\d+ allocated, \d+ freed, \d+ still held", result.stderr)
    assert re.search(r"heap +\d+ allocated, \d+ freed, \d+ still held", result.stderr)


def test_a_second_run_builds_nothing_and_the_kernels_are_in_the_users_cache(
    ekernel: Ekernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ekernel("run", "--quiet", "--profile", "step-by-step")
    kernel = tmp_path / "cache" / "ekernel" / "step-by-step" / "kernel.elf"
    built = kernel.stat().st_mtime_ns
    ekernel("run", "--quiet", "--profile", "step-by-step")
    assert kernel.stat().st_mtime_ns == built
    assert kernel.with_suffix(".map").exists()
    assert not (tmp_path / "build").exists()
    ekernel("run", "--quiet", "--profile", "step-by-step", "--frames", "stack")
    assert kernel.stat().st_mtime_ns == built  # the other one has a place of its own


def test_the_trace_stands_between_the_console_lines_that_it_explains(ekernel: Ekernel) -> None:
    traced = ekernel("run", "--trace", "faults,frames,heap").stdout
    console = ekernel("run", "--quiet").stdout
    lines = traced.splitlines()
    assert {match[1] for match in map(TRACED.match, lines) if match} == {
        "fault", "handled", "frame +", "frame -", "heap +", "heap -",
    }  # fmt: skip
    assert [line for line in lines if not line.startswith("┃")] == console.splitlines()
    first = next(index for index, line in enumerate(lines) if "fault    load from 0x1000000128" in line)
    assert "lazy memory" in lines[first - 1]
    assert re.search(
        r"by `ld \w+, 0\(\w+\)` at lazy_selftest\+0x\w+ \(selftest\.S:\d+\) refused: the level-", lines[first]
    )
    assert any("handled  mapped 0x1000000128 by the level-0 PTE" in line for line in lines[first:])


def test_two_runs_write_the_same_trace_file(ekernel: Ekernel, tmp_path: Path) -> None:
    for name in ("one.jsonl", "two.jsonl"):
        assert ekernel("run", "--trace-out", name, "--quiet").returncode == 0
    one = (tmp_path / "one.jsonl").read_bytes()
    assert one == (tmp_path / "two.jsonl").read_bytes()
    events = [json.loads(line) for line in one.splitlines()]
    assert {"PageFault", "PageFaultHandled", "FrameAllocated", "HeapAllocated"} <= {e["event"] for e in events}
    assert [event["instret"] for event in events] == sorted(event["instret"] for event in events)


def traps_of(ekernel: Ekernel, tmp_path: Path, fidelity: str) -> list[tuple[object, ...]]:
    name = f"{fidelity}.jsonl"
    assert ekernel("run", "-q", "--trace", "traps", "--trace-out", name, "--fidelity", fidelity).returncode == 0
    events = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
    return [(e["pc"], e["cause"], e["interrupt"], e["tval"]) for e in events if e["event"] == "TrapTaken"]


def test_both_fidelities_take_the_same_traps_with_the_same_values(ekernel: Ekernel, tmp_path: Path) -> None:
    def exceptions(traps: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
        return [trap for trap in traps if not trap[2]]

    exact, fast = (traps_of(ekernel, tmp_path, fidelity) for fidelity in ("exact", "fast"))
    assert exceptions(exact) == exceptions(fast)
    assert exact


@pytest.mark.parametrize("profile", ["full", "rcore-v3"])
def test_both_fidelities_see_the_kernel_write_the_same_page_table_entries(
    ekernel: Ekernel, tmp_path: Path, profile: str
) -> None:
    written = []
    for fidelity in ("exact", "fast"):
        name = f"{fidelity}-ptes.jsonl"
        options = ["--profile", profile, "-q", "--trace", "ptes", "--trace-out", name, "--fidelity", fidelity]
        assert ekernel("run", *options).returncode == 0
        events = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        written.append([(e["pc"], e["pte_address"], e["new"], e["level"]) for e in events if not e["by_walk"]])
    assert written[0] == written[1]
    assert len(written[0]) > 100


def test_traced_calls_are_indented_by_depth(ekernel: Ekernel) -> None:
    result = ekernel("run", "--profile", "step-by-step", "--trace", "calls=frame_*")
    assert re.search(r"┃ +[\d,]+ call +frame_alloc\(", result.stdout)
    assert re.search(r"┃ +[\d,]+ ret +frame_alloc = 0x80fff after [\d,]+ instructions", result.stdout)
    calls = re.findall(r" call +frame_\w+\(.*\) from \S+ \((\w+\.\w+):(\d+)\)", result.stdout)
    assert len(calls) > 3
    for file, line in calls:
        (source,) = KERNEL_DIRECTORY.rglob(file)
        assert "call frame" in source.read_text().splitlines()[int(line) - 1]


FAULTS = [
    ("j .", ["--max-instructions", "1000"], 124, "stopped after 1,000 instructions (--max-instructions) at"),
    ("jr zero", [], 125, "its handler at 0x0 cannot be fetched (double fault): stvec is 0"),
    ("csrw stvec, zero\n ld a0, 0(zero)", [], 125, "double fault"),
    ("csrw sie, zero\n wfi\n j _start", [], 125, "waits (wfi) for an interrupt that can never come"),
]


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
@pytest.mark.parametrize(("source", "options", "status", "message"), FAULTS)
def test_a_guest_that_cannot_go_on_ends_with_one_message(
    ekernel: Ekernel, program: Program, fidelity: str, source: str, options: list[str], status: int, message: str
) -> None:
    result = ekernel("run", program(source), "--fidelity", fidelity, *options)
    assert result.returncode == status
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
@pytest.mark.parametrize("options", [[], ["-q"]])
def test_the_first_line_on_the_terminal_is_the_first_cause_with_its_source_line(
    ekernel: Ekernel, program: Program, fidelity: str, options: list[str]
) -> None:
    result = ekernel("run", program(" li a0, 0x10\nwork: ld a1, 0(a0)"), "--fidelity", fidelity, *options)
    first, second, *_ = result.stderr.splitlines()
    assert first.startswith("ekernel: load access fault at work (guest.s:4): `ld a1, 0(a0)` loads 8 bytes from 0x10: ")
    assert second.strip().startswith("its handler at 0x0 cannot be fetched (double fault): stvec is 0")


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_a_trap_that_never_ends_is_told_while_the_guest_runs_and_in_json(
    ekernel: Ekernel, program: Program, fidelity: str
) -> None:
    source = "la t0, again\n csrw stvec, t0\nstop: ebreak\n .balign 4\nagain: nop\n sret"
    options = [program(source), "--fidelity", fidelity, "--max-instructions", "9000"]
    result = ekernel("run", *options)
    assert result.returncode == 124
    assert result.stderr.startswith("ekernel: breakpoint at stop (guest.s:5): ")
    assert "its handler again (guest.s:7) returns (sret) to the same instruction, for ever" in result.stderr
    assert result.stderr.count("for ever") == 1
    assert "for ever" in json.loads(ekernel("run", "--json", *options).stdout)["cause"]


def test_a_mistake_that_a_guest_survives_is_in_the_summary(ekernel: Ekernel, program: Program) -> None:
    source = "la t0, off\n csrw stvec, t0\n li t0, 0xc201004\n ld a0, 0(t0)\n .balign 4\noff: li a7, 8\n ecall"
    result = ekernel("run", program(source))
    assert result.returncode == 0
    assert "first   load access fault at _start+" in result.stderr
    assert "the PLIC takes 32-bit accesses only, and this one loads 64 bits" in result.stderr


def test_raw_addresses_on_the_last_lines_of_a_panic_get_names(ekernel: Ekernel, program: Program) -> None:
    source = """
        la s1, text
    next: lbu a0, 0(s1)
        beqz a0, stop
        li a7, 1
        ecall
        addi s1, s1, 1
        j next
    stop: li a7, 8
        li t0, 0x100000
        li t1, 0x13333
        sw t1, 0(t0)
    text: .asciz "panic! backtrace:\\n #0 0x80200008\\n #1 0000000080200010\\n tag 0x12345678\\n"
    """
    result = ekernel("run", program(source))
    assert result.returncode == 1
    named = [line.split(maxsplit=1)[1] for line in result.stderr.splitlines() if line.startswith("   names")]
    assert [line.split(" is ")[0] for line in named] == ["0x80200008", "0000000080200010"]
    assert all("(guest.s:" in line for line in named)


BAD_INPUT: list[tuple[list[str], str]] = [
    (["missing.elf"], "missing.elf does not exist"),
    (["."], "is a directory"),
    (["empty"], "empty is empty"),
    (["text"], "is a text file"),
    (["truncated"], "truncated"),
    (["--trace", "fauls"], "did you mean 'faults'"),
    (["--trace", "calls=no_such_function"], "no symbol 'no_such_function'"),
    (["--trace-out", "no/such/folder.jsonl"], "no/such/folder.jsonl: No such file or directory"),
    (["--profile", "ful"], "there is no profile 'ful'; there are: "),
    (["--frames", "bitmp"], "there is no frame allocator 'bitmp'"),
    (["--fidelity", "perfect"], "fidelity 'perfect': there are exact, fast"),
    (["-m", "many"], "'many' is not a memory size"),
    (["-m", "100K"], "from 1M to 8G"),
    (["--frame-functions", "kalloc"], "is not ALLOC"),
    (["--heap-functions", "malloc"], "is not ALLOC"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT)
def test_bad_input_is_told_in_one_message(ekernel: Ekernel, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("int main(void) { return 0; }\n")
    (tmp_path / "truncated").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(20))
    result = ekernel("run", *arguments)
    assert result.returncode == 125
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_closed_pipe_ends_the_run_silently(program: Program) -> None:
    guest = program("1: li a0, 'x'\n li a7, 1\n ecall\n j 1b")
    command = f"{Path(sys.executable).with_name('ekernel')} run --quiet --max-instructions 3000000 {guest} | head -c 10"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout == "x" * 10
    assert result.stderr == ""


def test_a_reader_that_leaves_early_is_told_nothing_more(ekernel: Ekernel, tmp_path: Path) -> None:
    ekernel("build", "-o", "kernel.elf")
    command = (
        f"{Path(sys.executable).with_name('ekernel')} run --trace-out trace.jsonl --trace traps kernel.elf | head -n 2"
    )
    result = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr == ""
    assert all(json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines())


def test_build_writes_the_kernel_where_it_is_wanted(ekernel: Ekernel, tmp_path: Path) -> None:
    assert ekernel("build", "--profile", "step-by-step", "-o", "mine.elf").returncode == 0
    assert ekernel("run", "-q", "mine.elf").stdout.startswith("++++init frame allocator succeed!++++\n")


def test_assembly_errors_are_shown_all_with_their_lines(ekernel: Ekernel, tmp_path: Path) -> None:
    (tmp_path / "bad.s").write_text("  adi a0, a0, 1\n  li a0\n  nop\n  lw a0, 99999(a1)\n")
    result = ekernel("as", "-o", "bad.o", "bad.s")
    assert result.returncode == 1
    for line, text in ((1, "adi a0, a0, 1"), (2, "li a0"), (4, "lw a0, 99999(a1)")):
        assert f"bad.s:{line}:" in result.stderr
        assert text in result.stderr
    assert not (tmp_path / "bad.o").exists()


@pytest.mark.parametrize("listing", [False, True])
def test_a_raw_kernel_gets_its_names_from_another_file(ekernel: Ekernel, program: Program, listing: bool) -> None:
    elf = program(LOAD_BEYOND_THE_TABLES)
    raw = elf.with_suffix(".bin")
    assert objcopy.main(["-O", "binary", str(elf), str(raw)]) == 0
    names = elf
    if listing:
        names = elf.with_suffix(".map")
        names.write_text(ekernel("nm", elf).stdout)
    assert "at refused_load" not in ekernel("run", "--trace", "faults", raw).stdout
    traced = ekernel("run", "--trace", "faults", "--symbols", names, raw).stdout
    assert "at refused_load" in traced


def test_a_file_without_names_is_refused(ekernel: Ekernel, program: Program, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no listing\n")
    result = ekernel("run", "--symbols", "notes.txt", program(HELLO.format(status=7)))
    assert result.stderr.startswith("ekernel: notes.txt, line 1: neither an ELF file nor a listing of symbols")
    assert result.returncode == 125


KEEPS_AN_INTERRUPT_BACK = """
    csrci sstatus, 2
    csrwi sie, 2
    csrwi sip, 2
    li s0, 100000
1:  addi s0, s0, -1
    bnez s0, 1b
    la t0, handler
    csrw stvec, t0
    csrsi sstatus, 2
    j .
    .balign 4
handler:
    li a7, 8
    ecall
"""


def test_the_summary_does_not_stop_a_guest_that_keeps_interrupts_back(
    program: Program, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    starts = []
    emu_start = library.emu_start
    monkeypatch.setattr(library, "emu_start", lambda *arguments: starts.append(1) or emu_start(*arguments))
    assert status_of(["run", "--fidelity", "fast", str(program(KEEPS_AN_INTERRUPT_BACK))]) == 0
    assert "1 supervisor software interrupt" in capfd.readouterr().err
    assert len(starts) < 50
