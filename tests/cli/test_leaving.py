"""A terminal's user leaves, looks or is told how, whatever the guest does; signals leave the terminal as it was."""

import json
import os
import re
import select
import signal
import subprocess
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal, process_of
from tests.command import COMMAND, Process, running

Program = Callable[[str], Path]

READY = """
    li t0, 0x10000000
    li t1, '>'
    sb t1, (t0)
"""
GUESTS = {
    "a loop": "j .",
    "a trap storm": "la t0, 1f\n csrw stvec, t0\n .balign 4\n 1: nop\n .word 0",
    "a storm of page faults": """
        la t0, 1f
        csrw stvec, t0
        ld a0, (zero)
        .balign 4
    1:  sret
    """,
    "calls of the firmware": "1: li a7, 0x10\n li a6, 0\n ecall\n j 1b",
    "code that is thrown away": "1: fence.i\n j 1b",
    "numbers without order": """
        li s0, 0x80210000
        li s1, 0x9E3779B97F4A7C15
    1:  mul t0, t0, s1
        addi t0, t0, 99
        srli t1, t0, 20
        xor t0, t0, t1
        sd t0, (s0)
        j 1b
    """,
    "resets for ever": "li t0, 0x100000\n li t1, 0x7777\n sw t1, (t0)\n j .",
    "asleep with a timer": """
        la t0, 2f
        csrw stvec, t0
        li t0, 32
        csrw sie, t0
    1:  csrr a0, time
        li t0, 1000000
        add a0, a0, t0
        li a7, 0
        ecall
        wfi
        j 1b
    2:  sret
    """,
    "asleep for an hour": """
        csrr a0, time
        li t0, 36000000000
        add a0, a0, t0
        li a7, 0
        ecall
        li t0, 32
        csrw sie, t0
    1:  wfi
        j 1b
    """,
    "interrupts masked, with input asked for": "li t0, 0x10000000\n li t1, 1\n sb t1, 1(t0)\n j .",
}
READS = """
    li s0, 0x10000000
1:  lbu t0, 5(s0)
    andi t0, t0, 1
    beqz t0, 1b
    lbu a0, (s0)
    addi a0, a0, 0x40
    sb a0, (s0)
    j 1b
"""
"""Answers a control character with its letter."""


