"""`ekernel run -semihosting`: its words, the keyboard, the exit status, and what a user is told who forgot it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Ekernel = Callable[..., subprocess.CompletedProcess[str]]
Program = Callable[[str], Path]
COMMAND = str(Path(sys.executable).with_name("ekernel"))
CALL = ".option push\n .option norvc\n .balign 16\n slli x0, x0, 0x1f\n ebreak\n srai x0, x0, 7\n .option pop\n"
EXIT = f"li a0, 0x20\n la a1, 9f\n {CALL}\n .balign 8\n 9: .dword 0x20026, 5\n"
ECHO = f"""
1:  li a0, 7
    {CALL}
    addi a0, a0, 1
    la a1, letter
    sb a0, (a1)
    mv s0, a0
    li a0, 3
    {CALL}
    li t0, 'q' + 1
    bne s0, t0, 1b
    {EXIT}
    letter: .byte 0
"""
"""Answers each key with its successor, until q."""


def test_what_the_guest_exits_with_is_the_exit_status(ekernel: Ekernel, program: Program) -> None:
    result = ekernel("run", "-semihosting", program(EXIT))
    assert result.returncode == 5
    assert "powered off with exit status 5" in result.stderr


@pytest.mark.parametrize("words", [[], ["-semihosting-config", "enable=off"]])
def test_who_forgot_semihosting_is_told(ekernel: Ekernel, program: Program, words: list[str]) -> None:
    guest = program("la t0, 1f\n csrw stvec, t0\n" + EXIT + ".balign 4\n1: j 1b")
    result = ekernel("run", "--max-instructions", 1000, *words, guest)
    assert result.returncode == 124
    assert "semihosting, which is off; -semihosting turns it on" in result.stderr


@pytest.mark.parametrize("pipe", [False, True])
def test_standard_input_is_read_through_semihosting(program: Program, tmp_path: Path, pipe: bool) -> None:
    command = [COMMAND, "run", "-q", "-semihosting", str(program(ECHO))]
    if pipe:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for key in b"abq":
                process.stdin.write(bytes([key]))
                process.stdin.flush()
                assert process.stdout.read(1) == bytes([key + 1])
            assert process.wait(timeout=60) == 5
        return
    (tmp_path / "keys").write_text("abq")
    with (tmp_path / "keys").open() as keys:
        result = subprocess.run(command, stdin=keys, capture_output=True, timeout=60, check=False)
    assert (result.stdout, result.returncode) == (b"bcr", 5)


def test_a_guest_that_wants_a_key_after_the_last_one_ends(ekernel: Ekernel, program: Program) -> None:
    result = ekernel("run", "-q", "-semihosting", program(ECHO), typed="ab")
    assert (result.stdout, result.returncode) == ("bc", 125)
    assert "the guest waits for something to be typed at _start" in result.stderr


def test_a_timeout_ends_the_wait_for_a_key(program: Program) -> None:
    command = [COMMAND, "run", "-q", "-semihosting", "--timeout", "0.2", str(program(ECHO))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "(--timeout)" in process.stderr.read()
        assert process.wait(timeout=60) == 124


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-semihosting-config", "arg"], "-semihosting-config arg: 'arg' has no value: write arg=..."),
        (["-semihosting-config", "args=x"], "'args' is not known here: did you mean 'arg'? "),
        (["-semihosting-config", "enable=yes"], "enable is on or off, not 'yes'"),
        (["-semihosting-config", "target=gdb"], "there is only target=native"),
        (["--semihosting-files", "missing"], "semihosting files in missing: No such file or directory; name a folder"),
        (["--semihosting-files", "guest.s"], "semihosting files in guest.s: Not a directory; name a folder"),
    ],
)
def test_a_bad_word_is_told_before_anything_starts(
    ekernel: Ekernel, program: Program, words: list[str], message: str
) -> None:
    result = ekernel("run", *words, program(EXIT))
    assert (result.stdout, result.returncode) == ("", 125)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
