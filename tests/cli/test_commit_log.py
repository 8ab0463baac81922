"""The commit log of a recording, line by line beside that of Spike."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from linker.commands import as_, ld
from tests.cli.conftest import Ekernel

pytestmark = pytest.mark.slow
_BOOT_ROM = 5
_CSR = re.compile(r" c\d+_\w+ 0x[0-9a-f]+")
PROGRAM = """
    .globl _start
_start:
    la sp, stack
    la t0, handler
    csrw mtvec, t0
    li t0, 0x6000
    csrs mstatus, t0
    la s1, data
    li a0, 0
    li a1, 0
    li s0, 40
1:  ld a2, (s1)
    addi a2, a2, 7
    sd a2, (s1)
    sw a2, 12(s1)
    sh a2, 16(s1)
    sb a2, 21(s1)
    lb a3, 21(s1)
    lhu a4, 16(s1)
    lw x0, 12(s1)
    addi t2, s1, 24
    amoadd.w a5, a2, (t2)
    lr.d t3, (t2)
    sc.d t4, a2, (t2)
    sc.d t4, a2, (t2)
    fcvt.d.l fa0, a2
    fld fa1, 32(s1)
    fmadd.d fa2, fa0, fa1, fa1
    fsd fa2, 32(s1)
    fsw fa2, 40(s1)
    flw fa3, 40(s1)
    fcvt.w.d a6, fa2
    mv a0, s0
    call sum
    mul a7, a0, a2
    ecall
    addi s0, s0, -1
    bnez s0, 1b
    la t0, tohost
    li t1, 1
    sd t1, (t0)
2:  j 2b
sum:
    c.addi sp, -16
    c.sdsp ra, 8(sp)
    c.sdsp s0, 0(sp)
    mv s0, a0
    beqz a0, 3f
    addi a0, a0, -1
    call sum
3:  add a0, a0, s0
    c.ldsp s0, 0(sp)
    c.ldsp ra, 8(sp)
    c.addi sp, 16
    ret
    .balign 4
handler:
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
    .data
    .balign 64
    .globl tohost
tohost: .dword 0, 0, 0, 0, 0, 0, 0, 0
    .globl fromhost
fromhost: .dword 0, 0, 0, 0, 0, 0, 0, 0
data: .dword 1, 2, 3, 4, 0x3ff8000000000000, 6
    .zero 4096
stack: .dword 0
"""


def test_the_commit_log_is_spikes_but_for_csrs(ekernel: Ekernel, tmp_path: Path, oracle: Callable[[str], str]) -> None:
    (tmp_path / "guest.s").write_text(PROGRAM)
    names = [str(tmp_path / name) for name in ("guest.o", "guest.elf")]
    assert as_.main(["-o", names[0], str(tmp_path / "guest.s")]) == 0
    assert ld.main(["-N", "-Ttext=0x80000000", "-o", names[1], names[0]]) == 0
    subprocess.run(
        [oracle("spike"), "--isa=rv64gc", "--log-commits", "--log=spike.log", "guest.elf"], cwd=tmp_path, check=True,
        timeout=60,
    )  # fmt: skip
    theirs = [_CSR.sub("", line) for line in (tmp_path / "spike.log").read_text().splitlines()][_BOOT_ROM:]
    recorded = ekernel(
        "run", "guest.elf", "-bios", "none", "--record", "r", "--record-what", "memory,registers", "-q",
        "--max-instructions", "200000",
    )  # fmt: skip
    assert recorded.returncode in (0, 124), recorded.stderr
    ours = ekernel("trace", "r", "commits").stdout.splitlines()
    end = next(number for number, line in enumerate(theirs) if line.endswith(" (0xa001)"))  # `j .`
    assert end > 10_000
    assert ours[:end] == theirs[:end]