@pytest.mark.parametrize(
    ("fidelity", "clock"),
    [
        ("exact", "instructions"),
        ("fast", "host"),
        pytest.param("exact", "host", marks=pytest.mark.slow),
        pytest.param("fast", "instructions", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("guest", GUESTS)
def test_ctrl_a_opens_the_monitor_and_leaves(program: Program, guest: str, fidelity: str, clock: str) -> None:
    terminal = Terminal("run", "--fidelity", fidelity, "--clock", clock, program(READY + GUESTS[guest]))
    terminal.expect(">")
    terminal.type("\x01c")
    terminal.expect("(ekernel) ")
    terminal.type("info registers\n")
    terminal.expect("satp")
    terminal.type("c\n")
    terminal.type("\x01x")
    assert terminal.status() == 0
    *others, last = terminal.seen.splitlines()
    assert any("-- left by you: " in line for line in others)
    assert re.fullmatch(r"ekernel: left by you at .+", last)


def test_a_terminal_that_does_not_control_the_session_is_a_keyboard_too(program: Program) -> None:
    ours, theirs = os.openpty()
    with process_of([COMMAND, "run", "-q", program(READY + READS)], stdin=theirs, stdout=theirs, stderr=theirs) as run:
        os.close(theirs)
        for keys, answer in (("", ">"), ("\x03", "C"), ("\x01x", "left by you")):
            os.write(ours, keys.encode())
            seen = b""
            while answer.encode() not in seen:
                seen += os.read(ours, 4096)
        assert run.wait(60) == 0
    os.close(ours)


@pytest.mark.parametrize("guest", ["a loop", "interrupts masked, with input asked for"])
def test_ctrl_c_that_the_guest_does_not_read_tells_how_to_leave(program: Program, guest: str) -> None:
    terminal = Terminal("run", "-q", program(READY + GUESTS[guest]))
    terminal.expect(">")
    terminal.type("\x03\x03\x03")
    terminal.expect("Ctrl-A X leaves")
    terminal.type("\x01x")
    assert terminal.status() == 0


def test_ctrl_c_goes_to_the_guest_and_one_that_is_read_tells_nothing(program: Program) -> None:
    terminal = Terminal("run", "-q", program(READY + READS))
    terminal.expect(">")
    for _ in range(4):
        terminal.type("\x03")
        assert "Ctrl-A" not in terminal.expect("C")
    terminal.type("\x01x")
    assert terminal.status() == 0
    assert "Ctrl-A" not in terminal.seen


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGALRM"])
@pytest.mark.parametrize("guest", ["a loop", "asleep for an hour"])
def test_a_signal_leaves_the_terminal_as_it_was(program: Program, guest: str, name: str) -> None:
    terminal = Terminal("run", "-q", "--clock", "host", program(READY + GUESTS[guest]))
    terminal.expect(">")
    assert termios.tcgetattr(terminal.descriptor) != terminal.cooked
    number = signal.Signals[name]
    os.kill(terminal.pid, number)
    terminal.expect("(SIGINT)" if name == "SIGINT" else f"ended by {name}")
    assert termios.tcgetattr(terminal.descriptor) == terminal.cooked
    assert terminal.status() == 128 + number


ENDINGS = [
    ("li a7, 8\n ecall", [], "powered_off", 0),
    ("li t0, 0x100000\n li t1, 0x73333\n sw t1, (t0)\n j .", [], "powered_off", 7),
    ("j .", ["--max-instructions", "1000"], "instruction_limit", 124),
    ("j .", ["--max-instructions", "0"], "instruction_limit", 124),
    ("j .", ["--timeout", "0.2"], "timeout", 124),
    (GUESTS["resets for ever"], ["--timeout", "0.2"], "timeout", 124),
    (GUESTS["asleep for an hour"], ["--timeout", "0.2", "--clock", "host"], "timeout", 124),
    ("csrw sie, zero\n wfi\n j .", [], "idle_forever", 125),
    ("jr zero", [], "error", 125),
    (GUESTS["resets for ever"], ["-no-reboot"], "reset", 0),
]


@pytest.mark.parametrize(("source", "options", "word", "status"), ENDINGS)
def test_the_exit_status_in_json_is_that_of_the_process(
    ekernel: Callable[..., subprocess.CompletedProcess[str]],
    program: Program,
    source: str,
    options: list[str],
    word: str,
    status: int,
) -> None:
    result = ekernel("run", "--json", *options, program(source))
    told = json.loads(result.stdout)
    assert (told["ended"], told["exit_status"], result.returncode) == (word, status, status)
    assert bool(result.stderr) == (word not in ("powered_off", "reset"))


def test_a_limit_of_no_instructions_executes_nothing(
    ekernel: Callable[..., subprocess.CompletedProcess[str]], program: Program
) -> None:
    result = ekernel("run", "--json", "--max-instructions", "0", program(READY))
    told = json.loads(result.stdout)
    assert (told["instructions"], told["console"]) == (0, "")
    assert "stopped after 0 instructions (--max-instructions) at _start" in result.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("together", [False, True])
def test_a_signal_ends_a_run_whose_output_nobody_takes_however_full_the_pipe_is(
    program: Program, tmp_path: Path, name: str, together: bool
) -> None:
    """Not one octet fits in, neither of the guest's output nor, in the same pipe, of what is said of the end."""
    output, stdout = os.pipe()
    errors, stderr = os.pipe()
    with open(os.devnull) as stdin:  # noqa: PTH123
        words = ["run", program(READY + "j _start")]
        process = Process(words, (stdin.fileno(), stdout, stdout if together else stderr), tmp_path)
    assert os.read(output, 1)
    filling = os.open(f"/proc/self/fd/{stdout}", os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(filling, b"x")
    os.kill(process.pid, signal.Signals[name])
    assert process.wait() == 128 + signal.Signals[name]
    for descriptor in (filling, stdout, stderr):
        os.close(descriptor)
    with open(errors, "rb") as told, open(output, "rb"):  # noqa: PTH123
        assert (name.encode() in told.read()) is not together


NOBODY_TAKES = {
    "trace": (["--trace", "traps", "--trace-out", "{pipe}"], "a trap storm"),
    "commits": (["--log-commits", "{pipe}"], "a trap storm"),
    "Sail's": (["--fidelity", "exact", "--log-sail", "{pipe}"], "a trap storm"),
    "blocks": (["-d", "exec", "-D", "{pipe}"], "a loop"),
    "recording": (["--record-what", "memory,registers", "--record", "{pipe}"], "numbers without order"),
}


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
@pytest.mark.parametrize("kind", NOBODY_TAKES)
def test_a_signal_ends_a_run_whose_trace_log_or_recording_nobody_takes(
    program: Program, tmp_path: Path, kind: str, name: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reading, True)
    options, guest = NOBODY_TAKES[kind]
    words = ["run", "-q", *(word.format(pipe=pipe) for word in options), program(GUESTS[guest])]
    with running(words, tmp_path) as (process, _, _, told), open(reading, "rb"):  # noqa: PTH123
        filling = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        while select.select([], [filling], [], 0.01)[1]:  # until it is full: the run waits for a reader
            pass
        os.close(filling)
        number = signal.Signals[name]
        os.kill(process.pid, number)
        assert process.wait() == 128 + number
        assert name in told.read().decode()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
@pytest.mark.parametrize("source", [GUESTS["a loop"], GUESTS["a trap storm"], READY + "j _start"])
def test_a_signal_ends_a_run_without_a_terminal_and_the_trace_is_whole(
    program: Program, tmp_path: Path, source: str, name: str
) -> None:
    trace = tmp_path / "trace.jsonl"
    words = ["run", "-q", "--trace", "traps", "--trace-out", trace, program(READY + source)]
    with running(words, tmp_path) as (process, _, console, told):
        assert os.read(console.fileno(), 1)
        os.kill(process.pid, signal.Signals[name])
        assert process.wait() == 128 + signal.Signals[name]
        errors = told.read().decode()
    assert name in errors.splitlines()[-1]
    assert all(json.loads(line) for line in trace.read_text().splitlines())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["guest.elf", "guest.o", "guest.s", "trace.jsonl"]


@pytest.mark.parametrize("words", [[], ["--log-commits", "-"]])
def test_a_signal_ends_a_run_whose_output_nobody_takes(program: Program, words: list[str]) -> None:
    elf = program("li t0, 0x10000000\n li t1, 'x'\n 1: sb t1, (t0)\n j 1b")
    with process_of(
        [COMMAND, "run", "-q", *words, elf], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM


def test_a_run_under_nohup_goes_on_when_its_terminal_is_gone(program: Program) -> None:
    elf = program(READY + "li t1, 2000000\n 1: addi t1, t1, -1\n bnez t1, 1b\n li a7, 8\n ecall")
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", COMMAND, "run", "-q", str(elf)]
    with process_of(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 1)
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("words", [["-q"], []])
def test_a_run_ends_with_its_terminal(program: Program, words: list[str]) -> None:
    terminal = Terminal("run", *words, program(READY + GUESTS["a loop"]))
    terminal.expect(">")
    os.close(terminal.descriptor)
    assert terminal.wait() == 128 + signal.SIGHUP
