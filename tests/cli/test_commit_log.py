"""Spike's logs, `--log-commits` with and without `-l`, line by line beside those of Spike."""

import io
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig
from emu.record.recorder import Recorder
from emu.record.recording import Recording
from emu.report.logs.commits.recorded import commit_log
from emu.report.logs.commits.writer import CommitWriter
from linker.commands import as_, ld
from tests.cli.conftest import Ekernel

pytestmark = pytest.mark.slow
_CSR = re.compile(r" c\d+_\w+ 0x[0-9a-f]+")
_MVIP = re.compile(r" c777_mvip 0x[0-9a-f]+")
"""What Spike keeps software's part of `mip` in, without the extension that this register is from."""
_TEXT = re.compile(r"(core   0: 0x[0-9a-f]+ \(0x[0-9a-f]+\)) .*")
"""Before the assembly language, in which Spike and Capstone have their own habits."""
PROGRAM = """
    .globl _start
_start:
    la sp, stack
    la t0, handler
    csrw mtvec, t0
    li t0, 0x2004000
    li t1, -1
    sd t1, (t0)  # mtimecmp
    lw t2, (t0)
    csrw mideleg, t1
    csrw mie, t1
    csrw sie, t0
    csrw sip, t1
    csrw mip, zero
    csrw mcounteren, t1
    csrw scounteren, t1
    csrw mhpmcounter3, t1
    csrw mcountinhibit, zero
    csrw minstret, zero
    csrrw t2, mscratch, t1
    csrrsi t2, mscratch, 3
    csrrci zero, mscratch, 1
    csrrc t2, mscratch, zero
    csrw sscratch, t0
    csrw satp, zero
    csrw stvec, t0
    csrw sstatus, t1
    csrw pmpaddr0, t1
    csrwi pmpcfg0, 31
    li t0, 0x2000
    csrw mstatus, t0
    csrwi fflags, 1
    csrwi frm, 1
    csrw fcsr, zero
    la s1, data
    fmv.d.x fs1, zero
    li a0, 0
    li a1, 0
    li s0, 12
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
    li t0, 0x4000  # FS is clean
    csrc mstatus, t0
    fdiv.d fa4, fa1, fa0
    fsqrt.d fa5, fa0
    fcvt.s.d fa6, fa4
    fcvt.w.s a3, fa6, rtz
    fdiv.d fa7, fa1, fs1
    feq.d a3, fa0, fa7
    csrrwi a3, fflags, 0
    csrw frm, 2
    fdiv.d fa4, fa1, fa0
    csrwi frm, 0
    fsd fa2, 32(s1)
    fsw fa2, 40(s1)
    flw fa3, 40(s1)
    fcvt.w.d a6, fa2
    mv a0, s0
    call sum
    mul a7, a0, a2
    ecall
    ebreak
    csrr a3, 0x5c0
    ld a3, (zero)
    sd a3, 8(zero)
    lr.w a3, (s0)
    addi s0, s0, -1
    bnez s0, 1b
    la t0, supervisor
    csrw mepc, t0
    li t0, 0x6800
    csrw mstatus, t0
    mret
supervisor:
    csrw sscratch, t0
    csrrs t1, sstatus, zero
    ecall
    csrr t1, mepc
    la t0, user
    csrw sepc, t0
    li t0, 0x100
    csrc sstatus, t0
    fadd.d fa4, fa1, fa0
    sret
user:
    ecall
    csrr t1, sepc
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
    lhu t1, (t0)
    andi t1, t1, 3
    addi t1, t1, -3
    addi t0, t0, 4
    beqz t1, 4f
    addi t0, t0, -2
4:  csrw mepc, t0
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


@pytest.fixture
def spikes(tmp_path: Path, oracle: Callable[[str], str]) -> Callable[..., list[str]]:
    """What Spike logs of the program, behind its boot ROM and up to the end; the guest's ELF is there, too."""
    (tmp_path / "guest.s").write_text(PROGRAM)
    names = [str(tmp_path / name) for name in ("guest.o", "guest.elf")]
    assert as_.main(["-o", names[0], str(tmp_path / "guest.s")]) == 0
    assert ld.main(["-N", "-Ttext=0x80000000", "-o", names[1], names[0]]) == 0

    def log(*words: str) -> list[str]:
        command = [
            oracle("spike"),
            "--isa=rv64gc_zicntr_zihpm",
            "--log-commits",
            "--log=spike.log",
            *words,
            "guest.elf",
        ]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
        lines = (tmp_path / "spike.log").read_text().splitlines()
        first = next(number for number, line in enumerate(lines) if "0x0000000080000000 (" in line)
        last = next(number for number, line in enumerate(lines) if line.endswith(" (0xa001)"))  # `j .`
        return lines[first:last]

    return log


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_both_logs_are_spikes(spikes: Callable[..., list[str]], tmp_path: Path, fidelity: str) -> None:
    commits = [_MVIP.sub("", line) for line in spikes()]
    execution = [_TEXT.sub(r"\1", _MVIP.sub("", line)) for line in spikes("-l") if ">>>>" not in line]
    assert len(commits) > 2000
    assert sum("exception" in line for line in execution) == 12 * 6 + 4
    machine = Machine(MachineConfig(fidelity=fidelity, firmware="none"))
    machine.load(tmp_path / "guest.elf")
    streams = io.BytesIO(), io.BytesIO()
    with (
        Recorder(machine, tmp_path / "r", ["memory", "registers", "csrs"]),
        Recorder(machine, tmp_path / "without", ["memory", "registers"]),
        CommitWriter(machine, streams[0]),
        CommitWriter(machine, streams[1], execution=True),
    ):
        machine.run(4000)
    assert streams[0].getvalue().decode().splitlines()[: len(commits)] == commits
    with Recording(tmp_path / "r") as recording:
        assert "\n".join(commit_log(recording, 700, 1000)).split("\n") == commits[700:1001]
        recorded = "\n".join(commit_log(recording, 0, 4000, execution=True)).split("\n")
    with Recording(tmp_path / "without") as recording:
        without = "\n".join(commit_log(recording, 0, 4000)).split("\n")
    assert without[: len(commits)] == [_CSR.sub("", line) for line in commits]
    for lines in (streams[1].getvalue().decode().splitlines(), recorded):
        assert "core   0: >>>>  handler" in lines
        found = [_TEXT.sub(r"\1", line) for line in lines if ">>>>" not in line]
        assert found[: len(execution)] == execution


def test_a_run_is_logged_on_standard_output_and_from_a_recording_of_its_instructions(
    ekernel: Ekernel, spikes: Callable[..., list[str]]
) -> None:
    commits = [_MVIP.sub("", line) for line in spikes()]
    told = ekernel(
        "run", "guest.elf", "-bios", "none", "--record", "r", "--record-what", "", "-q", "--max-instructions", "4000",
        "--log-commits", "-",
    )  # fmt: skip
    assert told.stdout.splitlines()[: len(commits)] == commits
    assert ekernel("trace", "r", "commits").stdout == told.stdout
