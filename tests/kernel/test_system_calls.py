"""The system calls, each called by a program: what they return, also when what is asked for makes no sense."""

from collections.abc import Callable

import pytest

from emu.events import PageFault
from emu.machine import Machine

Run = Callable[[str], tuple[int, str]]
READ, WRITE, EXIT, YIELD, TIME, PID = 63, 64, 93, 124, 169, 172
BRK, MUNMAP, SBRK, FORK, EXEC, MMAP, WAIT = 214, 215, 216, 220, 221, 222, 260
ERROR = (1 << 64) - 1
OK = 0
R, W, X = 1, 2, 4
MAPPED = 0x2000_0000
KERNEL = 0x8020_0000
TOP = 1 << 38
"""The first address behind a program's half."""

Row = tuple[int, int | str, int | str, int | str]

TABLE = """
FUNCTION main
    ENTER 2
    la s1, rows
1:  ld a7, 0(s1)
    bltz a7, 2f
    ld a0, 8(s1)
    ld a1, 16(s1)
    ld a2, 24(s1)
    ecall
    mv a1, a0
    la a0, line
    call printf
    addi s1, s1, 32
    j 1b
2:  li a0, 0
    LEAVE 2
END_FUNCTION main
STRING line, "%p "
STRING known, "hello"
STRING unknown, "nothing of that name"
STRING long, "0123456789012345678901234567890123456789012345678901234567890123456789"
STRING text, "text"
.data
.balign 4096
page:
    .zero 4096
.balign 8
rows:
"""


def results(run_program: Run, *rows: Row) -> list[int]:
    """What a program gets that makes these calls one after the other, each with up to three arguments."""
    table = "".join(f"    .quad {', '.join(map(str, row))}\n" for row in (*rows, (-1, 0, 0, 0)))
    code, text = run_program(TABLE + table)
    assert code == 0, text
    return [int(word, 16) for word in text.replace("text", "").split()]


def test_write_returns_the_bytes_and_refuses_what_is_not_for_writing(run_program: Run) -> None:
    rows = [(WRITE, 1, "text", 4), (WRITE, 2, "text", 4), (WRITE, 1, "text", 0), (WRITE, 0, "text", 4)]
    assert results(run_program, *rows, (WRITE, 3, "text", 4)) == [4, 4, 0, ERROR, ERROR]


@pytest.mark.parametrize("address", [0, "page + 8192", KERNEL, TOP - 1, TOP, ERROR - 3])
def test_write_of_a_bad_buffer_is_an_error_and_prints_nothing(run_program: Run, address: int | str) -> None:
    assert results(run_program, (WRITE, 1, address, 8)) == [ERROR]


def test_write_prints_what_crosses_pages(run_program: Run) -> None:
    code, text = run_program(
        """
FUNCTION main
    ENTER
    li a0, 8192
    call sbrk
    addi a0, a0, 2045
    addi a0, a0, 2045
    la a1, words
    li a2, 11
    mv a3, a0
1:  lbu t0, 0(a1)
    sb t0, 0(a0)
    addi a0, a0, 1
    addi a1, a1, 1
    addi a2, a2, -1
    bnez a2, 1b
    li a0, 1
    mv a1, a3
    li a2, 11
    call write
    LEAVE
END_FUNCTION main
STRING words, "over a page"
"""
    )
    assert (code, text) == (11, "over a page")


@pytest.mark.parametrize(
    ("row", "result"),
    [
        ((READ, 1, "page", 1), ERROR),
        ((READ, 0, "page", 0), 0),
        ((999, 0, 0, 0), ERROR),
        ((-5 + (1 << 63), 0, 0, 0), ERROR),
        ((EXEC, "unknown", 0, 0), ERROR),
        ((EXEC, "long", 0, 0), ERROR),
        ((EXEC, KERNEL, 0, 0), ERROR),
        ((WAIT, -1, 0, 0), ERROR),
        ((WAIT, 77, 0, 0), ERROR),
        ((YIELD, 0, 0, 0), OK),
        ((PID, 0, 0, 0), 1),
    ],
)
def test_a_call_that_makes_no_sense_is_an_error(run_program: Run, row: Row, result: int) -> None:
    assert results(run_program, row) == [result]


def test_time_goes_on(run_program: Run) -> None:
    code, text = run_program(
        """
FUNCTION main
    ENTER 1
    call get_time
    mv s1, a0
1:  call get_time
    beq a0, s1, 1b
    sltu a0, s1, a0
    LEAVE 1
END_FUNCTION main
"""
    )
    assert (code, text) == (1, "")


def test_the_program_break_moves_and_moves_back(run_program: Run) -> None:
    first, *rest = results(
        run_program, (SBRK, 0, 0, 0), (SBRK, 5000, 0, 0), (SBRK, -5000, 0, 0), (SBRK, 0, 0, 0), (SBRK, -1, 0, 0)
    )
    assert rest == [first, first + 5000, first, ERROR]
    assert first % 4096 == 0
    assert results(run_program, (BRK, first + 100, 0, 0), (SBRK, 0, 0, 0), (BRK, first, 0, 0), (SBRK, 0, 0, 0)) == [
        OK,
        first + 100,
        OK,
        first,
    ]


@pytest.mark.parametrize("address", [0, TOP + 1, KERNEL << 32, ERROR])
def test_the_program_break_stays_in_the_programs_half(run_program: Run, address: int) -> None:
    assert results(run_program, (BRK, address, 0, 0)) == [ERROR]


