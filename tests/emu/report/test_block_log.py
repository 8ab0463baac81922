"""`-d in_asm,exec,int`, line by line beside the log of QEMU."""

import io
import re
import subprocess
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig, StopReason
from emu.report.logs.blocks import BlockLog
from linker.commands import as_, ld
from tests.guests import BEHIND_IT, TO_SUPERVISOR

PROGRAM = f"""
    .globl _start
_start:
    la t0, handler
    csrw mtvec, t0
    li s0, 3
again:
    mv a0, s0
    call work
    ecall
    addi a2, s0, 7
    csrr a1, 0x5c0
    addi a2, a2, 1
    mul a2, a2, a1
    csrw 0x5c0, a2
    addi s0, s0, -1
    bnez s0, again
{TO_SUPERVISOR}    call work
    ecall
    li t0, 0x100000
    li t1, 0x5555
    sw t1, (t0)
1:  j 1b
work:
    add a1, a0, a0
    beqz a1, 2f
    addi a1, a1, 1
2:  ret
    .balign 4
handler:
{BEHIND_IT}"""
_TRACE = re.compile(r"Trace 0: 0x[0-9a-f]+ \[([0-9a-f]{16}/[0-9a-f]{16})/.*")
_CODE = re.compile(r"(0x[0-9a-f]{16}:  (?:[0-9a-f]{8}|[0-9a-f]{4}    )) {10}\S.*")


def plain(text: str) -> list[str]:
    """The log without what each program says in its own words: host addresses, flags, assembly language, symbols."""
    lines = [_CODE.sub(r"\1", _TRACE.sub(r"Trace \1", line)).rstrip() for line in text.splitlines()]
    return [re.sub(r"^IN:.*", "IN:", line) for line in lines]


@pytest.fixture
def elf(tmp_path: Path) -> Path:
    (tmp_path / "guest.s").write_text(PROGRAM)
    names = [str(tmp_path / name) for name in ("guest.o", "guest.elf")]
    assert as_.main(["-o", names[0], str(tmp_path / "guest.s")]) == 0
    assert ld.main(["-Ttext=0x80000000", "-o", names[1], names[0]]) == 0
    return tmp_path / "guest.elf"


def ours(elf: Path, fidelity: str, **asked: bool) -> str:
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=128 << 20, firmware="none"))
    machine.load(elf)
    stream = io.BytesIO()
    with BlockLog(machine, stream, **asked):
        assert machine.run(1000).reason is StopReason.POWERED_OFF
    return stream.getvalue().decode()


def test_code_blocks_and_traps_are_logged_as_qemu_does(elf: Path, fidelity: str, oracle) -> None:
    command = [
        oracle("qemu-system-riscv64"), "-machine", "virt", "-bios", "none", "-kernel", str(elf), "-display", "none",
        "-serial", "none", "-d", "in_asm,exec,int,nochain", "-D", str(elf.with_name("qemu.log")),
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=10)
    theirs = plain(elf.with_name("qemu.log").read_text())
    boot = theirs.index("0x0000000080000000:  00000297") - 3  # behind the boot ROM
    log = plain(ours(elf, fidelity, code=True, blocks=True, traps=True))
    assert sum(line.startswith("riscv_cpu_do_interrupt") for line in log) == 3 * 3 + 1
    assert sum(line == "Priv: 1; Virt: 0" for line in log) > 2
    assert log == theirs[boot:]


def test_each_part_of_the_log_can_be_had_alone(elf: Path) -> None:
    whole = ours(elf, "fast", code=True, blocks=True, traps=True).splitlines()
    blocks = ours(elf, "fast", code=False, blocks=True, traps=False).splitlines()
    assert blocks == [line for line in whole if line.startswith("Trace")]
    code = ours(elf, "fast", code=True, blocks=False, traps=False).splitlines()
    assert code == [line for line in whole if not line.startswith(("Trace", "riscv"))]
    assert "IN: work" in code
