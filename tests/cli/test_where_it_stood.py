"""The last line of a run that was ended, and the first of one that failed, name the lines that a user wrote."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ekernel

SOURCE = """\
__asm__(".globl _start\\n_start: li sp, 0x80400000\\n call run\\n");
static inline __attribute__((always_inline)) void put(volatile int *place)
{
    *place = 1;
}
static volatile int held;
__attribute__((noinline)) void take(void)
{
    while (held)
        ;
    held = 1;
}
__attribute__((noinline)) void take_twice(void)
{
    take();
    take();
    held = 0;
}
void run(void)
{
    if (WRITES)
        put((int *)0x90000000);
    take_twice();
    held = 0;
}
"""


@pytest.fixture
def compiled(tmp_path: Path, oracle: Callable[[str], str]) -> Callable[[int], Path]:
    def compile_it(writes: int) -> Path:
        (tmp_path / "lock.c").write_text(SOURCE)
        flags = [
            "-O1",
            "-g",
            "-ffreestanding",
            "-nostdlib",
            "-mcmodel=medany",
            "-Ttext=0x80200000",
            f"-DWRITES={writes}",
        ]
        command = [oracle("riscv64-unknown-elf-gcc"), *flags, "-o", "lock.elf", "lock.c"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        return tmp_path / "lock.elf"

    return compile_it


def test_a_run_that_is_ended_says_by_which_calls_the_guest_came_where_it_stood(
    ekernel: Ekernel, compiled: Callable[[int], Path]
) -> None:
    result = ekernel("run", "--max-instructions", "5000", compiled(0))
    assert result.returncode == 124
    last = result.stderr.splitlines()[-1]
    at, *callers = last.partition(" at take+")[2].split(", from ")
    assert "(lock.c:9)" in at
    assert [caller.partition("+")[0] for caller in callers[0].split(", ")] == ["take_twice", "run", "_start"]
    assert " (lock.c:16), run+" in last


def test_an_access_of_inlined_code_is_told_with_the_line_that_calls_it(
    ekernel: Ekernel, compiled: Callable[[int], Path]
) -> None:
    result = ekernel("run", compiled(1))
    assert result.returncode == 125
    first = result.stderr.splitlines()[0]
    assert "store access fault at run+" in first
    assert "(lock.c:4), inlined at lock.c:22: `sw " in first