def test_the_break_does_not_run_into_what_is_mapped(run_program: Run) -> None:
    rows = [(MMAP, MAPPED, 4096, R | W), (BRK, MAPPED, 0, 0), (BRK, MAPPED + 1, 0, 0), (SBRK, 0, 0, 0)]
    assert results(run_program, *rows) == [OK, OK, ERROR, MAPPED]


@pytest.mark.parametrize(
    ("address", "size", "permissions"),
    [
        (MAPPED + 1, 4096, R),
        (MAPPED, 0, R),
        (MAPPED, 4096, 0),
        (MAPPED, 4096, 8),
        (MAPPED, 4096, W),
        (MAPPED, 4096, W | X),
        (TOP, 4096, R),
        (TOP - 4096, 8192, R),
        (MAPPED, ERROR, R),
        (0x10000, 4096, R),
        ("page", 4096, R | W),
        (0x3F_FFFF_E000, 4096, R),
    ],
)
def test_mmap_refuses_what_cannot_be_mapped(run_program: Run, address: int | str, size: int, permissions: int) -> None:
    assert results(run_program, (MMAP, address, size, permissions)) == [ERROR]


def test_munmap_takes_back_exactly_what_mmap_gave(run_program: Run) -> None:
    rows = [
        (MMAP, MAPPED, 8192, R | W),
        (MUNMAP, MAPPED, 4096, 0),
        (MUNMAP, MAPPED + 4096, 4096, 0),
        (MUNMAP, MAPPED, 12288, 0),
        (MUNMAP, MAPPED, 8192, 0),
        (MUNMAP, MAPPED, 8192, 0),
        (MMAP, MAPPED, 100, R),
        (MUNMAP, MAPPED, 100, 0),
    ]
    assert results(run_program, *rows) == [OK, ERROR, ERROR, ERROR, OK, ERROR, OK, OK]


def test_what_was_unmapped_is_gone_at_once(run_program: Run) -> None:
    code, text = run_program(
        f"""
FUNCTION main
    ENTER
    li a0, {MAPPED}
    li a1, 4096
    li a2, {R | W}
    call mmap
    li t0, {MAPPED}
    sd t0, 0(t0)
    li a0, {MAPPED}
    li a1, 4096
    call munmap
    li t0, {MAPPED}
    ld t0, 0(t0)
    LEAVE
END_FUNCTION main
"""
    )
    assert code == ERROR - 1
    assert text.endswith(f"address {MAPPED:#x}: nothing is mapped there\n")
    assert text.startswith("[kernel] hello (pid 1) killed: load page fault at 0x1")


FAMILY = """
FUNCTION main
    ENTER 2, 16
    call fork
    bnez a0, 1f
    li a0, 42
    call exit
1:  mv s1, a0
    li a0, 77
    mv a1, sp
    call waitpid                                # not a child of ours
    mv s2, a0
    mv a0, s1
    li a1, 0x80200000
    call waitpid                                # the exit code cannot be put there
    and s2, s2, a0
    mv a0, s1
    mv a1, sp
    call waitpid
    bne a0, s1, 2f
    lw a1, 0(sp)
    mv a2, s2
    la a0, line
    call printf
    li a0, -1
    li a1, 0
    call waitpid                                # none is left
    addi a0, a0, 1
2:  LEAVE 2, 16
END_FUNCTION main
STRING line, "the child left with %d, errors %p\\n"
"""


def test_waitpid_gives_the_exit_code_once_and_only_to_the_parent(run_program: Run) -> None:
    assert run_program(FAMILY) == (0, "the child left with 42, errors 0xffffffffffffffff\n")


FORKS = """
FUNCTION main
    ENTER 1
    li s1, 0
1:  call fork
    beqz a0, 2f
    bltz a0, 3f
    addi s1, s1, 1
    j 1b
2:  call yield
    li a0, 0
    call exit
3:  li a0, -1
    li a1, 0
    call waitpid
    bgez a0, 3b
    mv a0, s1
    LEAVE 1
END_FUNCTION main
"""


def test_forks_end_with_an_error_when_there_are_too_many_processes(run_program: Run) -> None:
    assert run_program(FORKS) == (99, "")


LAZY = """
FUNCTION main
    ENTER 1
    la t0, large
    li t1, 300 * 4096
    add t1, t0, t1
    ld a0, 0(t0)
    ld a1, -8(t1)
    or a0, a0, a1
    addi sp, sp, -2032
    addi sp, sp, -2032
    addi sp, sp, -2032
    sd a0, 0(sp)
    addi sp, sp, 2032
    addi sp, sp, 2032
    addi sp, sp, 2032
    LEAVE 1
END_FUNCTION main
.bss
.balign 4096
large:
    .zero 300 * 4096
"""


def test_bss_and_stack_get_frames_only_where_they_are_touched(run_program: Run, machine: Machine) -> None:
    touched: list[int] = []
    with machine.on(PageFault, lambda fault: touched.append(int(fault.address) >> 12)):
        assert run_program(LAZY) == (0, "")
    bss = [page for page in touched if 0x10 < page < 0x1000]  # behind .text
    stack = [page for page in touched if page >> 18]
    assert bss == [bss[0], bss[0] + 299]
    assert stack == [0x3FF_FFFE, 0x3FF_FFFD]
